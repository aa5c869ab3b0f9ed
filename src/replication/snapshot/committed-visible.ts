import { setTimeout as delay } from "node:timers/promises";
import type { CopyDeps } from "./copy-deps.ts";

/**
 * Sessions whose commit stands in the log and is not visible yet, because a synchronous standby has not confirmed it. Since
 * PostgreSQL 10; without the right to see what others wait for there are none.
 */
const WAITING = `
  SELECT a.pid || ' ' || a.xact_start FROM pg_catalog.pg_stat_activity AS a WHERE a.wait_event = 'SyncRep'`;

const ASK_AGAIN_MS = 200;

/**
 * Waits for commits that a process before this one, or the making of the slot, may have passed over in the log, and that a
 * snapshot taken now would miss. Those passed over from now on are remembered one by one.
 */
export async function whatIsCommittedIsVisible(
  { openSource, logger }: Pick<CopyDeps, "openSource" | "logger">,
  signal: AbortSignal,
): Promise<void> {
  const session = await openSource();
  try {
    const ask = async (): Promise<readonly (string | null | undefined)[]> =>
      (await session.query({ sql: WAITING })).rows.map(([who]) => who);
    let waiting = await ask();
    if (waiting.length > 0) {
      logger.warn(
        { sessions: waiting.length },
        "commits wait for a synchronous standby of the source",
      );
    }
    while (waiting.length > 0) {
      await delay(ASK_AGAIN_MS, undefined, { signal });
      const now = new Set(await ask());
      waiting = waiting.filter((who) => now.has(who));
    }
  } finally {
    await session.close();
  }
}
