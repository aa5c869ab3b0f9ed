import { Buffer } from "node:buffer";
import { LITERAL, type Shape } from "./shape.ts";

/** Longest normalised text that is kept, in bytes. */
const MAX_NORMALISED_BYTES = 4096;

/**
 * Numbers that older servers read otherwise keep their notation, since that is what a reader of a
 * difference has to see; the digits are always these.
 */
const NOTATION: Readonly<Record<number, string>> = {
  [LITERAL.hex]: "0x0",
  [LITERAL.octal]: "0o0",
  [LITERAL.binary]: "0b0",
  [LITERAL.grouped]: "0_0",
};

/** Stands where the rest of a text was left out. */
const ELLIPSIS = "…";

/**
 * The text of a shape, with `$n` for each literal: parameters keep their numbers, literals count on
 * from them. What was not read with certainty is left out, so no customer's value is ever in it.
 */
export function normalisedText(shape: Shape, maxBytes: number = MAX_NORMALISED_BYTES): string {
  const { bytes, length } = shape;
  let parameter = shape.parameters;
  let text = "";
  let from = 0;
  const flush = (to: number): void => {
    text += Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("utf8");
  };
  const cut = Math.min(length, characterEnd(bytes, length, maxBytes));
  for (let at = 0; at < cut; at++) {
    const byte = bytes[at] as number;
    if (byte > LITERAL.grouped) continue;
    flush(at);
    text += NOTATION[byte] ?? `$${++parameter}`;
    from = at + 1;
  }
  flush(cut);
  if (cut === length && !shape.exact) return text;
  return text + ELLIPSIS;
}

/** The end of the last whole character before `maxBytes`, room left for numbers and the ellipsis. */
function characterEnd(bytes: Uint8Array, length: number, maxBytes: number): number {
  if (length <= maxBytes / 4) return length;
  let budget = maxBytes - 8;
  let at = 0;
  while (at < length && budget > 0) {
    budget -= (bytes[at] as number) <= LITERAL.grouped ? 5 : 1;
    at++;
  }
  while (at > 0 && at < length && ((bytes[at] as number) & 0xc0) === 0x80) at--;
  return at;
}
