import type { Node, SelectStmt } from "libpg-query";
import { isLimited } from "./noise.ts";
import type { OneTable } from "./statement.ts";
import { relationName } from "./facts.ts";
import { integerConstant, nameParts, nodeAs } from "./tree.ts";

/**
 * What a limited SELECT of the rows of one table says about which of them it gives; undefined for all others: joins, groups,
 * set operations, and what calls functions in its output, for those may give several rows for one.
 */
export function oneTable(statement: Node): OneTable | undefined {
  const select = nodeAs(statement, "SelectStmt");
  if (select === undefined || !isLimited(select) || !isPlain(select)) return undefined;
  const [from, second] = select.fromClause ?? [];
  const relation = nodeAs(from, "RangeVar");
  if (relation?.relname === undefined || second !== undefined) return undefined;
  return {
    table: relationName(relation),
    fixed: fixedColumns(select.whereClause),
    sorted: sortedColumns(select),
  };
}

/** Columns of the table, though `ORDER BY 1` and a bare name mean columns of the output first. */
function sortedColumns({ sortClause, targetList }: SelectStmt): readonly string[] {
  const outputs = (targetList ?? []).map((target) => nodeAs(target, "ResTarget"));
  const columns: string[] = [];
  for (const item of sortClause ?? []) {
    const key = nodeAs(item, "SortBy")?.node;
    const name = columnName(key);
    const position = integerConstant(key);
    const output = outputs.find((each, index) =>
      position === undefined ? name !== undefined && each?.name === name : index === position - 1,
    );
    // Behind a `*` positions are not known here.
    const isKnown = position === undefined || !outputs.some((each) => isStar(each?.val));
    const column = output === undefined ? name : columnName(output.val);
    if (column !== undefined && isKnown) columns.push(column);
  }
  return columns;
}

function isStar(node: Node | undefined): boolean {
  return (nodeAs(node, "ColumnRef")?.fields ?? []).some((field) => "A_Star" in field);
}

function isPlain(select: SelectStmt): boolean {
  if (select.op !== undefined && select.op !== "SETOP_NONE") return false;
  if (select.withClause !== undefined || select.groupClause !== undefined) return false;
  if (select.distinctClause !== undefined) return false;
  return (
    !holds(select.targetList, ["FuncCall", "SubLink"]) && !holds(select.whereClause, ["SubLink"])
  );
}

/** Columns that an equation makes the same in all rows, however many there are. */
function fixedColumns(condition: Node | undefined): readonly string[] {
  const both = nodeAs(condition, "BoolExpr");
  if (both !== undefined)
    return both.boolop === "AND_EXPR" ? (both.args ?? []).flatMap(fixedColumns) : [];
  const equation = nodeAs(condition, "A_Expr");
  if (equation?.kind !== "AEXPR_OP" || nameParts(equation.name).at(-1) !== "=") return [];
  const sides = [equation.lexpr, equation.rexpr];
  const columns = sides.map(columnName);
  const [column] = columns.filter((name) => name !== undefined);
  const other = columns[0] === undefined ? sides[0] : sides[1];
  // A function may give another value for each row.
  return column === undefined || holds(other, ["ColumnRef", "FuncCall"]) ? [] : [column];
}

function columnName(node: Node | undefined): string | undefined {
  const fields = nodeAs(node, "ColumnRef")?.fields;
  return fields === undefined ? undefined : nameParts(fields).at(-1);
}

function holds(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(
    ([name, content]) => names.includes(name) || holds(content, names),
  );
}
