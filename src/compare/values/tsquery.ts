import type { Buffer } from "node:buffer";
import { latin1, scalarFamily } from "./value.ts";
import type { Family, Raw } from "./value.ts";

/** tsquery: `'a':*A & ( 'b' | 'c' )`; binary is the same tree, operators before their operands. */
export const TSQUERY: Family = scalarFamily({
  group: "tsquery",
  read: readQuery,
  differs: "value",
  format: "value_format",
  render: readQuery,
});

/** The tree in one spelling, chains of `&` and of `|` flat. Undefined: no query. */
function readQuery(raw: Raw): string | undefined {
  const tree = typeof raw === "string" ? treeOfText(raw) : treeOfBytes(raw);
  return tree && spelled(tree);
}

type Tree =
  | { readonly operator: ""; readonly word: string }
  | { readonly operator: string; readonly operands: readonly Tree[] };

const NOTHING: Tree = { operator: "", word: "" };

function spelled(tree: Tree): string {
  if ("word" in tree) return tree.word;
  if (tree.operator === "!") return `!${tree.operands.map(spelled).join("")}`;
  return `( ${flat(tree).map(spelled).join(` ${tree.operator} `)} )`;
}

/** Without brackets `a & b & c` may be two trees, and they mean the same. Phrases are not like that. */
function flat(tree: Extract<Tree, { operands: unknown }>): readonly Tree[] {
  if (tree.operator.startsWith("<")) return tree.operands;
  return tree.operands.flatMap((operand) =>
    "operands" in operand && operand.operator === tree.operator ? flat(operand) : [operand],
  );
}

type Tokens = { readonly list: readonly string[]; at: number };

const TOKEN = /\s*('(?:[^'\\]|''|\\.)*'(?::\*?[A-D]*)?|<(?:-|\d+)>|[!&|()])\s*/gsy;
const BINARY_OPERATORS: readonly RegExp[] = [/^\|$/, /^&$/, /^<.*>$/];

function treeOfText(text: string): Tree | undefined {
  if (text.trim() === "") return NOTHING;
  const matches = [...text.matchAll(TOKEN)];
  if (matches.reduce((length, [whole]) => length + whole.length, 0) !== text.length) {
    return undefined;
  }
  const tokens = { list: matches.map((match) => match[1] ?? ""), at: 0 };
  const tree = readLevel(tokens, 0);
  return tokens.at === tokens.list.length ? tree : undefined;
}

/** `|` binds weakest, then `&`, then `<->`, then `!`. */
function readLevel(tokens: Tokens, level: number): Tree | undefined {
  const operator = BINARY_OPERATORS[level];
  if (operator === undefined) return readOperand(tokens);
  let left = readLevel(tokens, level + 1);
  while (left !== undefined && operator.test(tokens.list[tokens.at] ?? "")) {
    const sign = tokens.list[tokens.at++] ?? "";
    const right = readLevel(tokens, level + 1);
    left = right && {
      operator: sign === "<->" ? "<1>" : sign,
      operands: [left, right],
    };
  }
  return left;
}

function readOperand(tokens: Tokens): Tree | undefined {
  const token = tokens.list[tokens.at++] ?? "";
  if (token.startsWith("'")) return readWord(token);
  if (token === "!") {
    const operand = readOperand(tokens);
    return operand && { operator: "!", operands: [operand] };
  }
  const tree = token === "(" ? readLevel(tokens, 0) : undefined;
  return tokens.list[tokens.at++] === ")" ? tree : undefined;
}

function readWord(token: string): Tree {
  const end = token.lastIndexOf("'");
  const word = token.slice(1, end).replace(/''|\\(.)/gs, (_, escaped?: string) => escaped ?? "'");
  const marks = token.slice(end + 1);
  const weights = WEIGHTS.filter(([letter]) => marks.includes(letter)).map(([letter]) => letter);
  return leaf(word, marks.includes("*"), weights);
}

const WEIGHTS = [
  ["A", 8],
  ["B", 4],
  ["C", 2],
  ["D", 1],
] as const;

function leaf(word: string, isPrefix: boolean, weights: readonly string[]): Tree {
  const marks = `${isPrefix ? "*" : ""}${weights.join("")}`;
  return {
    operator: "",
    word: `'${word.replace(/['\\]/g, "$&$&")}'${marks === "" ? "" : `:${marks}`}`,
  };
}

/** int32 items; of each a byte: 1 is a word (weights, prefix, word\0), 2 an operator (int16 distance of a phrase). */
function treeOfBytes(raw: Buffer): Tree | undefined {
  if (raw.length < 4) return undefined;
  if (raw.readInt32BE(0) === 0) return raw.length === 4 ? NOTHING : undefined;
  const walk = { raw, at: 4 };
  const tree = readItem(walk);
  return walk.at === raw.length ? tree : undefined;
}

const OPERATORS: readonly (string | undefined)[] = [undefined, "!", "&", "|", "<"];

/** Of two operands the right one comes first. */
function readItem(walk: { readonly raw: Buffer; at: number }): Tree | undefined {
  const { raw } = walk;
  const type = raw[walk.at++];
  if (type === 1) {
    const [weights = 0, prefix] = raw.subarray(walk.at, walk.at + 2);
    const end = raw.indexOf(0, walk.at + 2);
    if (end < 0) return undefined;
    const word = latin1(raw.subarray(walk.at + 2, end));
    walk.at = end + 1;
    const letters = WEIGHTS.filter(([, bit]) => (weights & bit) !== 0).map(([letter]) => letter);
    return leaf(word, prefix === 1, letters);
  }
  const sign = type === 2 ? OPERATORS[raw[walk.at++] ?? 0] : undefined;
  if (sign === undefined) return undefined;
  let operator = sign;
  if (sign === "<") {
    if (walk.at + 2 > raw.length) return undefined;
    operator = `<${raw.readUInt16BE(walk.at)}>`;
    walk.at += 2;
  }
  const right = readItem(walk);
  if (sign === "!") return right && { operator, operands: [right] };
  const left = right && readItem(walk);
  return left && { operator, operands: [left, right] };
}
