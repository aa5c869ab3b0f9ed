import type { FunctionCatalogue } from "../sql/analysis.ts";
import type { SessionEffect, Statement } from "../sql/statement.ts";
import { effectObstacle, functionObstacle, kindObstacle, runsFunctions } from "./obstacle.ts";
import type { SkipReason } from "./skip-reason.ts";

/** Settings that bound what a rehearsal may hold up; the client's values of them stay its own. */
export const REHEARSAL_LIMITS: ReadonlySet<string> = new Set([
  "lock_timeout",
  "statement_timeout",
  "idle_in_transaction_session_timeout",
  "transaction_timeout",
]);

/**
 * Why a statement may not run on the shadow even though it is rolled back there; undefined when it
 * may. What reaches beyond the transaction, or locks out whoever replicates, may not.
 * @param draws its volatile functions only give another value at each call
 */
export function rehearsalObstacle(
  statement: Statement,
  functions: { readonly catalogue: FunctionCatalogue; readonly safe: ReadonlySet<string> },
  draws: boolean,
): SkipReason | undefined {
  const obstacle = shapeObstacle(statement) ?? effectsObstacle(statement.effects);
  if (obstacle !== undefined || !runsFunctions(statement)) return obstacle;
  const called = functionObstacle(statement.functions, functions.catalogue, functions.safe);
  return called === "volatile_function" && statement.kind === "write" && draws ? undefined : called;
}

function shapeObstacle(statement: Statement): SkipReason | undefined {
  const { kind, normalised, written } = statement;
  if (kind === "unparsable") return "unparsable";
  if (SHOWS_LIMIT.test(normalised)) return "session";
  if (TAKES_TABLE_LOCK.test(normalised)) return "table_lock";
  if (kind !== "write") return kindObstacle(statement);
  if (LOADS.test(normalised)) return "copy_in";
  return written.length > 0 && MAKES_TABLE.test(normalised) ? "ddl" : undefined;
}

const SHOWS_LIMIT = new RegExp(`^show\\s+(?:all|${[...REHEARSAL_LIMITS].join("|")})\\b`, "i");
/** They keep every other session out of the table, the one that replicates into it included. */
const TAKES_TABLE_LOCK = /^(?:truncate|lock|refresh)\b/i;
const LOADS = /^copy\b.*\bfrom\b/is;
/** SELECT INTO, however it begins, and not the INTO of another statement within. */
const MAKES_TABLE =
  /^(?:explain\b.*?)?[\s(]*(?:with|select|values|table)\b.*(?<!\b(?:insert|merge)\s+)\binto\b/is;

function effectsObstacle(effects: readonly SessionEffect[]): SkipReason | undefined {
  for (const effect of effects) {
    if ("name" in effect && isLimit(effect)) return "session";
    // A transaction of the shadow may write: it is rolled back.
    if (effect.type === "begin") continue;
    if (effect.type === "set" && effect.name === "transaction_read_only") continue;
    const obstacle = effectObstacle([effect]);
    if (obstacle !== undefined) return obstacle;
  }
  return undefined;
}

function isLimit({ type, name }: { readonly type: string; readonly name?: string | undefined }) {
  return (type === "set" || type === "set_unknown") && REHEARSAL_LIMITS.has(name ?? "");
}
