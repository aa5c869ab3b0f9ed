import type { Clock } from "../base/clock.ts";
import type { Lsn } from "../wire/position.ts";

export type PositionDeps = {
  readonly clock: Clock;
  /** Where the primary is. @throws when it cannot be asked */
  readonly primary: () => Promise<PrimaryPosition | undefined>;
  readonly sleep: (ms: number) => Promise<void>;
  /**
   * Up to where the shadow has applied the primary's commits: `nowhere` while tables are being copied;
   * undefined when nothing tells. @throws likewise
   */
  readonly applied: () => Promise<Lsn | "nowhere" | undefined>;
  /** Nobody asks any more. */
  readonly closed: () => void;
};

type PrimaryPosition = {
  readonly inserted: Lsn;
  readonly flushed: Lsn;
  readonly writerDelayMs: number;
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
/** Beside three rounds of the log writer, for it to be scheduled. */
const FLUSH_GRACE_MS = 400;
const FLUSH_POLL_MS = 20;
const SAMPLE_MS = 50;
/** Enough samples to tell lags of half a minute. */
const MAX_SAMPLES = 600;
/** The primary is not asked more often, however many want to know. */
const SHORTEST_ASK_MS = 3;

/** How far the shadow is behind the primary, and waiting until it is not. One for each migration. */
export class ShadowPosition {
  readonly #deps: PositionDeps;
  /** The shadow has been asked once. */
  readonly ready: Promise<void>;
  #waiters: Waiter[] = [];
  #applied: Lsn | undefined;
  /** Tables are still being copied, so no position says what the shadow has. */
  #nowhere = false;
  /** Grows when the sides swap: what was asked of them before is of no use. */
  #generation = 0;
  #primary: Lsn | undefined;
  /** Where the primary was at which time, the oldest first. */
  #samples: { readonly lsn: Lsn; readonly atMs: number }[] = [];
  #asking: Promise<Lsn | undefined> | undefined;
  #next: Promise<Lsn | undefined> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #polling = false;
  /** Nothing between what was flushed and here is a commit. */
  #noCommitUpTo: Lsn | undefined;
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

  /** The shadow is known to be less than this far behind. */
  isWithin(ms: number): boolean {
    if (this.#applied === undefined) return false;
    const { ms: lagMs } = this.lag;
    return lagMs !== null && lagMs <= ms;
  }

  /**
   * A position of the primary that is not before anything it has answered until now; undefined when
   * it cannot be told. Who asks at the same time shares a query that begins after all of them asked.
   */
  here(): Promise<Lsn | undefined> {
    if (this.#next !== undefined) return this.#next;
    if (this.#asking === undefined) {
      this.#asking = this.#ask();
      return this.#asking;
    }
    const spaced = this.#asking.then(() => this.#deps.sleep(SHORTEST_ASK_MS));
    this.#next = spaced.then(() => {
      this.#next = undefined;
      this.#asking = this.#ask();
      return this.#asking;
    });
    return this.#next;
  }

  /** Waits until the shadow has applied the primary's commits up to a position. */
  reached(lsn: Lsn, timeoutMs: number): Promise<Reached> {
    if (this.#nowhere) return Promise.resolve("late");
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
    this.#generation++;
    this.#applied = undefined;
    this.#nowhere = false;
    this.#primary = undefined;
    this.#samples = [];
    this.#noCommitUpTo = undefined;
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
    const generation = this.#generation;
    try {
      const lsn = await this.#committed();
      if (generation !== this.#generation) return undefined;
      if (lsn !== undefined) this.#note(lsn);
      return lsn;
    } catch {
      // The primary cannot be asked: its clients notice that, and nothing is known here.
      return undefined;
    } finally {
      this.#asking = undefined;
    }
  }

  /**
   * What is behind the last commit in the log may stay unflushed for as long as nothing else is
   * committed, and is never seen by the shadow until then. A commit that did not wait for its flush is
   * flushed within three rounds of the server's log writer, so what is not by then is no commit.
   * @see https://www.postgresql.org/docs/current/wal-async-commit.html
   */
  async #committed(): Promise<Lsn | undefined> {
    const first = await this.#deps.primary();
    if (first === undefined) return undefined;
    const { inserted } = first;
    let { flushed } = first;
    const flushMs = 3 * first.writerDelayMs + FLUSH_GRACE_MS;
    const deadlineMs = this.#deps.clock.monotonicMs() + flushMs;
    while (flushed < inserted && this.#noCommitUpTo !== inserted) {
      if (this.#deps.clock.monotonicMs() >= deadlineMs) {
        this.#noCommitUpTo = inserted;
        break;
      }
      await this.#deps.sleep(FLUSH_POLL_MS);
      flushed = (await this.#deps.primary())?.flushed ?? flushed;
    }
    return flushed < inserted ? flushed : inserted;
  }

  #note(lsn: Lsn): void {
    this.#primary = lsn;
    const atMs = this.#deps.clock.monotonicMs();
    const last = this.#samples.at(-1);
    if (last !== undefined && atMs - last.atMs < SAMPLE_MS) return;
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
    const generation = this.#generation;
    try {
      const applied = await this.#deps.applied();
      if (generation === this.#generation) {
        this.#nowhere = applied === "nowhere";
        this.#applied = applied === "nowhere" ? undefined : applied;
      }
    } catch {
      // What was applied stays applied: who waits for more goes on until it is late.
    }
    // For the lag to be shown, where there is one to be told.
    if (this.#applied !== undefined && this.#waiters.length === 0) void this.here();
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
