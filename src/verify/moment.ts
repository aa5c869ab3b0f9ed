import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "../base/errors.ts";
import { beat } from "../replication/canary.ts";
import type { Applier } from "../replication/apply/applier.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import { parseLsn } from "../wire/position.ts";
import type { Lsn } from "../wire/position.ts";

/** What is needed to look at both sides at one instant. The sessions are the moment's alone. */
export type MomentDeps = {
  readonly migration: string;
  /** The one that runs now. */
  readonly applier: () => Pick<Applier, "hold"> | undefined;
  readonly old: WorkSession;
  readonly fresh: WorkSession;
  /** Another one on OLD, which writes the canary. */
  readonly beating: WorkSession;
  readonly signal: AbortSignal;
};

/**
 * Taken before the snapshots: a table that is emptied after a snapshot looks empty in it, so none of those that are looked at
 * may be.
 */
export type MomentLocks = { readonly old: string; readonly fresh: string };

/** Who waits for a lock waits while replication stands. */
const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '5s'";
/** The first statement fixes the snapshot; the position is read after it. */
const SNAPSHOT = "SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text";
const HERE = "SELECT pg_catalog.pg_current_wal_insert_lsn()";
const FIX = "SELECT 1";
const TRIES = 10;
/** An applier that has just ended is followed by another one. */
const PAUSE_MS = 200;
const MESSAGE =
  "NEW could not be brought to a snapshot of OLD: it is too far behind, or replication does not run";
/** How long the applier may take to get there. */
const HOLD_MS = 30_000;

/**
 * Leaves both sessions within a transaction, of which NEW's sees exactly what OLD's does.
 * @param whileHeld done before the applier goes on
 * @returns the position of OLD's log
 * @throws CodedError
 */
export async function beginMoment(
  deps: MomentDeps,
  locks: MomentLocks,
  whileHeld: () => Promise<void> = async () => {},
): Promise<Lsn> {
  for (let tried = 0; tried < TRIES; tried++) {
    deps.signal.throwIfAborted();
    const position = await tryMoment(deps, locks, whileHeld);
    if (position !== undefined) return position;
    await endMoment(deps);
    await sleep(PAUSE_MS);
  }
  throw new CodedError("conflict", MESSAGE);
}

/** Ends both transactions: nothing of them is kept. */
export async function endMoment({ old, fresh }: Pick<MomentDeps, "old" | "fresh">): Promise<void> {
  await Promise.all([old.execute("ROLLBACK"), fresh.execute("ROLLBACK")]);
}

async function tryMoment(
  deps: MomentDeps,
  locks: MomentLocks,
  whileHeld: () => Promise<void>,
): Promise<Lsn | undefined> {
  const { applier, old, fresh, beating, migration } = deps;
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(HOLD_MS)]);
  await old.execute(BEGIN);
  await old.execute(locks.old);
  const held = await applier()?.hold(signal);
  if (held === undefined) return undefined;
  let isThere = false;
  let position: Lsn | undefined;
  try {
    const sees = await one(old, SNAPSHOT);
    position = parseLsn(await one(old, HERE));
    // A commit behind the position: without one the log might stay unflushed before it for a while.
    await beat(beating, migration, "old");
    isThere = await held.goTo(sees, position, signal);
    await fresh.execute(BEGIN);
    await fresh.execute(locks.fresh);
    await one(fresh, FIX);
    if (isThere) await whileHeld();
  } finally {
    isThere = held.release() && isThere;
  }
  return isThere ? position : undefined;
}

async function one(session: WorkSession, sql: string): Promise<string> {
  const { rows } = await session.query({ sql });
  return rows[0]?.[0] ?? "";
}
