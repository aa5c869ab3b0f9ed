import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";

/** How fast all copiers together may be. */
export type CopyThrottle = {
  /** Counts bytes that have been read. A promise when the next ones must wait. */
  spend(bytes: number): Promise<void> | undefined;
};

/** Unused time counts for no more than this. */
const BURST_MS = 200;

/** @param bytesPerSecond undefined: no limit */
export function openThrottle(clock: Clock, bytesPerSecond: number | undefined): CopyThrottle {
  if (bytesPerSecond === undefined) return { spend: () => undefined };
  let freeAtMs = clock.monotonicMs();
  return {
    spend: (bytes) => {
      const now = clock.monotonicMs();
      freeAtMs = Math.max(freeAtMs, now - BURST_MS) + (bytes / bytesPerSecond) * 1000;
      return freeAtMs <= now ? undefined : delay(freeAtMs - now);
    },
  };
}
