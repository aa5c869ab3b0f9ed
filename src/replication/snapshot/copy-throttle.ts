import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";

/** How fast all copiers together may be; changed at any time. */
export type CopyThrottle = {
  /** undefined: no limit. */
  setLimit(bytesPerSecond: number | undefined): void;
  /** Chunks under way are finished, others are not begun. */
  pause(): void;
  resume(): void;
  readonly paused: boolean;
  /** Counts bytes that have been read. A promise when the next ones must wait. */
  spend(bytes: number): Promise<void> | undefined;
  /** Resolves when chunks may be begun. @throws the signal's reason */
  mayBegin(signal: AbortSignal): Promise<void>;
};

/** Unused time counts for no more than this. */
const BURST_MS = 200;

export function openThrottle(clock: Clock, first: number | undefined): CopyThrottle {
  let perMs = first === undefined ? undefined : first / 1000;
  let freeAtMs = clock.monotonicMs();
  let gate: { readonly opened: Promise<void>; open(): void } | undefined;
  const resume = (): void => {
    gate?.open();
    gate = undefined;
  };
  return {
    setLimit: (bytesPerSecond) => {
      perMs = bytesPerSecond === undefined ? undefined : bytesPerSecond / 1000;
      freeAtMs = clock.monotonicMs();
    },
    pause: () => {
      if (gate !== undefined) return;
      let open = (): void => {};
      const opened = new Promise<void>((resolve) => (open = resolve));
      gate = { opened, open };
    },
    resume,
    get paused() {
      return gate !== undefined;
    },
    spend: (bytes) => {
      if (perMs === undefined) return undefined;
      const now = clock.monotonicMs();
      freeAtMs = Math.max(freeAtMs, now - BURST_MS) + bytes / perMs;
      return freeAtMs <= now ? undefined : delay(freeAtMs - now);
    },
    mayBegin: async (signal) => {
      while (gate !== undefined) {
        const { opened } = gate;
        signal.throwIfAborted();
        await new Promise<void>((resolve, reject) => {
          const stop = (): void => reject(signal.reason as Error);
          signal.addEventListener("abort", stop, { once: true });
          void opened.then(() => {
            signal.removeEventListener("abort", stop);
            resolve();
          });
        });
      }
      signal.throwIfAborted();
    },
  };
}
