import type { FunctionCatalogue } from "../sql/analysis.ts";
import { HARMLESS, SIDE_EFFECTS } from "../sql/builtin-functions.ts";
import type { SessionEffect, Statement } from "../sql/statement.ts";
import type { SkipReason } from "./skip-reason.ts";

/**
 * Why a statement may not run on a read-only shadow at all; undefined when it may. Transaction
 * control and SET may, since they keep the shadow's session in step.
 * @param safeFunctions functions that the configuration declares free of effects, bare or with schema
 */
export function mirrorObstacle(
  statement: Statement,
  catalogue: FunctionCatalogue,
  safeFunctions: ReadonlySet<string>,
): SkipReason | undefined {
  return (
    kindObstacle(statement) ??
    effectObstacle(statement.effects) ??
    (runsFunctions(statement)
      ? functionObstacle(statement.functions, catalogue, safeFunctions)
      : undefined)
  );
}

/** What its kind alone says. */
export function kindObstacle(statement: Statement): SkipReason | undefined {
  switch (statement.kind) {
    case "write":
      return "write";
    case "ddl":
      return "ddl";
    case "copy_in":
      return "copy_in";
    case "notify":
      return "notify";
    case "utility":
      return "utility";
    case "unparsable":
      return statement.looksLike === "read" ? undefined : "unparsable";
    case "transaction":
      // COMMIT PREPARED and ROLLBACK PREPARED do nothing to the session's own transaction.
      return statement.effects.length === 0 ? "two_phase" : undefined;
    default:
      return undefined;
  }
}

/** What it would do to the session. */
export function effectObstacle(effects: readonly SessionEffect[]): SkipReason | undefined {
  for (const effect of effects) {
    const obstacle = obstacleOf(effect);
    if (obstacle !== undefined) return obstacle;
  }
  return undefined;
}

function obstacleOf(effect: SessionEffect): SkipReason | undefined {
  switch (effect.type) {
    case "begin":
      return effect.access === "read_write" ? "read_write" : undefined;
    case "prepare_transaction":
      return "two_phase";
    case "set":
      return isReadOnlySetting(effect.name) && effect.sql.endsWith(" TO off")
        ? "read_write"
        : undefined;
    case "set_unknown":
      // What is not known might take the shadow's read-only setting away.
      if (effect.name === undefined) return "session";
      return isReadOnlySetting(effect.name) ? "read_write" : undefined;
    case "declare_cursor":
      return effect.hold ? "held_cursor" : undefined;
    case "temporary_table":
      return "ddl";
    case "advisory_lock":
      return "side_effect";
    default:
      return undefined;
  }
}

function isReadOnlySetting(name: string): boolean {
  return name === "transaction_read_only" || name === "default_transaction_read_only";
}

/** PREPARE only keeps its query for later. */
export function runsFunctions(statement: Statement): boolean {
  return !statement.effects.some((effect) => effect.type === "prepare");
}

/** The first of the functions that keeps it off the shadow. */
export function functionObstacle(
  functions: readonly string[],
  catalogue: FunctionCatalogue,
  safeFunctions: ReadonlySet<string>,
): SkipReason | undefined {
  for (const name of functions) {
    const bare = name.slice(name.lastIndexOf(".") + 1);
    const effect = SIDE_EFFECTS.get(bare);
    if (safeFunctions.has(name) || safeFunctions.has(bare)) continue;
    if (effect !== undefined) return effect;
    if (!HARMLESS.has(bare) && catalogue.isVolatile(bare)) return "volatile_function";
  }
  return undefined;
}
