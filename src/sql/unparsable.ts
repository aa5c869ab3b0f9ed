import { createHash } from "node:crypto";
import { noiseOfFunction } from "./builtin-functions.ts";
import { normalisedText } from "./normalise.ts";
import type { Noise, RowOrder, Statement } from "./statement.ts";
import type { Shape } from "./shape.ts";

/** How much of a text that was not parsed is looked at for words. */
const MAX_WORDS_BYTES = 65_536;

const WORD = /"(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*|\$?\d+|[^\s]/gu;

const READS: ReadonlySet<string> = new Set(["select", "values", "table", "with", "show", "fetch"]);

/** Any of these in it, and it may be no read after all. */
const WRITES: ReadonlySet<string> = new Set([
  "insert",
  "update",
  "delete",
  "merge",
  "into",
  "share",
  "truncate",
]);

/** Words before `(` that call nothing. */
const NOT_CALLED: ReadonlySet<string> = new Set(
  "select values in and or not as from where on using any all some exists over partition by filter with join order group having limit offset union except intersect case when then else array row cast distinct returning lateral set like ilike is between interval table".split(
    " ",
  ),
);

/**
 * What can be said of a text that the parser refused, or that is too long for it, from its words
 * alone. A server of another version may accept it: `SELECT 123abc` is fine on PostgreSQL 14.
 * @param whole the shape is of the whole text, so where it breaks off something else may follow
 */
export function unparsableStatement(shape: Shape, whole: boolean): Statement {
  const words = wordsOf(shape);
  const functions = functionsOf(words);
  const lower = words.map((word) => word.toLowerCase());
  const noise = new Set<Noise>();
  for (const name of functions) {
    const found = noiseOfFunction(name.split(".").at(-1) ?? name);
    if (found !== undefined) noise.add(found);
  }
  const order = orderOf(lower);
  if (order.kind === "any" && isLimited(lower)) noise.add("underspecified");
  return {
    kind: "unparsable",
    looksLike: looksLikeRead(lower) && !(whole && shape.exact) ? "read" : "other",
    fingerprint: shapeFingerprint(shape),
    normalised: normalisedText(shape),
    tables: tablesAfter(words, lower, new Set(["from", "join", "into", "update", "table", "only"])),
    written: tablesAfter(words, lower, new Set(["into", "update"])),
    functions,
    effects: [],
    noise: [...noise],
    order,
  };
}

/** A fingerprint for what the parser gives none: equal for equal shapes. */
export function shapeFingerprint(shape: Shape): string {
  return fingerprintOf(shape.bytes.subarray(0, shape.length));
}

/** 16 hex digits of a digest. */
export function fingerprintOf(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}

/** Words, quoted identifiers and single other characters of the text without its literals. */
function wordsOf(shape: Shape): readonly string[] {
  return normalisedText(shape, MAX_WORDS_BYTES).match(WORD) ?? [];
}

function looksLikeRead(words: readonly string[]): boolean {
  const first = words.find((word) => word !== "(");
  if (first === undefined || !READS.has(first)) return false;
  const semicolon = words.indexOf(";");
  if (semicolon >= 0 && semicolon < words.length - 1) return false;
  return !words.some((word) => WRITES.has(word));
}

function functionsOf(words: readonly string[]): readonly string[] {
  const functions = new Set<string>();
  words.forEach((word, index) => {
    if (words[index + 1] !== "(" || !isName(word) || NOT_CALLED.has(word.toLowerCase())) return;
    functions.add(qualified(words, index));
  });
  return [...functions];
}

/** The name that ends at `index`, with the schema before it. */
function qualified(words: readonly string[], index: number): string {
  const name = unquoted(words[index] ?? "");
  const schema = words[index - 2];
  return words[index - 1] === "." && schema !== undefined && isName(schema)
    ? `${unquoted(schema)}.${name}`
    : name;
}

function tablesAfter(
  words: readonly string[],
  lower: readonly string[],
  before: ReadonlySet<string>,
): readonly string[] {
  const tables = new Set<string>();
  lower.forEach((word, index) => {
    if (!before.has(word)) return;
    let at = index + 1;
    if (!isName(words[at] ?? "") || before.has(lower[at] ?? "")) return;
    while (words[at + 1] === "." && isName(words[at + 2] ?? "")) at += 2;
    if (words[at + 1] !== "(" || word === "into") tables.add(qualified(words, at));
  });
  return [...tables];
}

function isName(word: string): boolean {
  return /^["\p{L}_]/u.test(word);
}

function unquoted(word: string): string {
  return word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word.toLowerCase();
}

function orderOf(words: readonly string[]): RowOrder {
  const sorted = words.some((word, index) => word === "order" && words[index + 1] === "by");
  if (!sorted) return { kind: "any" };
  return { kind: "keys", columns: [], complete: false, limited: isLimited(words) };
}

function isLimited(words: readonly string[]): boolean {
  return words.includes("limit") || words.includes("offset") || words.indexOf("fetch") > 0;
}
