import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  visit,
} from "yaml";
import type { Document, ErrorCode, Node, Scalar } from "yaml";
import type { Path, Problem } from "./problem.ts";

export type Position = { readonly line: number; readonly column: number };

/** A YAML document that knows where each of its entries stands. */
export type Source = {
  /** The text scalars, each once, with their paths; `value` may be set to change what `raw` gives. */
  readonly texts: readonly { readonly path: Path; readonly scalar: Scalar<string> }[];
  /** Plain JavaScript values. */
  raw(): unknown;
  /** Position of an entry, or of the nearest one around it. Lines and columns count from 1. */
  locate(path: Path, at: Problem["at"]): Position;
};

export type SourceOutcome =
  | { readonly kind: "source"; readonly source: Source }
  | { readonly kind: "broken"; readonly problems: readonly (Position & { message: string })[] };

/** Reads one YAML 1.2 document. Never repeats the text in a message: it may hold secrets. */
export function parseSource(text: string): SourceOutcome {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const [document, second] = Array.isArray(documents) ? documents : [];
  if (document === undefined) {
    return { kind: "broken", problems: [{ line: 1, column: 1, message: "is empty" }] };
  }
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const problems = syntaxProblems(document).map(([offset, message]) => ({
    ...position(offset),
    message,
  }));
  if (second !== undefined) {
    problems.push({ ...position(second.range[0]), message: "a second document: only one is read" });
  }
  if (problems.length > 0) return { kind: "broken", problems };
  return { kind: "source", source: sourceOf(document, position) };
}

/** One mistake makes the parser stumble over what follows, so only the first of a kind of its own is named. */
function syntaxProblems(document: Document): [offset: number, message: string][] {
  const errors = [...document.errors, ...document.warnings];
  const duplicates = errors.filter(({ code }) => code === "DUPLICATE_KEY");
  const [first] = errors.filter(({ code }) => code !== "DUPLICATE_KEY");
  const named = first === undefined ? duplicates : [first, ...duplicates];
  const found = named.map(({ pos, code }): [number, string] => [
    pos[0],
    SENTENCES[code] ?? "is not valid YAML here",
  ]);
  return found.length > 0 ? found : aliasProblems(document);
}

/** The parser leaves aliases to whoever asks for the values. */
function aliasProblems(document: Document): [offset: number, message: string][] {
  const found: [offset: number, message: string][] = [];
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document) === undefined) {
        found.push([node.range?.[0] ?? 0, "an alias names no anchor before it"]);
      }
    },
  });
  if (found.length > 0) return found;
  try {
    document.toJS({ maxAliasCount: MAX_ALIASES });
    return [];
  } catch {
    return [[0, "the aliases multiply beyond what is read"]];
  }
}

const MAX_ALIASES = 100;

function sourceOf(document: Document, position: (offset: number) => Position): Source {
  return {
    texts: textScalars(document),
    raw: () => document.toJS({ maxAliasCount: MAX_ALIASES }),
    locate(path, at) {
      const node = nodeAt(document, path, at);
      return position(node?.range?.[0] ?? 0);
    },
  };
}

function textScalars(document: Document): { path: Path; scalar: Scalar<string> }[] {
  const found: { path: Path; scalar: Scalar<string> }[] = [];
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === "key" || typeof node.value !== "string") return;
      found.push({ path: pathOf([...ancestors, node]), scalar: node as Scalar<string> });
    },
  });
  return found;
}

/** `visit` passes maps, their pairs and sequences; keys are in the pairs, indexes in the sequences. */
function pathOf(chain: readonly unknown[]): Path {
  return chain.flatMap((node, index): Path => {
    const child = chain[index + 1];
    if (isSeq(node)) return [node.items.indexOf(child)];
    if (!isMap(node)) return [];
    const pair = node.items.find((item) => item === child);
    return isScalar(pair?.key) ? [String(pair.key.value)] : [];
  });
}

function nodeAt(document: Document, path: Path, at: Problem["at"]): Node | undefined {
  let node: Node | undefined = isNode(document.contents) ? document.contents : undefined;
  for (const [depth, step] of path.entries()) {
    const last = depth === path.length - 1;
    const next = childAt(document, node, step, last && at === "key");
    if (next === undefined) return node;
    node = next;
  }
  return node;
}

function childAt(
  document: Document,
  node: Node | undefined,
  step: string | number,
  wantKey: boolean,
): Node | undefined {
  const resolved = isAlias(node) ? node.resolve(document) : node;
  if (isSeq(resolved)) {
    const item = resolved.items[Number(step)];
    return isNode(item) ? item : undefined;
  }
  if (!isMap(resolved)) return undefined;
  const pair = resolved.items.find(({ key }) => isScalar(key) && String(key.value) === step);
  const found = wantKey || pair?.value === null ? pair?.key : pair?.value;
  return isNode(found) ? found : undefined;
}

/** The parser's own messages quote the document. */
const SENTENCES: Partial<Record<ErrorCode, string>> = {
  BAD_DQ_ESCAPE: "an escape in a quoted text is not valid",
  BAD_INDENT: "the indentation does not fit what stands above, or a bracket is not closed",
  BAD_SCALAR_START: "a text that begins with this character must be quoted",
  BLOCK_AS_IMPLICIT_KEY: "a mapping begins where a value was expected",
  DUPLICATE_KEY: "this key stands twice in one mapping",
  MISSING_CHAR: "a quote, bracket, comma, colon or space is missing",
  MULTILINE_IMPLICIT_KEY: "a key must stand on one line: is a colon or a quote missing?",
  TAB_AS_INDENT: "a tab cannot be used to indent",
  TAG_RESOLVE_FAILED: "a tag is not known",
  UNEXPECTED_TOKEN: "this was not expected here: is a value that needs quotes unquoted?",
};
