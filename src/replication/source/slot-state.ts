import { CodedError } from "../../base/errors.ts";
import type { SourceServer } from "../../control/replication-record.ts";
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
  /** As in `pg_replication_slots`; undefined while it is being made. */
  readonly walStatus: "reserved" | "extended" | "unreserved" | "lost" | undefined;
  /** Why it is of no use any more, in the server's word; undefined while it is. */
  readonly lostBecause: string | undefined;
  readonly confirmedFlush: Lsn | undefined;
  /** What the server keeps for it. */
  readonly retainedBytes: number;
  /** What may still be written before the server may give it up; undefined: no limit is set. */
  readonly safeBytes: number | undefined;
};

/** A look at a slot and at the server it stands on. */
export type SlotLook = SourceServer & {
  /** undefined: there is no slot of that name. */
  readonly slot: SlotState | undefined;
};

/** Through JSON: why a slot is lost came with PostgreSQL 16 and 17. One text, because a walsender takes no values. Since 13. */
function lookSql(slot: string): string {
  return `
    SELECT (SELECT c.system_identifier FROM pg_catalog.pg_control_system() AS c),
      CASE WHEN NOT pg_catalog.pg_is_in_recovery()
        THEN pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END,
      s.slot_name, s.plugin, s.database, s.active_pid, s.wal_status,
      COALESCE(pg_catalog.to_jsonb(s) ->> 'invalidation_reason',
        CASE WHEN pg_catalog.to_jsonb(s) ->> 'conflicting' = 'true' THEN 'rows_removed' END,
        CASE WHEN s.wal_status = 'lost' THEN 'wal_removed' END),
      s.confirmed_flush_lsn, s.safe_wal_size,
      pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
        ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn)::pg_catalog.int8
    FROM (SELECT ${quoteLiteral(slot)} AS wanted) AS w
    LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.slot_name = w.wanted`;
}

/** Any role may, over any kind of connection. @throws CodedError, WorkError */
export async function lookAtSlot(ask: Ask, slot: string): Promise<SlotLook> {
  const [row = []] = await ask(lookSql(slot));
  const [systemIdentifier, timeline, name, ...state] = row;
  return {
    systemIdentifier: systemIdentifier ?? "",
    timeline: timeline ?? undefined,
    slot: name === null || name === undefined ? undefined : slotOf(state),
  };
}

function slotOf(row: readonly (string | null)[]): SlotState {
  const [plugin, database, pid, walStatus, why, confirmed, safe, retained] = row;
  return {
    plugin: plugin ?? "",
    database: database ?? "",
    activePid: pid === null || pid === undefined ? undefined : Number(pid),
    walStatus: (walStatus ?? undefined) as SlotState["walStatus"],
    lostBecause: why ?? undefined,
    confirmedFlush: parseLsn(confirmed ?? ""),
    retainedBytes: Math.max(0, Number(retained ?? 0)),
    safeBytes: safe === null || safe === undefined ? undefined : Number(safe),
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
  if (state.lostBecause !== undefined) {
    const what = `is lost (${state.lostBecause}): the server has removed what was not applied yet`;
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
