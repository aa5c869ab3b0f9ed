import type { Buffer } from "node:buffer";
import { structuredFamily } from "./structured.ts";
import type { Piece, Structure } from "./structured.ts";
import type { Family } from "./value.ts";

/** A range: `[1,10)`, `(,5]`, `empty`. */
export function rangeFamily(bound: Family): Family {
  return structuredFamily({
    group: `range of ${bound.group}`,
    read: (raw) => (typeof raw === "string" ? readText(raw, bound) : readBinary(raw, bound)),
    differs: "value",
    piece: "bound",
  });
}

/** A multirange: `{[1,3),[5,8)}`; binary is int32 count, then int32 length and range each. */
export function multirangeFamily(range: Family): Family {
  return structuredFamily({
    group: `multirange of ${range.group}`,
    read: (raw) =>
      typeof raw === "string" ? readMultirangeText(raw, range) : readMultirange(raw, range),
    differs: "value",
    piece: "range",
  });
}

function readText(text: string, bound: Family): Structure | undefined {
  if (text === "empty") return { shape: "empty", pieces: [] };
  const item = String.raw`((?:"(?:[^"\\]|\\.|"")*"|[^",\\]|\\.)*)`;
  const parts = new RegExp(String.raw`^([[(])${item},${item}([\])])$`, "s").exec(text);
  if (parts === null) return undefined;
  const [, open, lower, upper, close] = parts;
  const pieces = [unquote(lower), unquote(upper)].map((raw): Piece => ({ family: bound, raw }));
  const lowerEdge = lower === "" ? "(" : open;
  return { shape: `${lowerEdge}${upper === "" ? ")" : close}`, pieces };
}

/** One byte of flags, then for each bound that is there int32 length and value. */
function readBinary(raw: Buffer, bound: Family): Structure | undefined {
  const flags = raw[0];
  if (flags === undefined) return undefined;
  if ((flags & 0x01) !== 0) return { shape: "empty", pieces: [] };
  const pieces: Piece[] = [];
  let at = 1;
  for (const infinite of [0x08, 0x10]) {
    if ((flags & infinite) !== 0) {
      pieces.push({ family: bound, raw: null });
      continue;
    }
    const bytes = takeBytes(raw, at);
    if (bytes === undefined) return undefined;
    pieces.push({ family: bound, raw: bytes });
    at += 4 + bytes.length;
  }
  const shape = `${(flags & 0x02) !== 0 ? "[" : "("}${(flags & 0x04) !== 0 ? "]" : ")"}`;
  return at === raw.length ? { shape, pieces } : undefined;
}

function readMultirangeText(text: string, range: Family): Structure | undefined {
  if (!text.startsWith("{") || !text.endsWith("}")) return undefined;
  const item = /[[(](?:"(?:[^"\\]|\\.|"")*"|[^"\\\])])*[\])]/gs;
  const ranges = text.slice(1, -1).match(item) ?? [];
  const pieces = ranges.map((raw): Piece => ({ family: range, raw }));
  return { shape: `${pieces.length}`, pieces };
}

function readMultirange(raw: Buffer, range: Family): Structure | undefined {
  if (raw.length < 4) return undefined;
  const pieces: Piece[] = [];
  let at = 4;
  for (let left = raw.readInt32BE(0); left > 0; left--) {
    const bytes = takeBytes(raw, at);
    if (bytes === undefined) return undefined;
    pieces.push({ family: range, raw: bytes });
    at += 4 + bytes.length;
  }
  return at === raw.length ? { shape: `${pieces.length}`, pieces } : undefined;
}

/** int32 length, then so many bytes; undefined when they are not there. */
function takeBytes(raw: Buffer, at: number): Buffer | undefined {
  if (at + 4 > raw.length) return undefined;
  const length = raw.readInt32BE(at);
  if (length < 0 || at + 4 + length > raw.length) return undefined;
  return raw.subarray(at + 4, at + 4 + length);
}

function unquote(text: string | undefined): string | null {
  if (text === undefined || text === "") return null;
  return text.replace(
    /\\(.)|"(")?/gs,
    (_, escaped: string | undefined, double: string | undefined) =>
      escaped ?? (double === undefined ? "" : '"'),
  );
}
