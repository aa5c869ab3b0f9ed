import { Buffer } from "node:buffer";

/** White space and comments, as between any two words. */
const GAP = String.raw`(?:\s|--[^\n\r]*|/\*(?:[^*]|\*(?!/))*\*/)`;
const NAME = String.raw`(?:"(?:[^"]|"")*"|[^\s"(]+)`;
/** Parameter types, with parentheses of their own: `(int, numeric(10, 2))`. */
const TYPES = String.raw`\((?:[^()]|\([^()]*\))*\)`;

const BEFORE_BODY = new RegExp(
  [
    String.raw`^${GAP}*prepare${GAP}+${NAME}${GAP}*(?:${TYPES})?${GAP}*as(?![\w$])`,
    String.raw`^${GAP}*declare${GAP}+${NAME}(?:${GAP}+[a-z]+)*?${GAP}+cursor(?:${GAP}+[a-z]+)*?${GAP}+for(?![\w$])`,
  ].join("|"),
  "i",
);

/** Longest beginning in which the body is looked for, in bytes. */
const MAX_BEFORE_BODY = 4096;

/** Where the query of a PREPARE or DECLARE begins, in bytes; undefined for every other statement. */
export function bodyOffset(sql: Uint8Array): number | undefined {
  const beginning = Buffer.from(sql.subarray(0, MAX_BEFORE_BODY)).toString("latin1");
  return BEFORE_BODY.exec(beginning)?.[0].length;
}
