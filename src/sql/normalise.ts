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

/** `$65536` and a few more. */
const MAX_LITERAL_BYTES = 6;

const QUOTE = 0x27;
/** Some places, such as the precision of a type, take no zero. */
const ONE = 0x31;

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

/**
 * The text of a shape with a literal of the same kind in the place of each, so that the parser
 * accepts it wherever it accepts the text, and texts of one shape become one.
 */
export function neutralText(shape: Shape): Uint8Array {
  const { bytes, length } = shape;
  const text = new Uint8Array(2 * length);
  let end = 0;
  for (let at = 0; at < length; at++) {
    const byte = bytes[at] as number;
    if (byte === LITERAL.string || byte === LITERAL.moment) {
      text[end++] = QUOTE;
      text[end++] = QUOTE;
    } else {
      text[end++] = byte > LITERAL.grouped ? byte : ONE;
    }
  }
  return text.subarray(0, end);
}

/** The end of the last whole character before `maxBytes`, room left for numbers and the ellipsis. */
function characterEnd(bytes: Uint8Array, length: number, maxBytes: number): number {
  if (length <= maxBytes / MAX_LITERAL_BYTES - 8) return length;
  let budget = maxBytes - 8;
  let at = 0;
  while (at < length && budget > 0) {
    budget -= (bytes[at] as number) <= LITERAL.grouped ? MAX_LITERAL_BYTES : 1;
    at++;
  }
  while (at > 0 && at < length && ((bytes[at] as number) & 0xc0) === 0x80) at--;
  return at;
}
