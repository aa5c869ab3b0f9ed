import { Buffer, isUtf8 } from "node:buffer";
import type { Node, RawStmt } from "libpg-query";
import type { Analysis } from "./analysis.ts";
import { bodyOffset } from "./body.ts";
import { classify } from "./classify.ts";
import { effectsOf } from "./effects.ts";
import { type Facts, gatherFacts } from "./facts.ts";
import { isComparableSetting } from "./noise.ts";
import { neutralText, normalisedText } from "./normalise.ts";
import { rowOrder } from "./order.ts";
import { oneTable } from "./one-table.ts";
import type { Parser } from "./parser.ts";
import { newShape, scanShape, type Shape } from "./shape.ts";
import type { Noise, SessionEffect, Statement } from "./statement.ts";
import { fingerprintOf, shapeFingerprint, unparsableStatement } from "./unparsable.ts";
import { nodeAs } from "./tree.ts";

/** An analysis, and which literals of the text it depends on. */
export type Reading = {
  readonly analysis: Analysis;
  /** Where they stand, in bytes from the start of the text; `all` when that cannot be told. */
  readonly literals: readonly number[] | "all";
  /** The parser was not there: the same text may be read better in a moment. */
  readonly passing: boolean;
};

type Described = { readonly statement: Statement; readonly literals: readonly number[] | "all" };

/** FETCH ALL as the parser writes it. */
const FETCH_ALL = 2_147_483_647;

/** Parses and describes a whole query string. Never throws. */
export function analyseText(parser: Parser, sql: Uint8Array): Reading {
  // A zero byte ends the text for the parser but not for us, so nothing after it would be seen.
  const outcome = sql.includes(0) ? undefined : parser.parse(sql);
  if (outcome?.kind !== "tree") return unparsed(sql, outcome?.kind === "unavailable");
  try {
    const statements: Statement[] = [];
    let literals: readonly number[] | "all" = [];
    for (const piece of outcome.tree.stmts ?? []) {
      const described = describe(parser, sql, piece);
      statements.push(described.statement);
      literals = both(literals, described.literals);
    }
    if (statements.length === 0) statements.push(emptyStatement());
    return { analysis: { statements }, literals, passing: false };
  } catch {
    // The tree is deeper than the stack.
    return unparsed(sql, false);
  }
}

/** With other literals it may be parsed: `FETCH 99999999999` is refused, `FETCH 9` is not. */
function unparsed(sql: Uint8Array, passing: boolean): Reading {
  const statement = unparsableStatement(shapeOf(sql), true);
  return { analysis: { statements: [statement] }, literals: "all", passing };
}

/** For a text too long for the parser. @param beginning as much of it as is looked at */
export function tooLong(beginning: Uint8Array): Analysis {
  return { statements: [unparsableStatement(shapeOf(beginning), false)] };
}

function both(
  one: readonly number[] | "all",
  other: readonly number[] | "all",
): readonly number[] | "all" {
  return one === "all" || other === "all" ? "all" : [...one, ...other];
}

function shapeOf(sql: Uint8Array): Shape {
  const shape = newShape();
  scanShape(shape, sql, 0, sql.length);
  return shape;
}

function describe(parser: Parser, whole: Uint8Array, piece: RawStmt): Described {
  const from = piece.stmt_location ?? 0;
  const sql = whole.subarray(from, piece.stmt_len ? from + piece.stmt_len : whole.length);
  const shape = shapeOf(sql);
  const node = piece.stmt;
  if (node === undefined) return { statement: emptyStatement(), literals: [] };
  const facts = gatherFacts(node);
  const kind = classify(node, facts);
  const text = decoded(sql).trim();
  const effects = effectsOf(node, facts, text);
  const { order, literals } = rowOrder(node);
  const body = describeBody(parser, sql);
  const limitedTable = oneTable(node);
  const statement: Statement = {
    kind,
    looksLike: kind === "read" ? "read" : "other",
    fingerprint: fingerprint(parser, sql, shape),
    normalised: normalisedText(shape),
    tables: [...facts.tables],
    written: [...facts.written],
    functions: [...facts.functions],
    effects,
    noise: noiseOf(node, facts, shape),
    order,
    ...(body === undefined ? {} : { body }),
    ...(limitedTable === undefined ? {} : { oneTable: limitedTable }),
  };
  // The tree of COPY … FROM '' is that of COPY … FROM STDIN.
  const byValue =
    body !== undefined || effects.some(holdsText) || hasExplainOption(node) || "CopyStmt" in node;
  return { statement, literals: byValue ? "all" : [...facts.literals, ...literals] };
}

function holdsText(effect: SessionEffect): boolean {
  return "sql" in effect || effect.type === "set_unknown";
}

/** EXPLAIN (ANALYZE 'off') and EXPLAIN (ANALYZE 'on') have one shape. */
function hasExplainOption(node: Node): boolean {
  const options = nodeAs(node, "ExplainStmt")?.options ?? [];
  return options.some((option) => nodeAs(option, "DefElem")?.arg !== undefined);
}

/** What PREPARE prepares or DECLARE declares, as a statement of its own. */
function describeBody(parser: Parser, sql: Uint8Array): Statement | undefined {
  const offset = bodyOffset(sql);
  if (offset === undefined) return undefined;
  return analyseText(parser, sql.subarray(offset)).analysis.statements[0];
}

/**
 * The parser's fingerprint overlooks literals in expressions, but not those of NOTIFY, COPY and the
 * like, so it gets the text without any. It knows no difference between 1000 and 1_000. Servers
 * before 16 do, and what diverges because of it must not be counted with what does not.
 */
function fingerprint(parser: Parser, sql: Uint8Array, shape: Shape): string {
  const neutral = shape.exact ? sql : neutralText(shape);
  const parsed = parser.fingerprint(neutral) ?? shapeFingerprint(shape);
  return shape.notations === 0 ? parsed : fingerprintOf(`${parsed}:${shape.notations}`);
}

function noiseOf(node: Node, facts: Facts, shape: Shape): readonly Noise[] {
  const noise = new Set(facts.noise);
  if (shape.moment) noise.add("clock");
  if (nodeAs(node, "ExplainStmt") !== undefined) noise.add("explain");
  const shown = nodeAs(node, "VariableShowStmt")?.name;
  if (shown !== undefined && !isComparableSetting(shown)) noise.add("server");
  const fetched = nodeAs(node, "FetchStmt");
  if (fetched !== undefined && Number(fetched.howMany ?? 0) !== FETCH_ALL)
    noise.add("underspecified");
  return [...noise];
}

function emptyStatement(): Statement {
  return {
    kind: "empty",
    looksLike: "other",
    fingerprint: fingerprintOf(""),
    normalised: "",
    tables: [],
    written: [],
    functions: [],
    effects: [],
    noise: [],
    order: { kind: "any" },
  };
}

/** Texts in another client encoding keep their bytes, one character each. */
function decoded(sql: Uint8Array): string {
  return Buffer.from(sql.buffer, sql.byteOffset, sql.length).toString(
    isUtf8(sql) ? "utf8" : "latin1",
  );
}
