import type { Buffer } from "node:buffer";
import type { TypeNames } from "../context.ts";
import { structuredFamily } from "./structured.ts";
import type { FamilyOf, Piece, Structure } from "./structured.ts";
import { LABEL } from "./texts.ts";
import type { Family, Raw, Value } from "./value.ts";

/**
 * Types we know nothing of: enums, composites, extensions' types. What shows by its form what it is
 * (a record, a timestamp with its zone, a float in full) is compared as that, the rest as bytes.
 */
export function unknownFamily(familyOf: FamilyOf): Family {
  return {
    ...LABEL,
    canonical: (value) => familyByForm(value, familyOf).canonical(value),
    compare: (primary, shadow) => {
      const family = familyByForm(primary, familyOf);
      return family.group === familyByForm(shadow, familyOf).group
        ? family.compare(primary, shadow)
        : LABEL.compare(primary, shadow);
    },
  };
}

function familyByForm({ raw, types }: Value, familyOf: FamilyOf): Family {
  if (readRecord(raw, types, familyOf) !== undefined) return familyOf("record");
  if (typeof raw !== "string") return LABEL;
  if (ZONED_TIMESTAMP.test(raw)) return familyOf("timestamptz");
  return LONG_FRACTION.test(raw) && raw.replace(/\D/g, "").length >= 15
    ? familyOf("float8")
    : LABEL;
}

const ZONED_TIMESTAMP = /^\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d/;
const LONG_FRACTION = /^-?\d+\.\d+(?:e[+-]\d+)?$/;

/** Composite values: `(1,"a b",)` in text, which does not name its types; binary does. */
export function recordFamily(familyOf: FamilyOf, differs: "value"): Family {
  return structuredFamily({
    group: "record",
    read: (raw, types) => readRecord(raw, types, familyOf),
    differs,
  });
}

function readRecord(raw: Raw, types: TypeNames, familyOf: FamilyOf): Structure | undefined {
  return typeof raw === "string" ? readText(raw, familyOf) : readBinary(raw, types, familyOf);
}

/** @see https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX */
function readText(text: string, familyOf: FamilyOf): Structure | undefined {
  if (!text.startsWith("(") || !text.endsWith(")")) return undefined;
  const pieces: Piece[] = [];
  let at = 1;
  for (;;) {
    const field = readField(text, at);
    if (field === undefined) return undefined;
    pieces.push({ family: familyOf(undefined), raw: field.raw });
    at = field.end + 1;
    if (text[field.end] === ")") break;
  }
  return at === text.length ? { shape: `${pieces.length}`, pieces } : undefined;
}

function readField(text: string, start: number): { raw: string | null; end: number } | undefined {
  let raw = "";
  let quoted = false;
  let wasQuoted = false;
  for (let at = start; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character === "\\") {
      raw += text[++at] ?? "";
    } else if (character === '"') {
      if (quoted && text[at + 1] === '"') raw += text[at++];
      else quoted = !quoted;
      wasQuoted = true;
    } else if (!quoted && (character === "," || character === ")")) {
      return { raw: raw === "" && !wasQuoted ? null : raw, end: at };
    } else {
      raw += character;
    }
  }
  return undefined;
}

/** int32 count, then per field int32 type oid, int32 length (-1 is NULL) and bytes. */
function readBinary(raw: Buffer, types: TypeNames, familyOf: FamilyOf): Structure | undefined {
  if (raw.length < 4) return undefined;
  const count = raw.readInt32BE(0);
  if (count < 0 || count > 1664 || raw.length < 4 + count * 8) return undefined;
  const pieces: Piece[] = [];
  let at = 4;
  for (let index = 0; index < count; index++) {
    if (at + 8 > raw.length) return undefined;
    const family = familyOf(types(raw.readUInt32BE(at)));
    const length = raw.readInt32BE(at + 4);
    at += 8;
    if (length > raw.length - at) return undefined;
    pieces.push({ family, raw: length < 0 ? null : raw.subarray(at, at + length) });
    at += Math.max(length, 0);
  }
  return at === raw.length ? { shape: `${count}`, pieces } : undefined;
}
