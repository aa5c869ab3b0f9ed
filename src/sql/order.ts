import type { Node, SelectStmt } from "libpg-query";
import { isLimited } from "./noise.ts";
import { outputName } from "./output-name.ts";
import { integerConstant, nameParts, nodeAs, sameTree } from "./tree.ts";
import type { RowOrder } from "./statement.ts";

/** An order, and where the position numbers it was read from stand in the text. */
export type OrderReading = { readonly order: RowOrder; readonly literals: readonly number[] };

const ANY: OrderReading = { order: { kind: "any" }, literals: [] };

/** An output column of which something is known. */
type Output = { readonly name: string | undefined; readonly value: Node | undefined };

type Outputs = {
  /** Those before the first `*`, whose positions are therefore known. */
  readonly known: readonly Output[];
  readonly star: boolean;
};

/**
 * The order of the rows that a statement returns. Only the outermost ORDER BY counts: one in a
 * subquery promises nothing outside. FETCH, SHOW, EXPLAIN and RETURNING promise none.
 */
export function rowOrder(statement: Node): OrderReading {
  const select = sortedSelect(statement);
  if (select?.sortClause === undefined) return ANY;
  const outputs = outputsOf(select);
  const columns: number[] = [];
  const names: string[] = [];
  const literals: number[] = [];
  let complete = true;
  for (const item of select.sortClause) {
    const node = nodeAs(item, "SortBy")?.node;
    const position = integerConstant(node);
    // Also when it is no position: `ORDER BY 1.5` is of the same shape as `ORDER BY 1`.
    const constant = nodeAs(node, "A_Const");
    if (constant !== undefined) literals.push(constant.location ?? 0);
    const column = position === undefined ? columnOf(node, outputs) : position - 1;
    if (column !== undefined && column >= 0) columns.push(column);
    else complete = false;
    const name = column === undefined && outputs.star ? columnName(node) : undefined;
    if (name !== undefined) names.push(name);
  }
  const limited = isLimited(select);
  const order: RowOrder =
    names.length > 0
      ? { kind: "keys", columns, complete, limited, names }
      : { kind: "keys", columns, complete, limited };
  return { order, literals };
}

/** The SELECT whose rows the client gets: the statement itself, or what COPY holds. */
function sortedSelect(statement: Node): SelectStmt | undefined {
  return nodeAs(nodeAs(statement, "CopyStmt")?.query ?? statement, "SelectStmt");
}

/** A set operation has the columns of its leftmost part, VALUES those of its first row. */
function outputsOf(select: SelectStmt): Outputs {
  let leftmost = select;
  while (leftmost.larg !== undefined) leftmost = leftmost.larg;
  const combined = leftmost !== select;
  if (leftmost.valuesLists !== undefined) {
    const row = nodeAs(leftmost.valuesLists[0], "List")?.items ?? [];
    const known = row.map((_, index) => ({ name: `column${index + 1}`, value: undefined }));
    return { known, star: false };
  }
  const known: Output[] = [];
  for (const node of leftmost.targetList ?? []) {
    const target = nodeAs(node, "ResTarget");
    if (isStar(target?.val)) return { known, star: true };
    // ORDER BY after a set operation sees names and positions only, no expressions.
    const value = combined ? undefined : target?.val;
    known.push({ name: target?.name ?? outputName(target?.val), value });
  }
  return { known, star: false };
}

function isStar(node: Node | undefined): boolean {
  const last = nodeAs(node, "ColumnRef")?.fields?.at(-1);
  return last !== undefined && "A_Star" in last;
}

function columnOf(node: Node | undefined, outputs: Outputs): number | undefined {
  const collated = nodeAs(node, "CollateClause");
  if (collated !== undefined) return columnOf(collated.arg, outputs);
  const parts = nameParts(nodeAs(node, "ColumnRef")?.fields);
  // A bare name means an output column before it means one of a table.
  if (parts.length === 1) {
    const byName = outputs.known.findIndex((output) => output.name === parts[0]);
    if (byName >= 0) return byName;
  }
  const byValue = outputs.known.findIndex((output) => isSameValue(node, parts, output.value));
  return byValue >= 0 ? byValue : undefined;
}

function isSameValue(
  node: Node | undefined,
  parts: readonly string[],
  value: Node | undefined,
): boolean {
  if (node === undefined || value === undefined) return false;
  const other = nameParts(nodeAs(value, "ColumnRef")?.fields);
  if (parts.length > 0 && other.length > 0) {
    // `SELECT id … ORDER BY o.id`: a bare name that is not ambiguous is the qualified one.
    if (parts.length !== other.length && (parts.length === 1 || other.length === 1))
      return parts.at(-1) === other.at(-1);
  }
  // Two texts of one shape differ in literals, so an expression that has some proves nothing.
  return !hasLiteral(node) && sameTree(node, value);
}

function hasLiteral(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if ("A_Const" in value) return true;
  return Object.values(value).some(hasLiteral);
}

/** The last part of a column's name, by which it may be found among the columns of a `*`. */
function columnName(node: Node | undefined): string | undefined {
  return nameParts(nodeAs(node, "ColumnRef")?.fields).at(-1);
}
