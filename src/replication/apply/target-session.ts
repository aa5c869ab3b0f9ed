import { WorkError } from "../../upstream/work-error.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import { asReplica } from "../replica-role.ts";

/** What the target lets the applier do; what is missing has a substitute, but the operator should know. */
export type ApplyCapabilities = {
  /** Foreign keys and ordinary triggers do not act on what is applied. Without it rows are written in their very order. */
  readonly replicaRole: boolean;
  /** Transactions bear our replication origin. Without it the opposite reader knows them by their first row alone. */
  readonly origin: "ours" | "in_use" | "refused";
  /** Commits do not wait for the disk; acknowledgements do. */
  readonly asynchronousCommit: boolean;
};

/** Statements find rows by index, whatever the table's statistics said when they were first planned. */
const PLANNING = `
  SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
  SET jit = off; SET plan_cache_mode = force_generic_plan`;

const CREATE_ORIGIN = `
  SELECT pg_catalog.pg_replication_origin_create($1)
   WHERE pg_catalog.pg_replication_origin_oid($1) IS NULL`;
const USE_ORIGIN = "SELECT pg_catalog.pg_replication_origin_session_setup($1)";

/** Written and on disk. */
export const LOG_POSITIONS =
  "SELECT pg_catalog.pg_current_wal_insert_lsn(), pg_catalog.pg_current_wal_flush_lsn()";

const OBJECT_IN_USE = "55006";

/** @throws CodedError when the connection broke */
export async function prepareTargetSession(
  session: WorkSession,
  origin: string,
): Promise<ApplyCapabilities> {
  await session.execute(PLANNING);
  const replicaRole = await asReplica(session);
  const canAsk = (await tried(session, LOG_POSITIONS)) === "";
  await session.execute(`SET synchronous_commit = ${canAsk ? "off" : "on"}`);
  return { replicaRole, origin: await useOrigin(session, origin), asynchronousCommit: canAsk };
}

/** A zombie may still hold it: then the mark of the first row has to do. */
async function useOrigin(
  session: WorkSession,
  origin: string,
): Promise<ApplyCapabilities["origin"]> {
  // Another worker may have made it meanwhile, which the second statement finds out.
  await tried(session, CREATE_ORIGIN, [origin]);
  switch (await tried(session, USE_ORIGIN, [origin])) {
    case "":
      return "ours";
    case OBJECT_IN_USE:
      return "in_use";
    default:
      return "refused";
  }
}

/** @returns the SQLSTATE of the refusal, or nothing */
async function tried(session: WorkSession, sql: string, values?: string[]): Promise<string> {
  try {
    await session.query({ sql, values });
    return "";
  } catch (error) {
    if (error instanceof WorkError) return error.sqlstate;
    throw error;
  }
}
