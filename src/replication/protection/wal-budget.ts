import type { Ask } from "../read-shapes.ts";
import { bytesInWords, durationInWords } from "../words.ts";

/** A look at a slot and its server. */
export type SlotLook = {
  /** Of our monotonic clock. */
  readonly atMs: number;
  readonly systemIdentifier: string;
  /** 8 hexadecimal digits; undefined on a standby. */
  readonly timeline: string | undefined;
  /** undefined: there is no slot of that name. */
  readonly slot:
    | {
        readonly active: boolean;
        readonly activePid: string | undefined;
        /** `reserved`, `extended`, `unreserved` or `lost`. */
        readonly walStatus: string;
        readonly retainedBytes: number;
        /** What may still be written before the server may give it up; undefined: no limit is set. */
        readonly safeBytes: number | undefined;
        readonly invalidationReason: string | undefined;
      }
    | undefined;
};

/** What is remembered of a source from when its slot was made. */
export type SourceIdentity = {
  readonly systemIdentifier: string;
  readonly timeline: string | undefined;
};

export type BudgetVerdict = {
  readonly kind:
    | "fine"
    /** Half of the budget is used, or the server will give the slot up before that. */
    | "warn"
    /** The migration has to end: drop the slot. */
    | "stop"
    /** The log it needs is gone: NEW needs a new copy. */
    | "lost"
    /** Not the server the slot was made on: nothing may be applied from it. */
    | "other_server"
    /** The same server after a failover: the slot may lack what was acknowledged, or have what was not. */
    | "other_timeline";
  readonly sentence: string;
  readonly retainedBytes: number | undefined;
  /** undefined before the second look, or while it does not grow. */
  readonly bytesPerSecond: number | undefined;
  readonly secondsLeft: number | undefined;
};

const WARN_SHARE = 0.5;

/** Through JSON: `invalidation_reason` came with PostgreSQL 17. Since 13. */
const LOOK = `
  SELECT (SELECT c.system_identifier FROM pg_catalog.pg_control_system() AS c),
    CASE WHEN NOT pg_catalog.pg_is_in_recovery()
      THEN pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END,
    s.slot_name, s.active, s.active_pid, COALESCE(s.wal_status, 'lost'), s.safe_wal_size,
    COALESCE(pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
      ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn), 0)::pg_catalog.int8,
    pg_catalog.to_jsonb(s) ->> 'invalidation_reason'
  FROM (SELECT $1::pg_catalog.name AS wanted) AS w
  LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.slot_name = w.wanted`;

/** Reads a slot; any role may. @throws CodedError */
export async function lookAtSlot(ask: Ask, slot: string, nowMs: number): Promise<SlotLook> {
  const [row] = await ask(LOOK, [slot]);
  const [system, timeline, name, active, pid, status, safe, retained, reason] = row ?? [];
  return {
    atMs: nowMs,
    systemIdentifier: system ?? "",
    timeline: timeline ?? undefined,
    slot:
      name === null || name === undefined
        ? undefined
        : {
            active: active === "t",
            activePid: pid ?? undefined,
            walStatus: status ?? "",
            retainedBytes: Number(retained ?? 0),
            safeBytes: safe === null || safe === undefined ? undefined : Number(safe),
            invalidationReason: reason ?? undefined,
          },
  };
}

/**
 * What a look means. The source is never the one that suffers: at the budget the migration ends.
 * @param known undefined when the slot has not been made yet, so that its absence is fine
 * @param before an earlier look, for the rate
 */
export function judgeBudget(
  look: SlotLook,
  the: {
    readonly slotName: string;
    readonly known: SourceIdentity | undefined;
    readonly before: SlotLook | undefined;
    readonly budgetBytes: number;
  },
): BudgetVerdict {
  const { known, slotName } = the;
  const none = { retainedBytes: undefined, bytesPerSecond: undefined, secondsLeft: undefined };
  if (known !== undefined && known.systemIdentifier !== look.systemIdentifier) {
    const sentence = `the source is another server now (system identifier ${look.systemIdentifier}, was ${known.systemIdentifier}): its log does not go on where the other's was read; NEW needs a new copy`;
    return { kind: "other_server", sentence, ...none };
  }
  const { slot } = look;
  if (slot === undefined) {
    if (known === undefined) return { kind: "fine", sentence: "there is no slot yet", ...none };
    const moved = hasMoved(look, known) ? ", and the source has failed over since" : "";
    const sentence = `the slot ${slotName} is gone${moved}: the log since then cannot be had any more; NEW needs a new copy`;
    return { kind: "lost", sentence, ...none };
  }
  if (slot.walStatus === "lost" || slot.invalidationReason !== undefined) {
    const why = slot.invalidationReason === undefined ? "" : ` (${slot.invalidationReason})`;
    const sentence = `the source has given up the slot ${slotName}${why}: the log it needs is gone; NEW needs a new copy`;
    return { kind: "lost", sentence, ...none };
  }
  if (known !== undefined && hasMoved(look, known)) {
    const sentence = `the source has failed over (timeline ${look.timeline ?? "unknown"}, was ${known.timeline ?? "unknown"}): what was acknowledged may not be what it has; NEW has to be verified or copied anew`;
    return { kind: "other_timeline", sentence, ...none };
  }
  return judgeSize(slot, rateOf(look, the.before), the.budgetBytes);
}

function judgeSize(
  slot: NonNullable<SlotLook["slot"]>,
  bytesPerSecond: number | undefined,
  budgetBytes: number,
): BudgetVerdict {
  const { retainedBytes, safeBytes } = slot;
  const left = Math.min(budgetBytes - retainedBytes, safeBytes ?? Infinity);
  const secondsLeft = bytesPerSecond === undefined ? undefined : Math.max(0, left) / bytesPerSecond;
  const numbers = { retainedBytes, bytesPerSecond, secondsLeft };
  const holds = `the source keeps ${bytesInWords(retainedBytes)} of log of a budget of ${bytesInWords(budgetBytes)}`;
  const until =
    bytesPerSecond === undefined || secondsLeft === undefined
      ? ""
      : `, which is used up in ${durationInWords(secondsLeft)} at ${bytesInWords(bytesPerSecond)}/s`;
  if (retainedBytes >= budgetBytes) {
    const sentence = `${holds}: the slot is given up to protect the source; NEW needs a new copy`;
    return { kind: "stop", sentence, ...numbers };
  }
  if (slot.walStatus === "unreserved") {
    const sentence = `${holds}, but its own limit is reached: the server gives the slot up at its next checkpoint`;
    return { kind: "warn", sentence, ...numbers };
  }
  const isServerFirst = safeBytes !== undefined && safeBytes < budgetBytes - retainedBytes;
  const allowed = isServerFirst ? retainedBytes + safeBytes : budgetBytes;
  const first = isServerFirst
    ? `; its own limit (max_slot_wal_keep_size) leaves ${bytesInWords(Math.max(0, safeBytes))}`
    : "";
  const kind = retainedBytes >= WARN_SHARE * allowed ? "warn" : "fine";
  return { kind, sentence: `${holds}${first}${until}`, ...numbers };
}

/** A standby has no timeline of its own to tell. */
function hasMoved(look: SlotLook, known: SourceIdentity): boolean {
  return (
    known.timeline !== undefined && look.timeline !== undefined && known.timeline !== look.timeline
  );
}

function rateOf(look: SlotLook, before: SlotLook | undefined): number | undefined {
  if (before?.slot === undefined || look.slot === undefined) return undefined;
  const seconds = (look.atMs - before.atMs) / 1000;
  const grown = look.slot.retainedBytes - before.slot.retainedBytes;
  return seconds > 0 && grown > 0 ? grown / seconds : undefined;
}

/**
 * Gives a slot up: ends who reads it and drops it. No slot of that name is fine. Since PostgreSQL 14.
 * @throws CodedError
 */
export async function giveUpSlot(ask: Ask, slot: string): Promise<void> {
  await ask(
    `SELECT pg_catalog.pg_terminate_backend(s.active_pid, 5000) FROM pg_catalog.pg_replication_slots AS s
     WHERE s.slot_name = $1 AND s.active_pid IS NOT NULL`,
    [slot],
  );
  await ask(
    `SELECT pg_catalog.pg_drop_replication_slot(s.slot_name) FROM pg_catalog.pg_replication_slots AS s
     WHERE s.slot_name = $1`,
    [slot],
  );
}
