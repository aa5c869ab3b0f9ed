/**
 * The tokens of PostgreSQL's lexer that may hide others: comments, strings and numbers. Each
 * function takes the place after (or at) a token's beginning and returns the place after its end.
 *
 * @see https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */

const QUOTE = 0x27;
const BACKSLASH = 0x5c;
const DOLLAR = 0x24;
const STAR = 0x2a;
const SLASH = 0x2f;
const DOT = 0x2e;
const UNDERSCORE = 0x5f;
const ZERO = 0x30;

/** To the end of the line, which is not part of the comment. */
export function skipLine(sql: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && sql[at] !== 0x0a && sql[at] !== 0x0d) at++;
  return at;
}

/** From after the opening mark of a comment, which may hold others. @returns -1 when it does not end. */
export function skipBlockComment(sql: Uint8Array, from: number, end: number): number {
  let depth = 1;
  for (let at = from; at + 1 < end; at++) {
    if (sql[at] === STAR && sql[at + 1] === SLASH) {
      at++;
      if (--depth === 0) return at + 1;
    } else if (sql[at] === SLASH && sql[at + 1] === STAR) {
      at++;
      depth++;
    }
  }
  return -1;
}

/**
 * From after the opening quote of '…'. @returns -1 when it does not end, or when an odd run of
 * backslashes stands before a quote: then the end depends on standard_conforming_strings.
 */
export function skipString(sql: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    if (sql[at] !== QUOTE) {
      at++;
      continue;
    }
    if (at > from && sql[at - 1] === BACKSLASH && oddBackslashes(sql, from, at)) return -1;
    if (at + 1 >= end || sql[at + 1] !== QUOTE) return at + 1;
    at += 2;
  }
  return -1;
}

function oddBackslashes(sql: Uint8Array, from: number, quote: number): boolean {
  let at = quote;
  while (at > from && sql[at - 1] === BACKSLASH) at--;
  return (quote - at) % 2 === 1;
}

/** From after the opening quote of E'…'. @returns -1 when it does not end. */
export function skipEscapeString(sql: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const byte = sql[at];
    if (byte === BACKSLASH) at += 2;
    else if (byte !== QUOTE) at++;
    else if (at + 1 < end && sql[at + 1] === QUOTE) at += 2;
    else return at + 1;
  }
  return -1;
}

/** From a dollar. @returns undefined when no dollar-quoted string begins here, -1 when it does not end. */
export function skipDollarString(sql: Uint8Array, from: number, end: number): number | undefined {
  let tagEnd = from + 1;
  while (tagEnd < end && isTagByte(sql[tagEnd] as number, tagEnd === from + 1)) tagEnd++;
  if (tagEnd >= end || sql[tagEnd] !== DOLLAR) return undefined;
  const delimiter = tagEnd + 1 - from;
  for (let at = tagEnd + 1; at + delimiter <= end; at++) {
    if (sql[at] === DOLLAR && sameBytes(sql, from, at, delimiter)) return at + delimiter;
  }
  return -1;
}

function isTagByte(byte: number, first: boolean): boolean {
  return isLetter(byte) || byte === UNDERSCORE || byte >= 0x80 || (!first && isDigit(byte));
}

function sameBytes(sql: Uint8Array, one: number, other: number, length: number): boolean {
  for (let offset = 0; offset < length; offset++) {
    if (sql[one + offset] !== sql[other + offset]) return false;
  }
  return true;
}

/** How a number is written, as LITERAL of shape.ts numbers it. */
const PLAIN_NUMBER = 1;
const HEX = 4;
const OCTAL = 5;
const BINARY = 6;
const GROUPED = 7;

/** More than the marks there are, so that an end and a mark fit in one number. */
export const NUMBER_MARKS = 8;

/**
 * From a digit or a dot. As PostgreSQL 18 reads numbers: older servers read `1_000` and `0x1F` as a
 * number and an alias.
 * @returns `end * NUMBER_MARKS + mark`, or -1 when no number begins here
 */
export function skipNumber(sql: Uint8Array, from: number, end: number): number {
  const radix = sql[from] === ZERO && from + 2 < end ? radixMark(sql[from + 1] as number) : 0;
  if (radix !== 0) {
    const at = skipDigits(sql, from + 2, end, radix);
    if (at > from + 2) return at * NUMBER_MARKS + radix;
  }
  let at = skipDigits(sql, from, end, PLAIN_NUMBER);
  const whole = at > from;
  // `1..10` is a range of PL/pgSQL, not `1.` and `.10`.
  if (sql[at] === DOT && at < end && !(whole && sql[at + 1] === DOT)) {
    const fraction = skipDigits(sql, at + 1, end, PLAIN_NUMBER);
    if (!whole && fraction === at + 1) return -1;
    at = fraction;
  } else if (!whole) {
    return -1;
  }
  at = skipExponent(sql, at, end);
  return at * NUMBER_MARKS + (hasUnderscore(sql, from, at) ? GROUPED : PLAIN_NUMBER);
}

function radixMark(letter: number): number {
  const lower = letter | 0x20;
  if (lower === 0x78) return HEX;
  if (lower === 0x6f) return OCTAL;
  return lower === 0x62 ? BINARY : 0;
}

/** Digits with single underscores between them; after `0x` one may also come first. */
function skipDigits(sql: Uint8Array, from: number, end: number, mark: number): number {
  let at = from;
  while (at < end) {
    if (isDigitOf(mark, sql[at] as number)) at++;
    else if (
      sql[at] === UNDERSCORE &&
      (at > from || mark !== PLAIN_NUMBER) &&
      at + 1 < end &&
      isDigitOf(mark, sql[at + 1] as number)
    )
      at += 2;
    else break;
  }
  return at;
}

function skipExponent(sql: Uint8Array, at: number, end: number): number {
  if (at >= end || ((sql[at] as number) | 0x20) !== 0x65) return at;
  const sign = sql[at + 1] === 0x2b || sql[at + 1] === 0x2d ? 1 : 0;
  const digits = skipDigits(sql, at + 1 + sign, end, PLAIN_NUMBER);
  return digits > at + 1 + sign ? digits : at;
}

function hasUnderscore(sql: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (sql[at] === UNDERSCORE) return true;
  return false;
}

function isDigitOf(mark: number, byte: number): boolean {
  if (mark === HEX) return isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
  if (mark === OCTAL) return byte >= ZERO && byte < ZERO + 8;
  if (mark === BINARY) return byte === ZERO || byte === ZERO + 1;
  return isDigit(byte);
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39;
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

const CLOCK_WORD =
  /^\s*(?:[-+\d][-+:.\d]*\s+)?(?:now|today|tomorrow|yesterday)(?:\s+[-+\d][-+:.\d]*)?(?:\s+[a-z/_]+)?\s*$/i;

/** The content of a string is a moment that PostgreSQL reads off its clock: 'now', 'today 04:00'. */
export function isClockWord(sql: Uint8Array, from: number, to: number): boolean {
  const length = to - from;
  if (length < 3 || length > 40) return false;
  // Nearly every string is told apart by its first and last letter.
  const first = (sql[from] as number) | 0x20;
  const last = (sql[to - 1] as number) | 0x20;
  if (first !== 0x6e && first !== 0x74 && first !== 0x79 && last !== 0x77 && last !== 0x79) {
    if (first !== 0x20 && last !== 0x20) return false;
  }
  return CLOCK_WORD.test(String.fromCharCode(...sql.subarray(from, to)));
}
