import type { CopyStmt, DropStmt, ExplainStmt, Node, RangeVar } from "libpg-query";
import { addWritten, type Facts, relationName } from "./facts.ts";
import { nameParts, nodeAs, nodeEntry } from "./tree.ts";
import type { StatementKind } from "./statement.ts";

/** Statement types whose kind does not depend on anything else. What is not here is `ddl`. */
const KINDS: Readonly<Record<string, StatementKind>> = {
  InsertStmt: "write",
  UpdateStmt: "write",
  DeleteStmt: "write",
  MergeStmt: "write",
  TruncateStmt: "write",
  RefreshMatViewStmt: "write",
  TransactionStmt: "transaction",
  VariableSetStmt: "session",
  VariableShowStmt: "session",
  DiscardStmt: "session",
  ConstraintsSetStmt: "session",
  FetchStmt: "cursor",
  ClosePortalStmt: "cursor",
  ListenStmt: "notify",
  UnlistenStmt: "notify",
  NotifyStmt: "notify",
  PrepareStmt: "prepare",
  ExecuteStmt: "prepare",
  DeallocateStmt: "prepare",
  VacuumStmt: "utility",
  ClusterStmt: "utility",
  ReindexStmt: "utility",
  CheckPointStmt: "utility",
  LoadStmt: "utility",
  LockStmt: "utility",
  CallStmt: "utility",
  DoStmt: "utility",
  AlterSystemStmt: "utility",
};

/** DROP of these names relations. */
const DROPPED_RELATIONS: ReadonlySet<string> = new Set([
  "OBJECT_TABLE",
  "OBJECT_VIEW",
  "OBJECT_MATVIEW",
  "OBJECT_FOREIGN_TABLE",
  "OBJECT_SEQUENCE",
  "OBJECT_INDEX",
]);

/** @param facts of the statement; completed with the relations it writes */
export function classify(statement: Node, facts: Facts): StatementKind {
  const [type, content] = nodeEntry(statement);
  const copy = nodeAs(statement, "CopyStmt");
  if (copy !== undefined) return copyKind(copy, facts);
  const explain = nodeAs(statement, "ExplainStmt");
  if (explain !== undefined) return explainKind(explain, facts);
  if (type === "SelectStmt") return selectKind(statement, facts);
  if (type === "PrepareStmt") forgetDeeds(facts);
  if (type === "DeclareCursorStmt") return writes(facts) ? "write" : "cursor";
  const kind = KINDS[type] ?? "ddl";
  if (kind === "ddl") {
    if (type !== "CreateTableAsStmt") forgetDeeds(facts);
    addChangedRelations(statement, content, facts);
  }
  if (type === "TruncateStmt") {
    for (const relation of nodeAs(statement, "TruncateStmt")?.relations ?? [])
      addWritten(facts, nodeAs(relation, "RangeVar"));
  }
  addWritten(facts, nodeAs(statement, "RefreshMatViewStmt")?.relation);
  return kind;
}

function writes(facts: Facts): boolean {
  return facts.modifies || facts.locksRows;
}

function selectKind(statement: Node, facts: Facts): StatementKind {
  if (writes(facts)) return "write";
  const select = nodeAs(statement, "SelectStmt");
  const targets = select?.targetList ?? [];
  const onlySets =
    targets.length > 0 &&
    select?.fromClause === undefined &&
    targets.every((target) => {
      const call = nodeAs(nodeAs(target, "ResTarget")?.val, "FuncCall");
      return nameParts(call?.funcname).at(-1) === "set_config";
    });
  return onlySets ? "session" : "read";
}

function copyKind(copy: CopyStmt, facts: Facts): StatementKind {
  const onServer = copy.filename !== undefined || copy.is_program === true;
  if (copy.is_from === true) {
    addWritten(facts, copy.relation);
    return onServer ? "write" : "copy_in";
  }
  if (writes(facts)) return "write";
  return onServer ? "utility" : "copy_out";
}

/** EXPLAIN runs its statement only with ANALYZE, and then it does all that the statement does. */
function explainKind(explain: ExplainStmt, facts: Facts): StatementKind {
  const made = nodeAs(explain.query, "CreateTableAsStmt");
  if (isAnalyzed(explain)) {
    if (made !== undefined) {
      addWritten(facts, made.into?.rel);
      return "ddl";
    }
    if (writes(facts)) return "write";
  } else {
    forgetDeeds(facts);
  }
  return "explain";
}

/** The statement holds another without running it: what that one would do is not done. */
function forgetDeeds(facts: Facts): void {
  facts.written.clear();
  facts.calls.length = 0;
  facts.temporary = false;
}

/** The last ANALYZE option counts; without a value it means yes. */
function isAnalyzed(explain: ExplainStmt): boolean {
  let analyzed = false;
  for (const node of explain.options ?? []) {
    const option = nodeAs(node, "DefElem");
    if (option?.defname !== "analyze") continue;
    const text = nodeAs(option.arg, "String")?.sval;
    const whole = nodeAs(option.arg, "Integer");
    if (text !== undefined) analyzed = !/^(off|false)$/i.test(text);
    else analyzed = whole === undefined || (whole.ival ?? 0) !== 0;
  }
  return analyzed;
}

/** The relation that a schema change is about stands in a field of its own. */
function addChangedRelations(statement: Node, content: unknown, facts: Facts): void {
  const dropped = nodeAs(statement, "DropStmt");
  if (dropped !== undefined) return addDropped(dropped, facts);
  if (typeof content !== "object" || content === null) return;
  for (const key of ["relation", "view", "sequence"]) {
    const relation: unknown = Reflect.get(content, key);
    if (typeof relation === "object" && relation !== null) addWritten(facts, relation as RangeVar);
  }
  addWritten(facts, nodeAs(statement, "CreateTableAsStmt")?.into?.rel);
  // CREATE FOREIGN TABLE holds a CREATE TABLE.
  addWritten(facts, nodeAs(statement, "CreateForeignTableStmt")?.base?.relation);
}

function addDropped(dropped: DropStmt, facts: Facts): void {
  if (!DROPPED_RELATIONS.has(dropped.removeType ?? "")) return;
  for (const object of dropped.objects ?? []) {
    const parts = nameParts(nodeAs(object, "List")?.items);
    const name = relationName({ relname: parts.join(".") });
    facts.tables.add(name);
    facts.written.add(name);
  }
}
