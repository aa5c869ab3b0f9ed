/** One entry of a plain dump's table of contents: what `pg_dump` writes below `-- Name: …; Type: …`. */
export type DumpEntry = {
  /** As `pg_dump` calls it: TABLE, CONSTRAINT, FK CONSTRAINT, INDEX, ACL, … */
  readonly type: string;
  readonly name: string;
  /** Without semicolons at their ends. */
  readonly statements: readonly string[];
};

const HEADER = /^-- Name: (.*); Type: (.*?); Schema: (.*?); Owner: (.*)$/;

/** Where a token that may hold a semicolon ends. Each is tried at the very position. */
const TOKENS: readonly RegExp[] = [
  /--[^\n]*/y,
  /[eE]'(?:[^'\\]|''|\\[\s\S])*'/y,
  /'(?:[^']|'')*'/y,
  /"(?:[^"]|"")*"/y,
  /\$([A-Za-z_\u0080-\uFFFF][\w\u0080-\uFFFF]*|)\$[\s\S]*?\$\1\$/y,
  /[A-Za-z_\u0080-\uFFFF][\w$\u0080-\uFFFF]*/y,
];

/**
 * Takes a plain dump apart. Statements end at semicolons outside of texts, names, dollar quotes, comments, parentheses
 * and bodies between BEGIN ATOMIC and END, as psql has it. Lines for psql (`\restrict`) are left out, and so is what
 * comes before the first entry: the dump's own settings.
 */
export function splitDump(dump: string): DumpEntry[] {
  const entries: { type: string; name: string; statements: string[] }[] = [];
  let at = 0;
  for (;;) {
    at = skipBetween(dump, at, (line) => {
      const [, name, type] = HEADER.exec(line) ?? [];
      if (name !== undefined && type !== undefined) entries.push({ type, name, statements: [] });
    });
    if (at >= dump.length) return entries;
    const end = statementEnd(dump, at);
    entries.at(-1)?.statements.push(dump.slice(at, end).trimEnd());
    at = end + 1;
  }
}

/** Blanks, comments and psql's lines, up to where a statement begins. */
function skipBetween(dump: string, from: number, comment: (line: string) => void): number {
  let at = from;
  for (;;) {
    while (/\s/.test(dump[at] ?? "")) at++;
    if (dump.startsWith("/*", at)) {
      at = blockCommentEnd(dump, at);
      continue;
    }
    if (!dump.startsWith("--", at) && dump[at] !== "\\") return at;
    const newline = dump.indexOf("\n", at);
    const end = newline === -1 ? dump.length : newline;
    comment(dump.slice(at, end).trimEnd());
    at = end;
  }
}

function statementEnd(dump: string, from: number): number {
  let parentheses = 0;
  let bodies = 0;
  const words: string[] = [];
  let at = from;
  while (at < dump.length) {
    const end = dump.startsWith("/*", at) ? blockCommentEnd(dump, at) : tokenEnd(dump, at);
    const token = dump.slice(at, end);
    if (token === "(") parentheses++;
    else if (token === ")") parentheses--;
    else if (token === ";" && parentheses === 0 && bodies === 0) return at;
    else if (/^[A-Za-z]/.test(token) && !token.endsWith("'")) {
      const word = token.toLowerCase();
      if (words.length < 4) words.push(word);
      if (parentheses === 0) bodies += depthOf(word, words, bodies);
    }
    at = end;
  }
  return dump.length;
}

/** How a word changes the depth of a function's body; CASE has an END of its own. */
function depthOf(word: string, words: readonly string[], bodies: number): number {
  if (!/^create (or replace )?(function|procedure)/.test(words.join(" "))) return 0;
  if (word === "begin") return 1;
  if (word === "case") return bodies > 0 ? 1 : 0;
  return word === "end" && bodies > 0 ? -1 : 0;
}

function tokenEnd(dump: string, at: number): number {
  for (const token of TOKENS) {
    token.lastIndex = at;
    const match = token.exec(dump);
    if (match !== null) return at + match[0].length;
  }
  return at + 1;
}

/** They nest. */
function blockCommentEnd(dump: string, from: number): number {
  let depth = 0;
  let at = from;
  do {
    if (dump.startsWith("/*", at)) depth++;
    else if (dump.startsWith("*/", at)) depth--;
    else {
      at++;
      continue;
    }
    at += 2;
  } while (depth > 0 && at < dump.length);
  return at;
}
