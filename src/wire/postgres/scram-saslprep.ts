import { isUtf8 } from "node:buffer";
import { LEFT_TO_RIGHT, REFUSED, RIGHT_TO_LEFT } from "./scram-saslprep-tables.ts";

/** First and last character of each range, in order. */
type Ranges = readonly number[];

const refused = decodeRanges(REFUSED);
const rightToLeft = decodeRanges(RIGHT_TO_LEFT);
const leftToRight = decodeRanges(LEFT_TO_RIGHT);

/**
 * The bytes of a password as SCRAM hashes them: SASLprep, and like in PostgreSQL the bytes unchanged
 * where it does not apply (no UTF-8, a prohibited or unassigned character, mixed directions).
 * @see https://www.rfc-editor.org/rfc/rfc4013
 */
export function saslPrep(password: string | Uint8Array): Uint8Array {
  const raw = typeof password === "string" ? Buffer.from(password, "utf8") : password;
  if (raw.every((byte) => byte < 0x80) || !isUtf8(raw)) return raw;
  const mapped = Buffer.from(raw)
    .toString("utf8")
    .replace(NON_ASCII_SPACE, " ")
    .replace(MAPPED_TO_NOTHING, "");
  // The checks look at the text before its normalisation. The RFC means the text after it, but what
  // counts is to agree with the verifiers that PostgreSQL has made.
  return acceptable(Array.from(mapped)) ? Buffer.from(mapped.normalize("NFKC"), "utf8") : raw;
}

/** Table C.1.2 of RFC 3454. */
const NON_ASCII_SPACE = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;

/** Table B.1 of RFC 3454. */
const MAPPED_TO_NOTHING =
  /\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/gu;

function acceptable(characters: readonly string[]): boolean {
  const codes = characters.map((character) => character.codePointAt(0) ?? 0);
  if (codes.length === 0 || codes.some((code) => contains(refused, code))) return false;
  if (!codes.some((code) => contains(rightToLeft, code))) return true;
  const ends = [codes[0] ?? 0, codes.at(-1) ?? 0];
  return (
    ends.every((code) => contains(rightToLeft, code)) &&
    !codes.some((code) => contains(leftToRight, code))
  );
}

function contains(ranges: Ranges, code: number): boolean {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[2 * middle + 1] ?? 0) < code) low = middle + 1;
    else high = middle;
  }
  return (ranges[2 * low] ?? Infinity) <= code;
}

function decodeRanges(text: string): Ranges {
  const ranges: number[] = [];
  let end = 0;
  for (const range of text.split(" ")) {
    const [distance = "", length = "0"] = range.split("+");
    const first = end + Number.parseInt(distance, 36);
    end = first + Number.parseInt(length, 36);
    ranges.push(first, end);
  }
  return ranges;
}
