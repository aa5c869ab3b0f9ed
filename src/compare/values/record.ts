import type { Buffer } from "node:buffer";
import { FLOAT8 } from "./numbers.ts";
import { structuredFamily } from "./structured.ts";
import type { Piece, Structure } from "./structured.ts";
import { LABEL } from "./texts.ts";
import { TIMESTAMPTZ } from "./times.ts";
import type { Family, Raw, SideTypes, Value } from "./value.ts";

/**
 * Types we know nothing of: an extension's, or a user's before the catalogue was read. What shows by
 * its form what it is (a record, a timestamp with its zone, a float in full) is compared as that,
 * the rest as bytes.
 */
export const UNKNOWN: Family = {
  ...LABEL,
  canonical: (value) => familyByForm(value).canonical(value),
  compare: (primary, shadow) => {
    const family = familyByForm(primary);
    return family.group === familyByForm(shadow).group
      ? family.compare(primary, shadow)
      : LABEL.compare(primary, shadow);
  },
  hint: (primary, shadow) => {
    const family = familyByForm(primary);
    return family.group === familyByForm(shadow).group ? family.hint?.(primary, shadow) : undefined;
  },
  isUnknown: true,
};

function familyByForm({ raw, types }: Value): Family {
  if (readRecord(raw, types, []) !== undefined) return RECORD;
  if (typeof raw !== "string") return LABEL;
  if (ZONED_TIMESTAMP.test(raw)) return TIMESTAMPTZ;
  return LONG_FRACTION.test(raw) && raw.replace(/\D/g, "").length >= 15 ? FLOAT8 : LABEL;
}

const ZONED_TIMESTAMP = /^\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d/;
const LONG_FRACTION = /^-?\d+\.\d+(?:e[+-]\d+)?$/;

/**
 * Composite values: `(1,"a b",)` in text, which does not name its types; binary does. `fields` are
 * those that the catalogue has for the type.
 */
export function recordFamily(fields: readonly Family[]): Family {
  return structuredFamily({
    group: "record",
    read: (raw, types) => readRecord(raw, types, fields),
    differs: "value",
    piece: "field",
  });
}

/** A row of no declared type: `ROW(1, 'a')`. */
export const RECORD: Family = recordFamily([]);

function readRecord(raw: Raw, types: SideTypes, fields: readonly Family[]): Structure | undefined {
  return typeof raw === "string" ? readText(raw, fields) : readBinary(raw, types);
}

/** @see https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX */
function readText(text: string, fields: readonly Family[]): Structure | undefined {
  if (!text.startsWith("(") || !text.endsWith(")")) return undefined;
  const pieces: Piece[] = [];
  let at = 1;
  for (;;) {
    const field = readField(text, at);
    if (field === undefined) return undefined;
    pieces.push({ family: fields[pieces.length] ?? UNKNOWN, raw: field.raw });
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
function readBinary(raw: Buffer, types: SideTypes): Structure | undefined {
  if (raw.length < 4) return undefined;
  const count = raw.readInt32BE(0);
  if (count < 0 || count > 1664 || raw.length < 4 + count * 8) return undefined;
  const pieces: Piece[] = [];
  let at = 4;
  for (let index = 0; index < count; index++) {
    if (at + 8 > raw.length) return undefined;
    const family = types.family(raw.readUInt32BE(at));
    const length = raw.readInt32BE(at + 4);
    at += 8;
    if (length > raw.length - at) return undefined;
    pieces.push({ family, raw: length < 0 ? null : raw.subarray(at, at + length) });
    at += Math.max(length, 0);
  }
  return at === raw.length ? { shape: `${count}`, pieces } : undefined;
}
