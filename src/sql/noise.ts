import type { FuncCall, Node, SelectStmt, SubLink } from "libpg-query";
import {
  AGGREGATES,
  COMPARABLE_SETTINGS,
  noiseOfFunction,
  ORDERED_AGGREGATES,
  ORDERED_WINDOW_FUNCTIONS,
} from "./builtin-functions.ts";
import { isNullConstant, nameParts, nodeAs, stringConstant } from "./tree.ts";
import type { Noise } from "./statement.ts";

/** Noise of one SELECT by itself, its subqueries left out. */
export function selectNoise(select: SelectStmt): readonly Noise[] {
  if (select.sortClause !== undefined) return [];
  const distinctOn = (select.distinctClause ?? []).some((node) => Object.keys(node).length > 0);
  const open = distinctOn || (isLimited(select) && picksRows(select));
  return open ? ["underspecified"] : [];
}

/** LIMIT, OFFSET or FETCH FIRST cuts rows off by number. WITH TIES cuts by the sort keys instead. */
export function isLimited(select: SelectStmt): boolean {
  if (select.limitOffset !== undefined && !isNullConstant(select.limitOffset)) return true;
  if (select.limitOption === "LIMIT_OPTION_WITH_TIES") return false;
  return select.limitCount !== undefined && !isNullConstant(select.limitCount);
}

/** Which rows a limit leaves makes a difference: there may be several and they are not all alike. */
function picksRows(select: SelectStmt): boolean {
  if (select.op !== undefined && select.op !== "SETOP_NONE") return true;
  if (select.fromClause === undefined) return false;
  const targets = (select.targetList ?? []).map((node) => nodeAs(node, "ResTarget")?.val);
  if (select.groupClause === undefined && targets.some(isAggregate)) return false;
  return !targets.every((target) => nodeAs(target, "A_Const") !== undefined);
}

function isAggregate(node: Node | undefined): boolean {
  const call = nodeAs(node, "FuncCall");
  if (call === undefined || call.over !== undefined) return false;
  return AGGREGATES.has(nameParts(call.funcname).at(-1) ?? "");
}

/** ARRAY(SELECT …) keeps the order in which the rows come. */
export function sublinkNoise(sublink: SubLink): Noise | undefined {
  if (sublink.subLinkType !== "ARRAY_SUBLINK") return undefined;
  const sorted = nodeAs(sublink.subselect, "SelectStmt")?.sortClause !== undefined;
  return sorted ? undefined : "unordered_aggregate";
}

/**
 * Noise of one call, its arguments left out, and where the literal stands whose value decides it.
 * @param name bare name of the function
 */
export function callNoise(
  name: string,
  call: FuncCall,
): { readonly noise?: Noise; readonly literal?: number } {
  if (name === "current_setting") return settingNoise(call);
  const noise = orderNoise(name, call) ?? noiseOfFunction(name);
  if (noise !== undefined) return { noise };
  // age(x) counts from today, age(x, y) does not.
  return name === "age" && call.args?.length === 1 ? { noise: "clock" } : {};
}

function orderNoise(name: string, call: FuncCall): Noise | undefined {
  const { over } = call;
  // A named window may be ordered where it is defined.
  const ordered =
    call.agg_order !== undefined || over?.orderClause !== undefined || over?.refname !== undefined;
  if (ordered || over?.name !== undefined) return undefined;
  // DISTINCT sorts what it aggregates.
  if (ORDERED_AGGREGATES.has(name) && call.agg_distinct !== true) return "unordered_aggregate";
  return over !== undefined && ORDERED_WINDOW_FUNCTIONS.has(name) ? "underspecified" : undefined;
}

/** current_setting('app.tenant') is the session's own; current_setting('port') is the server's. */
function settingNoise(call: FuncCall): { readonly noise?: Noise; readonly literal?: number } {
  const setting = stringConstant(call.args?.[0]);
  if (setting === undefined) return { noise: "server" };
  const literal = call.location ?? 0;
  return isComparableSetting(setting) ? { literal } : { noise: "server", literal };
}

/** Whether both sides should show the same value: custom settings, and those that change answers. */
export function isComparableSetting(name: string): boolean {
  return name.includes(".") || COMPARABLE_SETTINGS.has(name.toLowerCase());
}
