import type { Node } from "libpg-query";
import { nameParts, nodeAs } from "./tree.ts";

/** Expressions that name their column after themselves. */
const FIXED: readonly (readonly [type: string, name: string])[] = [
  ["CoalesceExpr", "coalesce"],
  ["A_ArrayExpr", "array"],
  ["RowExpr", "row"],
  ["GroupingFunc", "grouping"],
];

/**
 * The name PostgreSQL gives an output column without AS; undefined for `?column?` and what is too
 * rare to matter.
 */
export function outputName(value: Node | undefined): string | undefined {
  if (value === undefined) return undefined;
  const column = nodeAs(value, "ColumnRef") ?? undefined;
  if (column !== undefined) return nameParts(column.fields).at(-1);
  const call = nodeAs(value, "FuncCall");
  if (call !== undefined) return nameParts(call.funcname).at(-1);
  const special = specialName(value);
  if (special !== undefined) return special;
  for (const [type, name] of FIXED) if (type in value) return name;
  return wrappedName(value);
}

function specialName(value: Node): string | undefined {
  const extreme = nodeAs(value, "MinMaxExpr");
  if (extreme !== undefined) return extreme.op === "IS_LEAST" ? "least" : "greatest";
  const operation = nodeAs(value, "SQLValueFunction")?.op;
  return operation
    ?.replace(/^SVFOP_/, "")
    .replace(/_N$/, "")
    .toLowerCase();
}

/** A cast, a collation or a CASE is named after what is inside, and else after itself. */
function wrappedName(value: Node): string | undefined {
  const cast = nodeAs(value, "TypeCast");
  if (cast !== undefined) return outputName(cast.arg) ?? nameParts(cast.typeName?.names).at(-1);
  const collated = nodeAs(value, "CollateClause");
  if (collated !== undefined) return outputName(collated.arg);
  const choice = nodeAs(value, "CaseExpr");
  if (choice !== undefined) return outputName(choice.defresult) ?? "case";
  const field = nodeAs(value, "A_Indirection");
  if (field !== undefined) return nameParts(field.indirection).at(-1) ?? outputName(field.arg);
  return subqueryName(value);
}

function subqueryName(value: Node): string | undefined {
  const sublink = nodeAs(value, "SubLink");
  if (sublink?.subLinkType === "EXISTS_SUBLINK") return "exists";
  if (sublink?.subLinkType === "ARRAY_SUBLINK") return "array";
  if (sublink?.subLinkType !== "EXPR_SUBLINK") return undefined;
  const target = nodeAs(nodeAs(sublink.subselect, "SelectStmt")?.targetList?.[0], "ResTarget");
  return target?.name ?? outputName(target?.val);
}
