import type { Pair } from "./pair.ts";

/** What a shadow session needs to know, and tells, of rehearsing. */
export type RehearsalHooks = {
  /** Some constraint of the shadow may be checked at COMMIT only. */
  readonly defers: () => boolean;
  /** Undefined where nothing is rehearsed. */
  readonly holdMs: () => number | undefined;
  /** The pair has been rolled back, or never ran. */
  readonly undone: (pair: Pair) => void;
  /** The transaction with this number was rolled back since it had been open for too long. */
  readonly ended: (transaction: number) => void;
};

/** Rehearsals of one shadow session that are not rolled back yet, and so hold locks there. */
export class StandingRehearsals {
  readonly #undone: (pair: Pair) => void;
  readonly #pairs: Pair[] = [];
  #sinceMs = 0;
  #cancelled: Pair | undefined;

  /** @param undone called for each once it is rolled back, or if it never runs */
  constructor(undone: (pair: Pair) => void) {
    this.#undone = undone;
  }

  /** The pair is sent. */
  add(pair: Pair, nowMs: number): void {
    if (pair.rehearsal === undefined) return;
    if (this.#pairs.length === 0) this.#sinceMs = nowMs;
    this.#pairs.push(pair);
  }

  /** All of them are undone: rolled back, or the connection that they ran on is gone. */
  clear(): void {
    for (const pair of this.#pairs.splice(0)) this.#undone(pair);
  }

  /** The pair comes to an end without having run. */
  lost(pair: Pair): void {
    if (pair.rehearsal !== undefined && !this.#pairs.includes(pair)) this.#undone(pair);
  }

  isOverdue(nowMs: number, holdMs: number): boolean {
    return this.#pairs.length > 0 && nowMs - this.#sinceMs >= holdMs;
  }

  /** Whether to cancel it, of which once is enough: a second time might hit what runs after it. */
  mayCancel(running: Pair | undefined): boolean {
    if (running?.rehearsal === undefined || running === this.#cancelled) return false;
    this.#cancelled = running;
    return true;
  }
}
