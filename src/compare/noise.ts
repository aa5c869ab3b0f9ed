import type { Noise, Statement } from "../sql/statement.ts";
import type { IncomparableReason, Finding } from "./verdict.ts";

/** An error that the other side did not have: where, and with which SQLSTATE. */
export type UnlikeError = { readonly side: "primary" | "shadow"; readonly sqlstate: string };

/** Why such an error says nothing about the database; undefined when it does. */
export function excuseForError({ side, sqlstate }: UnlikeError): IncomparableReason | undefined {
  if (sqlstate === "25P02") return "failed_transaction";
  if (side === "shadow" && sqlstate === "25006") return "read_only";
  // query_canceled without a cancel: a statement_timeout.
  if (side === "shadow" && sqlstate === "57014") return "timeout";
  if (PASSING_CLASSES.has(sqlstate.slice(0, 2)) || PASSING.has(sqlstate)) return "transient_error";
  return undefined;
}

/** Insufficient resources, lost connections. */
const PASSING_CLASSES: ReadonlySet<string> = new Set(["08", "53"]);
/** Serialization failure, deadlock, lock not available, canceled, shutdowns, timeouts of the session. */
const PASSING: ReadonlySet<string> = new Set([
  "40001",
  "40P01",
  "55P03",
  "57014",
  "57P01",
  "57P02",
  "57P03",
  "57P05",
  "25P03",
  "25P04",
]);

/**
 * Why a difference is to be expected of the statement itself. Its noise explains values and rows,
 * but neither other columns nor that a side does not know the statement.
 */
export function excuseForNoise(
  statement: Statement | undefined,
  finding: Finding,
  sqlstate: string | undefined,
): IncomparableReason | undefined {
  const noise = statement?.noise.find((candidate) => explains(candidate, finding, sqlstate));
  return noise;
}

function explains(noise: Noise, { reason }: Finding, sqlstate: string | undefined): boolean {
  // Syntax error or access rule violation, feature not supported: no clock and no chance causes them.
  if (sqlstate !== undefined && /^(?:42|0A)/.test(sqlstate)) return false;
  const isShape = reason === "column_count" || reason === "column_name" || reason === "column_type";
  return !isShape || noise === "server" || noise === "explain";
}
