import type { Buffer } from "node:buffer";
import { structuredFamily } from "./structured.ts";
import type { Piece, Structure } from "./structured.ts";
import { TEXT } from "./texts.ts";
import { latin1, scalarFamily } from "./value.ts";
import type { Family } from "./value.ts";

/** hstore: pairs without order. */
export const HSTORE: Family = structuredFamily({
  group: "hstore",
  read: (raw) => structure(typeof raw === "string" ? textPairs(raw) : binaryPairs(raw)),
  differs: "value",
  piece: "pair",
});

/** tsvector: `'a':1A 'b'`; binary is int32 count, then word\0, int16 positions, uint16 each. */
export const TSVECTOR: Family = scalarFamily({
  group: "tsvector",
  read: (raw) => (typeof raw === "string" ? raw : lexemes(raw)),
  differs: "value",
  format: "value_format",
  render: lexemes,
});

type Pair = readonly [key: string, value: string | null];

function structure(pairs: Pair[] | undefined): Structure | undefined {
  if (pairs === undefined) return undefined;
  const sorted = pairs.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    shape: sorted.map(([key]) => `${key.length}:${key}`).join(""),
    pieces: sorted.map(([, raw]): Piece => ({ family: TEXT, raw })),
  };
}

function textPairs(text: string): Pair[] | undefined {
  const pairs: Pair[] = [];
  const form = /\s*"((?:[^"\\]|\\.)*)"\s*=>\s*(?:"((?:[^"\\]|\\.)*)"|(NULL))\s*(?:,|$)/gsy;
  let at = 0;
  for (const match of text.matchAll(form)) {
    pairs.push([
      unescape(match[1] ?? ""),
      match[3] === undefined ? unescape(match[2] ?? "") : null,
    ]);
    at = match.index + match[0].length;
  }
  return at === text.length ? pairs : undefined;
}

function unescape(text: string): string {
  return text.replace(/\\(.)/gs, "$1");
}

/** int32 count, then int32 length and key, int32 length (-1 is NULL) and value. */
function binaryPairs(raw: Buffer): Pair[] | undefined {
  const pairs: Pair[] = [];
  let at = 4;
  const next = (): string | null | undefined => {
    if (at + 4 > raw.length) return undefined;
    const length = raw.readInt32BE(at);
    at += 4;
    if (length < 0) return null;
    const text = latin1(raw.subarray(at, at + length));
    at += length;
    return text.length === length ? text : undefined;
  };
  while (at < raw.length) {
    const key = next();
    const value = next();
    if (typeof key !== "string" || value === undefined) return undefined;
    pairs.push([key, value]);
  }
  return raw.length >= 4 && pairs.length === raw.readInt32BE(0) ? pairs : undefined;
}

function lexemes(raw: Buffer): string | undefined {
  const words: string[] = [];
  let at = 4;
  while (at < raw.length) {
    const end = raw.indexOf(0, at);
    if (end < 0 || end + 3 > raw.length) return undefined;
    const count = raw.readUInt16BE(end + 1);
    const word = latin1(raw.subarray(at, end)).replace(/['\\]/g, "$&$&");
    at = end + 3 + count * 2;
    if (at > raw.length) return undefined;
    const positions = Array.from({ length: count }, (_, index) => {
      const position = raw.readUInt16BE(end + 3 + index * 2);
      return `${position & 0x3fff}${["", "C", "B", "A"][position >> 14] ?? ""}`;
    });
    words.push(`'${word}'${count > 0 ? `:${positions.join(",")}` : ""}`);
  }
  return words.join(" ");
}
