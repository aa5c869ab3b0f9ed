import { createHash } from "node:crypto";
import type { CompareRule } from "../compare/rule.ts";

/** What a rule is held against. */
export type Covered = {
  readonly fingerprint: string;
  readonly reason: string;
  readonly column: string | undefined;
  readonly tables: readonly string[];
};

/**
 * Whether a rule is about the differences of a group. For a rule that names a type the answer is no:
 * a group does not know its column's type. A tolerance may prove too small and a cleaning not enough:
 * then the difference is seen again, and the group with it.
 */
export function coversGroup({ match, action }: CompareRule, group: Covered): boolean {
  if (match.type !== undefined || OF_THE_EXCHANGE.has(group.reason)) return false;
  if (match.fingerprint !== undefined && match.fingerprint !== group.fingerprint) return false;
  const { table, column } = match;
  if (table !== undefined && !group.tables.some((name) => lastPart(name) === lastPart(table))) {
    return false;
  }
  if (column !== undefined && column !== group.column) return false;
  switch (action.kind) {
    case "ignore":
      return true;
    case "tolerate":
      return group.column !== undefined && NUMBERS.has(group.reason);
    case "clean":
      return (
        group.column !== undefined &&
        (TEXTS.has(group.reason) ||
          (group.reason === "null_value" && action.with.includes("null_is_empty")))
      );
  }
}

/** Differences that a tolerance can be about. */
export const NUMBERS: ReadonlySet<string> = new Set([
  "numeric_value",
  "float_precision",
  "numeric_scale",
]);

/** Differences that cleaning can be about. */
export const TEXTS: ReadonlySet<string> = new Set([
  "value",
  "text_value",
  "text_case",
  "trailing_space",
]);

/** No rule about a statement is about these: they are in what frames its answer. */
const OF_THE_EXCHANGE: ReadonlySet<string> = new Set(["statement_count", "transaction_status"]);

/** The same for the same conditions and action, so that a rule which was changed covers anew. */
export function markOf({ match, action }: CompareRule): string {
  return createHash("sha256")
    .update(JSON.stringify([match, action]))
    .digest("hex")
    .slice(0, 12);
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
