import type {
  CommonTableExpr,
  FuncCall,
  Node,
  RangeVar,
  SelectStmt,
  SubLink,
  WithClause,
} from "libpg-query";
import { noiseOfFunction } from "./builtin-functions.ts";
import { callNoise, selectNoise, sublinkNoise } from "./noise.ts";
import { nameParts, nodeAs } from "./tree.ts";
import type { Noise } from "./statement.ts";

/** What a walk over a statement's tree has found. Mutable while it is gathered. */
export type Facts = {
  readonly tables: Set<string>;
  readonly written: Set<string>;
  readonly functions: Set<string>;
  readonly noise: Set<Noise>;
  /** Calls by bare function name, for those that need their arguments read. */
  readonly calls: { readonly name: string; readonly call: FuncCall }[];
  /** An INSERT, UPDATE, DELETE, MERGE or SELECT INTO is somewhere in it. */
  modifies: boolean;
  /** A SELECT … FOR UPDATE or SHARE is somewhere in it. */
  locksRows: boolean;
  /** It makes a temporary relation. */
  temporary: boolean;
  /** Where literals stand whose values the facts depend on, in bytes of the text. */
  readonly literals: number[];
};

/** Names that mean a common table expression here, not a relation. */
type Scope = ReadonlySet<string>;

type Content = { readonly [key: string]: unknown };

const NO_NAMES: Scope = new Set();

const SYSTEM_COLUMNS: ReadonlySet<string> = new Set([
  "ctid",
  "xmin",
  "xmax",
  "cmin",
  "cmax",
  "tableoid",
  "oid",
]);

/** Walks one statement. */
export function gatherFacts(statement: Node): Facts {
  const facts: Facts = {
    tables: new Set(),
    written: new Set(),
    functions: new Set(),
    noise: new Set(),
    calls: [],
    modifies: false,
    locksRows: false,
    temporary: false,
    literals: [],
  };
  visit(statement, NO_NAMES, facts);
  return facts;
}

/** The name of a relation as written, without quotes. */
export function relationName(relation: RangeVar): string {
  return [relation.catalogname, relation.schemaname, relation.relname]
    .filter((part) => part !== undefined)
    .join(".");
}

/** Counts the relation as written by the statement. */
export function addWritten(facts: Facts, relation: RangeVar | undefined): void {
  if (relation?.relname === undefined) return;
  const name = relationName(relation);
  facts.tables.add(name);
  facts.written.add(name);
  if (relation.relpersistence === "t" || relation.schemaname === "pg_temp") facts.temporary = true;
}

function visit(value: unknown, scope: Scope, facts: Facts): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) visit(item, scope, facts);
    return;
  }
  // Some fields hold a relation without the wrapper that names its type.
  if ("relname" in value) {
    visitRelation(value as RangeVar, scope, facts);
    return;
  }
  for (const [key, content] of Object.entries(value)) {
    if (typeof content !== "object" || content === null) continue;
    if (!visitNode(key, content as Content, scope, facts)) visit(content, scope, facts);
  }
}

/** Handles the nodes that mean something here. @returns false for the rest, whose children are visited. */
function visitNode(name: string, content: Content, scope: Scope, facts: Facts): boolean {
  switch (name) {
    case "SelectStmt":
      visitSelect(content, scope, facts, false);
      return true;
    case "InsertStmt":
    case "UpdateStmt":
    case "DeleteStmt":
    case "MergeStmt":
      visitModifying(content, scope, facts);
      return true;
    case "FuncCall":
    case "funccall":
      noteCall(content, facts);
      return false;
    case "SubLink":
      return visitSubLink(content, scope, facts);
    default:
      noteExpression(name, content, facts);
      return false;
  }
}

function noteExpression(name: string, content: Content, facts: Facts): void {
  switch (name) {
    case "SQLValueFunction":
      noteValueFunction(String(content["op"]), facts);
      break;
    case "ColumnRef":
      noteColumn(content, facts);
      break;
    case "TypeName":
    case "typeName":
      if (nameParts(content["names"] as Node[] | undefined).at(-1) === "oid")
        facts.noise.add("server");
      break;
    case "RangeTableSample":
      facts.noise.add(content["repeatable"] === undefined ? "volatile" : "server");
      break;
    case "JsonArrayAgg":
    case "JsonObjectAgg":
      noteJsonAggregate(content, facts);
      break;
    default:
  }
}

/** @param exists only whether there is a row matters, so no order or limit does */
function visitSelect(select: SelectStmt, scope: Scope, facts: Facts, exists: boolean): void {
  const inner = visitWith(select.withClause, scope, facts);
  if (select.lockingClause !== undefined) facts.locksRows = true;
  if (select.intoClause !== undefined) {
    facts.modifies = true;
    addWritten(facts, select.intoClause.rel);
  }
  if (!exists) for (const noise of selectNoise(select)) facts.noise.add(noise);
  if (select.larg !== undefined) visitSelect(select.larg, inner, facts, exists);
  if (select.rarg !== undefined) visitSelect(select.rarg, inner, facts, exists);
  // The relations that FOR UPDATE OF names are aliases, so lockingClause is not visited.
  visit(
    [
      select.targetList,
      select.fromClause,
      select.whereClause,
      select.groupClause,
      select.havingClause,
      select.windowClause,
      select.valuesLists,
      select.sortClause,
      select.limitOffset,
      select.limitCount,
      select.distinctClause,
    ],
    inner,
    facts,
  );
}

function visitModifying(content: Content, scope: Scope, facts: Facts): void {
  facts.modifies = true;
  // The target is a relation even when a common table expression has its name.
  addWritten(facts, content["relation"] as RangeVar | undefined);
  const inner = visitWith(content["withClause"] as WithClause | undefined, scope, facts);
  for (const [key, child] of Object.entries(content)) {
    if (key === "relation" || key === "withClause") continue;
    visit({ [key]: child }, inner, facts);
  }
}

/** Visits the common table expressions. @returns the scope of the statement that has them */
function visitWith(withClause: WithClause | undefined, scope: Scope, facts: Facts): Scope {
  if (withClause === undefined) return scope;
  const expressions = (withClause.ctes ?? [])
    .map((node) => nodeAs(node, "CommonTableExpr"))
    .filter((expression) => expression !== undefined);
  const names = expressions.map((expression) => expression.ctename ?? "");
  const all = new Set([...scope, ...names]);
  // Without RECURSIVE an expression sees those before it only: WITH t AS (SELECT … FROM t) reads a table t.
  let seen = withClause.recursive === true ? all : scope;
  expressions.forEach((expression: CommonTableExpr, index) => {
    visit(expression.ctequery, seen, facts);
    if (withClause.recursive !== true) seen = new Set([...seen, names[index] ?? ""]);
  });
  return all;
}

function visitRelation(relation: RangeVar, scope: Scope, facts: Facts): void {
  const { relname, schemaname } = relation;
  if (relname === undefined) return;
  if (schemaname === undefined && scope.has(relname)) return;
  facts.tables.add(relationName(relation));
  if (schemaname === "pg_catalog" || (schemaname === undefined && relname.startsWith("pg_")))
    facts.noise.add("server");
}

function noteCall(call: FuncCall, facts: Facts): void {
  const parts = nameParts(call.funcname);
  const name = parts.at(-1);
  if (name === undefined) return;
  facts.functions.add(parts.join("."));
  facts.calls.push({ name, call });
  const { noise, literal } = callNoise(name, call);
  if (noise !== undefined) facts.noise.add(noise);
  if (literal !== undefined) facts.literals.push(literal);
}

function visitSubLink(sublink: SubLink, scope: Scope, facts: Facts): boolean {
  const noise = sublinkNoise(sublink);
  if (noise !== undefined) facts.noise.add(noise);
  const select = nodeAs(sublink.subselect, "SelectStmt");
  if (sublink.subLinkType !== "EXISTS_SUBLINK" || select === undefined) return false;
  visitSelect(select, scope, facts, true);
  return true;
}

/** `SVFOP_CURRENT_TIMESTAMP_N` is current_timestamp with a precision. */
function noteValueFunction(operation: string, facts: Facts): void {
  const name = operation
    .replace(/^SVFOP_/, "")
    .replace(/_N$/, "")
    .toLowerCase();
  facts.functions.add(name);
  const noise = noiseOfFunction(name);
  if (noise !== undefined) facts.noise.add(noise);
}

function noteColumn(column: Content, facts: Facts): void {
  const name = nameParts(column["fields"] as Node[] | undefined).at(-1);
  if (name !== undefined && SYSTEM_COLUMNS.has(name)) facts.noise.add("server");
}

function noteJsonAggregate(content: Content, facts: Facts): void {
  const constructor = content["constructor"] as Content | undefined;
  if (constructor?.["agg_order"] === undefined) facts.noise.add("unordered_aggregate");
}
