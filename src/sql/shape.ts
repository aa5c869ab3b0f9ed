import { Buffer } from "node:buffer";
import {
  isClockWord,
  NUMBER_MARKS,
  skipBlockComment,
  skipDollarString,
  skipEscapeString,
  skipLine,
  skipNumber,
  skipString,
} from "./lexemes.ts";

/**
 * What stands in a shape where the text has a literal. Control bytes, which SQL has no use for
 * outside quotes, so that a shape can be told from every other text.
 */
export const LITERAL = {
  number: 1,
  string: 2,
  /** 'now', 'today', …: strings that are another moment at each reading. */
  moment: 3,
  hex: 4,
  octal: 5,
  binary: 6,
  /** `1_000`: a number since PostgreSQL 16, a number and an alias before. */
  grouped: 7,
} as const;

/** A reusable place for the shape of one text. Every scan overwrites it. */
export type Shape = {
  /** The shape is `bytes[0 .. length]`; grows with the texts scanned. */
  bytes: Uint8Array;
  length: number;
  hash: number;
  /**
   * The text could not be read with certainty (open quotes, ambiguous backslashes, control bytes):
   * only the exact text identifies it, and the shape ends where certainty ended.
   */
  exact: boolean;
  /** Start and end of each literal, relative to the start of the text; the first MAX_SPANS of them. */
  readonly spans: Int32Array;
  literals: number;
  /** The highest `$n` seen. */
  parameters: number;
  /** Some literal is a moment. */
  moment: boolean;
  /** One bit per kind of number that older servers read differently: `1 << LITERAL.hex` and so on. */
  notations: number;
  /** Where the scan stands; of no use after it. */
  readonly scan: Scan;
};

type Scan = {
  sql: Uint8Array;
  start: number;
  end: number;
  gap: number;
  /** Where in the text the last word began. */
  wordAt: number;
  /** A block comment came after the last string: it keeps the next from being one with it. */
  comment: boolean;
  /** Where in the shape the last string's mark ended, and whether it had backslash escapes. */
  stringAt: number;
  escapes: boolean;
};

export const MAX_SPANS = 256;

const NO_BYTES = new Uint8Array(0);

/** An empty shape. One per analyser: scanning allocates nothing but a larger buffer now and then. */
export function newShape(): Shape {
  return {
    bytes: new Uint8Array(4096),
    length: 0,
    hash: 0,
    exact: false,
    spans: new Int32Array(2 * MAX_SPANS),
    literals: 0,
    parameters: 0,
    moment: false,
    notations: 0,
    scan: {
      sql: NO_BYTES,
      start: 0,
      end: 0,
      gap: GAP_NONE,
      wordAt: -1,
      comment: false,
      stringAt: -1,
      escapes: false,
    },
  };
}

/** 0 is for operators and punctuation, which stand for themselves. */
const WORD = 1;
const SPACE = 2;
const SPECIAL = 3;
const BROKEN = 4;

/** What a byte begins. */
const KIND: Uint8Array = kinds();

function kinds(): Uint8Array {
  const table = new Uint8Array(256);
  table.fill(BROKEN, 0, 0x20);
  table.fill(WORD, 0x80);
  for (const byte of Buffer.from("\t\n\f\r ")) table[byte] = SPACE;
  for (const byte of Buffer.from("abcdefghijklmnopqrstuvwxyz_")) table[byte] = WORD;
  for (const byte of Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) table[byte] = WORD;
  for (const byte of Buffer.from("0123456789.'\"$-/")) table[byte] = SPECIAL;
  table[0x7f] = BROKEN;
  return table;
}

/** 1 for the bytes that go on with a word. */
const IN_WORD: Uint8Array = KIND.map((kind, byte) =>
  kind === WORD || (byte >= 0x30 && byte <= 0x39) || byte === 0x24 ? 1 : 0,
);

const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const DOT = 0x2e;
const STAR = 0x2a;
const SLASH = 0x2f;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BLANK = 0x20;

/** What stands between the last token and the next: nothing, white space, or one with a line end. */
const GAP_NONE = 0;
const GAP_SPACE = 1;
const GAP_LINE = 2;

/**
 * Scans `sql[start .. end]` into `shape`: literals become marks, comments and runs of white space
 * one blank, all else stays. Any encoding that holds ASCII as it is will do. Never throws.
 * Every statement passes here, so words, blanks and operators are handled in one loop.
 */
export function scanShape(shape: Shape, sql: Uint8Array, start: number, end: number): void {
  reset(shape, sql, start, end);
  const { scan, bytes } = shape;
  let length = 0;
  let gap = GAP_NONE;
  let wordAt = -1;
  let at = start;
  while (at < end) {
    const byte = sql[at] as number;
    const kind = KIND[byte] as number;
    if (kind === SPACE) {
      at++;
      if (byte === NEWLINE || byte === RETURN) gap = GAP_LINE;
      else if (gap === GAP_NONE) gap = GAP_SPACE;
      continue;
    }
    // The dot of `o.id` is by far the most frequent one.
    if (kind >= SPECIAL && !(byte === DOT && KIND[sql[at + 1] as number] === WORD)) {
      shape.length = length;
      scan.gap = gap;
      scan.wordAt = wordAt;
      at = kind === SPECIAL ? scanSpecial(shape, at, byte) : -1;
      length = shape.length;
      gap = scan.gap;
      if (at < 0) {
        shape.exact = true;
        break;
      }
      continue;
    }
    if (gap !== GAP_NONE) {
      gap = GAP_NONE;
      if (length > 0) bytes[length++] = BLANK;
    }
    bytes[length++] = byte;
    at++;
    if (kind !== WORD) continue;
    wordAt = at - 1;
    while (at < end) {
      const next = sql[at] as number;
      if (IN_WORD[next] !== 1) break;
      bytes[length++] = next;
      at++;
    }
  }
  shape.length = length;
  shape.hash = hashOf(bytes, 0, length);
}

/** FNV-1a over some bytes, as a signed 32-bit number (which the engine keeps unboxed). */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  return hash;
}

function reset(shape: Shape, sql: Uint8Array, start: number, end: number): void {
  // A shape is never longer than its text; one byte more is for the mark of a broken literal.
  if (shape.bytes.length <= end - start) shape.bytes = new Uint8Array(2 * (end - start) + 1);
  shape.exact = false;
  shape.literals = 0;
  shape.parameters = 0;
  shape.moment = false;
  shape.notations = 0;
  const { scan } = shape;
  scan.sql = sql;
  scan.start = start;
  scan.end = end;
  scan.gap = GAP_NONE;
  scan.comment = false;
  scan.stringAt = -1;
}

function closeGap(shape: Shape, byte: number): void {
  if (shape.scan.gap === GAP_NONE) return;
  if (shape.length > 0) shape.bytes[shape.length++] = byte;
  shape.scan.gap = GAP_NONE;
  shape.scan.comment = false;
}

/** @returns where to go on, or -1 when certainty ends here. */
function scanSpecial(shape: Shape, at: number, byte: number): number {
  const { sql, end } = shape.scan;
  if (byte === QUOTE) return scanQuote(shape, at);
  if (byte === MINUS || byte === SLASH) return scanDash(shape, at, byte);
  closeGap(shape, BLANK);
  if (byte === DOUBLE_QUOTE) return scanIdentifier(shape, at);
  if (byte === DOLLAR) return scanDollar(shape, at);
  const number = byte === DOT && sql[at + 1] === DOT ? -1 : skipNumber(sql, at, end);
  if (number < 0) {
    shape.bytes[shape.length++] = byte;
    if (at + 1 === end || sql[at + 1] !== DOT) return at + 1;
    // `..` is one token: the second dot begins no number.
    shape.bytes[shape.length++] = DOT;
    return at + 2;
  }
  const mark = number % NUMBER_MARKS;
  const close = (number - mark) / NUMBER_MARKS;
  if (mark !== LITERAL.number) shape.notations |= 1 << mark;
  addLiteral(shape, at, close, mark);
  return close;
}

/** A comment, or a minus or slash that is an operator or part of one. */
function scanDash(shape: Shape, at: number, byte: number): number {
  const { scan } = shape;
  const next = at + 1 < scan.end ? (scan.sql[at + 1] as number) : 0;
  if (next === (byte === MINUS ? MINUS : STAR)) {
    if (scan.gap === GAP_NONE) scan.gap = GAP_SPACE;
    if (byte === MINUS) return skipLine(scan.sql, at + 2, scan.end);
    scan.comment = true;
    return skipBlockComment(scan.sql, at + 2, scan.end);
  }
  closeGap(shape, BLANK);
  shape.bytes[shape.length++] = byte;
  return at + 1;
}

function scanQuote(shape: Shape, at: number): number {
  const { scan } = shape;
  const { sql, start } = scan;
  if (scan.stringAt === shape.length && scan.gap === GAP_LINE && !scan.comment) {
    // 'one' on one line and 'two' on the next are the literal 'onetwo'.
    closeGap(shape, NEWLINE);
    const before = shape.literals - 1;
    const close = scanString(shape, at, at, scan.escapes);
    shape.literals--;
    if (before < MAX_SPANS) shape.spans[2 * before + 1] = close - start;
    return close;
  }
  if (scan.gap === GAP_NONE && scan.wordAt === at - 1 && ((sql[at - 1] as number) | 0x20) === 0x65)
    return scanString(shape, at - 1, at, true);
  closeGap(shape, BLANK);
  return scanString(shape, at, at, false);
}

/**
 * @param from where the literal begins, its E included
 * @param quote the opening quote
 */
function scanString(shape: Shape, from: number, quote: number, escapes: boolean): number {
  const { scan } = shape;
  const { sql, end } = scan;
  const close = escapes ? skipEscapeString(sql, quote + 1, end) : skipString(sql, quote + 1, end);
  const moment = close >= 0 && !escapes && isClockWord(sql, quote + 1, close - 1);
  if (moment) shape.moment = true;
  addLiteral(shape, from, close, moment ? LITERAL.moment : LITERAL.string);
  scan.stringAt = shape.length;
  scan.escapes = escapes;
  scan.comment = false;
  return close;
}

function scanIdentifier(shape: Shape, from: number): number {
  const { sql, end } = shape.scan;
  let at = from;
  do {
    const byte = sql[at] as number;
    if (byte < 0x20) return -1;
    shape.bytes[shape.length++] = byte;
    at++;
    if (byte === DOUBLE_QUOTE && at > from + 1) return at;
  } while (at < end);
  return -1;
}

/** `$1`, `$tag$ … $tag$` or a stray dollar. */
function scanDollar(shape: Shape, from: number): number {
  const { sql, end } = shape.scan;
  const close = skipDollarString(sql, from, end);
  if (close !== undefined) {
    addLiteral(shape, from, close, LITERAL.string);
    return close;
  }
  shape.bytes[shape.length++] = DOLLAR;
  let at = from + 1;
  let parameter = 0;
  while (at < end) {
    const digit = (sql[at] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    parameter = parameter * 10 + digit;
    shape.bytes[shape.length++] = digit + 0x30;
    at++;
  }
  // The protocol counts parameters in 16 bits.
  if (parameter > shape.parameters) shape.parameters = Math.min(parameter, 65_535);
  return at;
}

function addLiteral(shape: Shape, from: number, to: number, mark: number): void {
  if (shape.literals < MAX_SPANS) {
    shape.spans[2 * shape.literals] = from - shape.scan.start;
    shape.spans[2 * shape.literals + 1] = to - shape.scan.start;
  }
  shape.literals++;
  shape.bytes[shape.length++] = mark;
}
