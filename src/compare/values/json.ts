import { Buffer } from "node:buffer";
import { canonicalDecimal } from "./decimal.ts";
import { latin1, readable, scalarFamily } from "./value.ts";
import type { Family, Raw } from "./value.ts";

/** json and jsonb: objects without order, numbers as exact decimals. Binary jsonb has a version byte first. */
export const JSON_DOCUMENT: Family = scalarFamily({
  group: "json",
  read: (raw) => canonicalJson(documentText(raw)),
  differs: "json_value",
  format: "json_format",
  render: (raw) => readable(documentText(raw)),
});

/** Nesting beyond this is compared as text: the stack is not the document's to use. */
const MAX_DEPTH = 1000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

type Cursor = { readonly text: string; at: number };

/** One spelling for equal documents: keys sorted, the last of equal keys kept. Undefined: not JSON. */
function canonicalJson(text: string): string | undefined {
  const cursor: Cursor = { text, at: 0 };
  const value = readValue(cursor, 0);
  skipSpace(cursor);
  return cursor.at === text.length ? value : undefined;
}

function documentText(raw: Raw): string {
  if (typeof raw === "string") return raw;
  return latin1(raw[0] === 1 ? raw.subarray(1) : raw);
}

function readValue(cursor: Cursor, depth: number): string | undefined {
  skipSpace(cursor);
  if (depth > MAX_DEPTH) return undefined;
  switch (cursor.text.charAt(cursor.at)) {
    case "{":
      return readObject(cursor, depth);
    case "[":
      return readArray(cursor, depth);
    case '"':
      return readString(cursor);
    default:
      return readWord(cursor);
  }
}

function readWord(cursor: Cursor): string | undefined {
  const word = take(cursor, /[-+.\w]+/y);
  if (word === "true" || word === "false" || word === "null") return word;
  return /^-?\d/.test(word) ? canonicalDecimal(word) : undefined;
}

function readArray(cursor: Cursor, depth: number): string | undefined {
  const items: string[] = [];
  cursor.at++;
  skipSpace(cursor);
  if (eat(cursor, "]")) return "[]";
  for (;;) {
    const item = readValue(cursor, depth + 1);
    if (item === undefined) return undefined;
    items.push(item);
    skipSpace(cursor);
    if (eat(cursor, "]")) return `[${items.join(",")}]`;
    if (!eat(cursor, ",")) return undefined;
  }
}

function readObject(cursor: Cursor, depth: number): string | undefined {
  const members = new Map<string, string>();
  cursor.at++;
  skipSpace(cursor);
  if (eat(cursor, "}")) return "{}";
  for (;;) {
    skipSpace(cursor);
    const key = cursor.text[cursor.at] === '"' ? readString(cursor) : undefined;
    skipSpace(cursor);
    if (key === undefined || !eat(cursor, ":")) return undefined;
    const value = readValue(cursor, depth + 1);
    if (value === undefined) return undefined;
    members.set(key, value);
    skipSpace(cursor);
    if (eat(cursor, "}")) break;
    if (!eat(cursor, ",")) return undefined;
  }
  const sorted = [...members].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([key, value]) => `${key}:${value}`).join(",")}}`;
}

/** The string with its quotes, escapes resolved into UTF-8 bytes (as latin-1), quotes doubled. */
function readString(cursor: Cursor): string | undefined {
  const start = cursor.at + 1;
  let end = start;
  // A loop, because a regular expression's stack is not made for strings of megabytes.
  while (end < cursor.text.length && cursor.text.charCodeAt(end) !== QUOTE) {
    end += cursor.text.charCodeAt(end) === BACKSLASH ? 2 : 1;
  }
  if (end >= cursor.text.length) return undefined;
  cursor.at = end + 1;
  const inner = cursor.text.slice(start, end);
  const plain = inner.includes("\\") ? inner.replace(ESCAPE, unescape) : inner;
  return `"${plain.replaceAll('"', '""')}"`;
}

const ESCAPE =
  /\\(?:((?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2})|u[\da-fA-F]{4})|(.))/gs;
const SHORT: ReadonlyMap<string, string> = new Map([
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

function unescape(_: string, unicode: string | undefined, short: string | undefined): string {
  if (unicode === undefined) return SHORT.get(short ?? "") ?? short ?? "";
  const units = unicode.match(/[\da-fA-F]{4}/g) ?? [];
  const character = String.fromCharCode(...units.map((unit) => Number.parseInt(unit, 16)));
  return Buffer.from(character, "utf8").toString("latin1");
}

function skipSpace(cursor: Cursor): void {
  take(cursor, /[ \t\r\n]*/y);
}

function eat(cursor: Cursor, character: string): boolean {
  if (cursor.text[cursor.at] !== character) return false;
  cursor.at++;
  return true;
}

function take(cursor: Cursor, sticky: RegExp): string {
  sticky.lastIndex = cursor.at;
  const found = sticky.exec(cursor.text)?.[0] ?? "";
  cursor.at += found.length;
  return found;
}
