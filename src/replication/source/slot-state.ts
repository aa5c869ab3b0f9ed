import { CodedError } from "../../base/errors.ts";
import { formatPosition, parseLsn } from "../../wire/position.ts";
import type { Lsn } from "../../wire/position.ts";
import type { Ask } from "../read-shapes.ts";
import { quoteLiteral } from "../table-shape.ts";

/** A slot as its server describes it. Bytes are of the log. */
export type SlotState = {
  readonly plugin: string;
  readonly database: string;
  /** The server's process that reads from it now. */
  readonly activePid: number | undefined;
  /** As in `pg_replication_slots`, since PostgreSQL 13: with `lost` it is of no use any more. */
  readonly walStatus: "reserved" | "extended" | "unreserved" | "lost" | undefined;
  /** Why it is lost, where the server says so. */
  readonly lostBecause: string | undefined;
  readonly confirmedFlush: Lsn | undefined;
  readonly restart: Lsn | undefined;
  /** What the server keeps for it. */
  readonly retainedBytes: number;
  /** What may still be written before it is lost; undefined: no limit, or not known. */
  readonly safeWalBytes: number | undefined;
};

/** Since PostgreSQL 13. */
function slotSql(name: string, serverVersion: number): string {
  const why =
    serverVersion >= 170_000
      ? "invalidation_reason"
      : serverVersion >= 160_000
        ? "CASE WHEN conflicting THEN 'rows_removed' END"
        : "NULL";
  return `
    SELECT plugin, database, active_pid, wal_status, ${why}, confirmed_flush_lsn, restart_lsn,
           pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery()
             THEN pg_catalog.pg_last_wal_receive_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn),
           safe_wal_size
      FROM pg_catalog.pg_replication_slots WHERE slot_name = ${quoteLiteral(name)}`;
}

/** @returns undefined where there is none of this name */
export async function readSlotState(
  ask: Ask,
  serverVersion: number,
  name: string,
): Promise<SlotState | undefined> {
  const [row] = await ask(slotSql(name, serverVersion));
  if (row === undefined) return undefined;
  const [plugin, database, pid, walStatus, why, confirmed, restart, retained, safe] = row;
  return {
    plugin: plugin ?? "",
    database: database ?? "",
    activePid: pid === null || pid === undefined ? undefined : Number(pid),
    walStatus: (walStatus ?? undefined) as SlotState["walStatus"],
    lostBecause: why ?? undefined,
    confirmedFlush: parseLsn(confirmed ?? ""),
    restart: parseLsn(restart ?? ""),
    retainedBytes: Math.max(0, Number(retained ?? 0)),
    safeWalBytes: safe === null || safe === undefined ? undefined : Number(safe),
  };
}

/**
 * That the slot can be read from a position on.
 * @throws CodedError slot_lost, conflict; the message says what happened
 */
export function checkSlot(
  state: SlotState | undefined,
  name: string,
  database: string,
  from: Lsn | undefined,
): Lsn {
  if (state === undefined) {
    const hint = "it was dropped, or the source is another server or a standby that was promoted";
    throw new CodedError("slot_lost", `the replication slot "${name}" does not exist: ${hint}`);
  }
  if (state.plugin !== "pgoutput" || state.database !== database) {
    const what = `belongs to something else (plugin ${state.plugin}, database ${state.database})`;
    throw new CodedError("conflict", `the replication slot "${name}" ${what}`);
  }
  if (state.walStatus === "lost" || state.lostBecause !== undefined) {
    const why = state.lostBecause ?? "wal_removed";
    const what = `is lost (${why}): the server has removed what was not applied yet`;
    throw new CodedError("slot_lost", `the replication slot "${name}" ${what}`);
  }
  const { confirmedFlush } = state;
  if (confirmedFlush === undefined) {
    throw new CodedError("conflict", `the replication slot "${name}" is still being created`);
  }
  if (from !== undefined && confirmedFlush > from) {
    const [is, needed] = [confirmedFlush, from].map((lsn) => formatPosition({ kind: "lsn", lsn }));
    const what = `stands at ${is}, behind what was applied: changes from ${needed} on are not sent any more`;
    throw new CodedError("slot_lost", `the replication slot "${name}" ${what}`);
  }
  return confirmedFlush;
}
