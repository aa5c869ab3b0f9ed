import type { FuncCall, Node, TransactionStmt, VariableSetStmt } from "libpg-query";
import { SESSION_LOCKS } from "./builtin-functions.ts";
import type { Facts } from "./facts.ts";
import { booleanConstant, integerConstant, nodeAs, stringConstant } from "./tree.ts";
import type { SessionEffect } from "./statement.ts";

/** CURSOR_OPT_HOLD of PostgreSQL's parser. */
const HOLD_OPTION = 0x20;

/**
 * What the statement does to its session or transaction.
 * @param text the statement as written
 */
export function effectsOf(statement: Node, facts: Facts, text: string): readonly SessionEffect[] {
  const effects = [...ownEffects(statement, text)];
  for (const { name, call } of facts.calls) {
    if (name === "set_config") effects.push(setConfigEffect(call));
    else if (SESSION_LOCKS.has(name)) effects.push({ type: "advisory_lock" });
  }
  if (facts.temporary) effects.push({ type: "temporary_table" });
  return effects;
}

function ownEffects(statement: Node, text: string): readonly SessionEffect[] {
  const transaction = nodeAs(statement, "TransactionStmt");
  if (transaction !== undefined) return transactionEffects(transaction);
  const set = nodeAs(statement, "VariableSetStmt");
  if (set !== undefined) return setEffects(set, text);
  return cursorEffects(statement) ?? preparedEffects(statement, text) ?? otherEffects(statement);
}

function transactionEffects(transaction: TransactionStmt): readonly SessionEffect[] {
  const chain = transaction.chain === true;
  const name = transaction.savepoint_name ?? "";
  switch (transaction.kind) {
    case "TRANS_STMT_BEGIN":
    case "TRANS_STMT_START":
      return [{ type: "begin", access: accessMode(transaction.options) }];
    case "TRANS_STMT_COMMIT":
      return [{ type: "commit", chain }];
    case "TRANS_STMT_ROLLBACK":
      return [{ type: "rollback", chain }];
    case "TRANS_STMT_SAVEPOINT":
      return [{ type: "savepoint", name }];
    case "TRANS_STMT_RELEASE":
      return [{ type: "release", name }];
    case "TRANS_STMT_ROLLBACK_TO":
      return [{ type: "rollback_to", name }];
    case "TRANS_STMT_PREPARE":
      return [{ type: "prepare_transaction" }];
    case "TRANS_STMT_COMMIT_PREPARED":
    case "TRANS_STMT_ROLLBACK_PREPARED":
    default:
      // They end another session's transaction, or one that was prepared: nothing of this one.
      return [];
  }
}

/** The last READ ONLY or READ WRITE counts. */
function accessMode(options: readonly Node[] | undefined): "read_only" | "read_write" | undefined {
  let access: "read_only" | "read_write" | undefined;
  for (const node of options ?? []) {
    const option = nodeAs(node, "DefElem");
    if (option?.defname === "transaction_read_only")
      access = integerConstant(option.arg) === 0 ? "read_write" : "read_only";
  }
  return access;
}

function setEffects(set: VariableSetStmt, text: string): readonly SessionEffect[] {
  const name = (set.name ?? "").toLowerCase();
  switch (set.kind) {
    case "VAR_RESET_ALL":
      return [{ type: "reset_all" }];
    case "VAR_SET_MULTI":
      return multiEffects(name, set.args ?? [], text);
    case "VAR_RESET":
      return [{ type: "reset", name }];
    case "VAR_SET_DEFAULT":
      return set.is_local === true
        ? [{ type: "set", name, local: true, sql: text }]
        : [{ type: "reset", name }];
    default:
      return [setEffect(name, set, text)];
  }
}

function setEffect(name: string, set: VariableSetStmt, text: string): SessionEffect {
  // SET transaction_… changes the open transaction only, LOCAL or not.
  const local = set.is_local === true || name.startsWith("transaction_");
  if (isReadOnlySetting(name)) {
    const value = set.args?.[0];
    const written = stringConstant(value) ?? String(integerConstant(value) ?? "");
    return readOnlyEffect(name, local, isFalse(written));
  }
  return { type: "set", name, local, sql: text };
}

/** SET TRANSACTION and SET SESSION CHARACTERISTICS set up to three settings at once. */
function multiEffects(
  command: string,
  options: readonly Node[],
  text: string,
): readonly SessionEffect[] {
  const local = command !== "session characteristics";
  if (command === "transaction snapshot")
    return [{ type: "set", name: "transaction_snapshot", local: true, sql: text }];
  const effects: SessionEffect[] = [];
  for (const node of options) {
    const option = nodeAs(node, "DefElem");
    if (option?.defname === undefined) continue;
    const name = local ? option.defname : `default_${option.defname}`;
    if (isReadOnlySetting(name))
      effects.push(readOnlyEffect(name, local, integerConstant(option.arg) === 0));
    else effects.push({ type: "set", name, local, sql: text });
  }
  return effects;
}

function isReadOnlySetting(name: string): boolean {
  return name === "transaction_read_only" || name === "default_transaction_read_only";
}

/** Written in one way whatever the client wrote, so that asking for read-write is easy to see. */
function readOnlyEffect(name: string, local: boolean, readWrite: boolean): SessionEffect {
  const sql = `SET ${local ? "LOCAL" : "SESSION"} ${name} TO ${readWrite ? "off" : "on"}`;
  return { type: "set", name, local, sql };
}

/** The server takes every unambiguous beginning of `off`, `false` and `no`, and `0`. */
function isFalse(value: string): boolean {
  const word = value.trim().toLowerCase();
  return (
    word === "0" ||
    word === "of" ||
    word === "off" ||
    isBeginning(word, "false") ||
    isBeginning(word, "no")
  );
}

function isBeginning(word: string, whole: string): boolean {
  return word.length > 0 && whole.startsWith(word);
}

/** set_config(name, value, is_local); what is not written as a constant is known to the server only. */
function setConfigEffect(call: FuncCall): SessionEffect {
  const [nameArgument, valueArgument, localArgument] = call.args ?? [];
  const name = stringConstant(nameArgument)?.toLowerCase();
  const value = stringConstant(valueArgument);
  const local = booleanConstant(localArgument);
  if (name === undefined || value === undefined || local === undefined)
    return { type: "set_unknown", name, local: local ?? false };
  if (isReadOnlySetting(name)) return readOnlyEffect(name, local, isFalse(value));
  const sql = `SELECT pg_catalog.set_config(${quoted(name)}, ${quoted(value)}, ${String(local)})`;
  return { type: "set", name, local, sql };
}

/** A string literal that means the same whatever standard_conforming_strings is. */
function quoted(text: string): string {
  const doubled = text.replaceAll("'", "''");
  return doubled.includes("\\") ? `E'${doubled.replaceAll("\\", "\\\\")}'` : `'${doubled}'`;
}

function cursorEffects(statement: Node): readonly SessionEffect[] | undefined {
  const declared = nodeAs(statement, "DeclareCursorStmt");
  if (declared !== undefined) {
    const hold = ((declared.options ?? 0) & HOLD_OPTION) !== 0;
    return [{ type: "declare_cursor", name: declared.portalname ?? "", hold }];
  }
  const closed = nodeAs(statement, "ClosePortalStmt");
  return closed === undefined ? undefined : [{ type: "close_cursor", name: closed.portalname }];
}

function preparedEffects(statement: Node, text: string): readonly SessionEffect[] | undefined {
  const prepared = nodeAs(statement, "PrepareStmt");
  if (prepared !== undefined) return [{ type: "prepare", name: prepared.name ?? "", sql: text }];
  const freed = nodeAs(statement, "DeallocateStmt");
  if (freed !== undefined) return [{ type: "deallocate", name: freed.name }];
  const executed =
    nodeAs(statement, "ExecuteStmt") ??
    nodeAs(nodeAs(statement, "CreateTableAsStmt")?.query, "ExecuteStmt") ??
    nodeAs(nodeAs(statement, "ExplainStmt")?.query, "ExecuteStmt");
  return executed === undefined ? undefined : [{ type: "execute", name: executed.name ?? "" }];
}

function otherEffects(statement: Node): readonly SessionEffect[] {
  const listened = nodeAs(statement, "ListenStmt");
  if (listened !== undefined) return [{ type: "listen", channel: listened.conditionname ?? "" }];
  const unlistened = nodeAs(statement, "UnlistenStmt");
  if (unlistened !== undefined) return [{ type: "unlisten", channel: unlistened.conditionname }];
  switch (nodeAs(statement, "DiscardStmt")?.target) {
    case "DISCARD_ALL":
      return [{ type: "discard", target: "all" }];
    case "DISCARD_PLANS":
      return [{ type: "discard", target: "plans" }];
    case "DISCARD_SEQUENCES":
      return [{ type: "discard", target: "sequences" }];
    case "DISCARD_TEMP":
      return [{ type: "discard", target: "temp" }];
    case undefined:
      return [];
  }
}
