import type { SourceServer } from "../../control/replication-record.ts";
import type { Ask } from "../read-shapes.ts";
import type { SlotLook, SlotState } from "../source/slot-state.ts";
import { bytesInWords, durationInWords } from "../words.ts";

/** A look at a slot, and when it was taken by our monotonic clock. */
export type TimedLook = SlotLook & { readonly atMs: number };

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

/**
 * What a look means. The source is never the one that suffers: at the budget the migration ends.
 * @param known undefined when the slot has not been made yet, so that its absence is fine
 * @param before an earlier look, for the rate
 */
export function judgeBudget(
  look: TimedLook,
  the: {
    readonly slotName: string;
    readonly known: SourceServer | undefined;
    readonly before: TimedLook | undefined;
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
  if (slot.lostBecause !== undefined) {
    const sentence = `the source has given up the slot ${slotName} (${slot.lostBecause}): the log it needs is gone; NEW needs a new copy`;
    return { kind: "lost", sentence, ...none };
  }
  if (known !== undefined && hasMoved(look, known)) {
    const sentence = `the source has failed over (timeline ${look.timeline ?? "unknown"}, was ${known.timeline ?? "unknown"}): what was acknowledged may not be what it has; NEW has to be verified or copied anew`;
    return { kind: "other_timeline", sentence, ...none };
  }
  return judgeSize(slot, rateOf(look, the.before), the.budgetBytes);
}

function judgeSize(
  slot: SlotState,
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
function hasMoved(look: SlotLook, known: SourceServer): boolean {
  return (
    known.timeline !== undefined && look.timeline !== undefined && known.timeline !== look.timeline
  );
}

function rateOf(look: TimedLook, before: TimedLook | undefined): number | undefined {
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
