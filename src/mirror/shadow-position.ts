import type { Clock } from "../base/clock.ts";
import type { Lsn } from "../wire/position.ts";

export type PositionDeps = {
  readonly clock: Clock;
  /** Where the primary is. @throws when it cannot be asked */
  readonly primary: () => Promise<Lsn | undefined>;
  /** Up to where the shadow has applied the primary's commits; undefined when nothing tells. @throws likewise */
  readonly applied: () => Promise<Lsn | undefined>;
  /** Nobody asks any more. */
  readonly closed: () => void;
};

/** What became of waiting for the shadow. */
export type Reached = "reached" | "late" | "unknown";

type Waiter = {
  readonly lsn: Lsn;
  readonly deadlineMs: number;
  readonly resolve: (outcome: Reached) => void;
};

/** While somebody waits the shadow is asked so often, and so often otherwise. */
const WAITING_POLL_MS = 10;
const IDLE_POLL_MS = 1_000;
/** Enough samples to tell lags of a minute and more. */
const MAX_SAMPLES = 120;

/** How far the shadow is behind the primary, and waiting until it is not. One for each migration. */
export class ShadowPosition {
  readonly #deps: PositionDeps;
  /** The shadow has been asked once. */
  readonly ready: Promise<void>;
  #waiters: Waiter[] = [];
  #applied: Lsn | undefined;
  #primary: Lsn | undefined;
  /** Where the primary was at which time, the oldest first. */
  #samples: { readonly lsn: Lsn; readonly atMs: number }[] = [];
  #asking: Promise<Lsn | undefined> | undefined;
  #next: Promise<Lsn | undefined> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #polling = false;
  #closed = false;

  constructor(deps: PositionDeps) {
    this.#deps = deps;
    this.ready = this.#poll();
  }

  /** Up to where the shadow has applied the primary's commits, as last seen; undefined when nothing tells. */
  get applied(): Lsn | undefined {
    return this.#applied;
  }

  /** Where the primary was when it was last asked. */
  get primary(): Lsn | undefined {
    return this.#primary;
  }

  get lag(): { readonly bytes: number | null; readonly ms: number | null } {
    const [applied, primary] = [this.#applied, this.#primary];
    if (applied === undefined || primary === undefined) return { bytes: null, ms: null };
    if (applied >= primary) return { bytes: 0, ms: 0 };
    const passed = this.#samples.findLast(({ lsn }) => lsn <= applied) ?? this.#samples[0];
    const ms = passed === undefined ? null : this.#deps.clock.monotonicMs() - passed.atMs;
    return { bytes: Number(primary - applied), ms: ms === null ? null : Math.round(ms) };
  }

  /**
   * A position of the primary that is not before anything it has answered until now; undefined when
   * it cannot be told. Who asks at the same time shares a query that begins after all of them asked.
   */
  here(): Promise<Lsn | undefined> {
    if (this.#asking === undefined) {
      this.#asking = this.#ask();
      return this.#asking;
    }
    const before = this.#asking;
    this.#next ??= before.then(() => {
      this.#next = undefined;
      this.#asking = this.#ask();
      return this.#asking;
    });
    return this.#next;
  }

  /** Waits until the shadow has applied the primary's commits up to a position. */
  reached(lsn: Lsn, timeoutMs: number): Promise<Reached> {
    if (this.#applied === undefined || this.#closed) return Promise.resolve("unknown");
    if (this.#applied >= lsn) return Promise.resolve("reached");
    return new Promise((resolve) => {
      const deadlineMs = this.#deps.clock.monotonicMs() + timeoutMs;
      this.#waiters.push({ lsn, deadlineMs, resolve });
      this.#pollSoon();
    });
  }

  /** The sides have swapped. */
  forget(): void {
    this.#applied = undefined;
    this.#primary = undefined;
    this.#samples = [];
    for (const { resolve } of this.#waiters.splice(0)) resolve("unknown");
    this.#pollSoon();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.forget();
    this.#deps.closed();
  }

  async #ask(): Promise<Lsn | undefined> {
    try {
      const lsn = await this.#deps.primary();
      if (lsn !== undefined) this.#note(lsn);
      return lsn;
    } catch {
      // The primary cannot be asked: its clients notice that, and nothing is known here.
      return undefined;
    } finally {
      this.#asking = undefined;
    }
  }

  #note(lsn: Lsn): void {
    this.#primary = lsn;
    const atMs = this.#deps.clock.monotonicMs();
    const last = this.#samples.at(-1);
    if (last !== undefined && atMs - last.atMs < IDLE_POLL_MS / 2) return;
    this.#samples.push({ lsn, atMs });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
  }

  #pollSoon(): void {
    if (this.#polling || this.#closed) return;
    clearTimeout(this.#timer);
    void this.#poll();
  }

  async #poll(): Promise<void> {
    this.#polling = true;
    try {
      this.#applied = await this.#deps.applied();
    } catch {
      this.#applied = undefined;
    }
    // For the lag to be shown, where there is one to be told.
    if (this.#applied !== undefined && this.#waiters.length === 0) await this.here();
    this.#polling = false;
    this.#release();
    if (this.#closed) return;
    const waitMs = this.#waiters.length > 0 ? WAITING_POLL_MS : IDLE_POLL_MS;
    this.#timer = setTimeout(() => void this.#poll(), waitMs).unref();
  }

  #release(): void {
    const applied = this.#applied;
    const nowMs = this.#deps.clock.monotonicMs();
    this.#waiters = this.#waiters.filter(({ lsn, deadlineMs, resolve }) => {
      if (applied === undefined) resolve("unknown");
      else if (applied >= lsn) resolve("reached");
      else if (nowMs >= deadlineMs) resolve("late");
      else return true;
      return false;
    });
  }
}
