/**
 * The order in which dual writing repeats transactions on the shadow: that in which they entered.
 * Writing ones run alone, reading ones together between them, so what a read sees on the shadow is
 * what was committed before it on the primary.
 */
export class ApplyOrder {
  readonly #waiting: Turn[] = [];
  readonly #running = new Set<Turn>();
  #expected = 0;

  /** Transactions that the shadow still owes. */
  get size(): number {
    return this.#waiting.length + this.#running.size;
  }

  /** A transaction has begun to write on the primary; `settled` says how many have entered or never will. */
  expect(): void {
    this.#expected++;
  }

  settled(count: number): void {
    this.#expected -= count;
  }

  /** Nothing is owed, and nothing is under way that could come to be. */
  get idle(): boolean {
    return this.#expected === 0 && this.size === 0;
  }

  /** Queues a transaction; its `start` is called, perhaps before this returns, when its turn has come. */
  enter(turn: Turn): void {
    this.#waiting.push(turn);
    this.#advance();
  }

  /** The transaction has been committed: it need not hold its place any longer. */
  release(turn: Turn): void {
    turn.held = false;
    this.#advance();
  }

  /**
   * The transaction has ended on the shadow or was given up, whether or not it had begun.
   * @returns false when it had left already
   */
  leave(turn: Turn): boolean {
    if (!this.#running.delete(turn)) {
      const index = this.#waiting.indexOf(turn);
      if (index < 0) return false;
      this.#waiting.splice(index, 1);
    }
    this.#advance();
    return true;
  }

  #advance(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined || next.held || !this.#mayRun(next)) return;
      this.#waiting.shift();
      this.#running.add(next);
      next.start();
    }
  }

  #mayRun(turn: Turn): boolean {
    if (turn.writes) return this.#running.size === 0;
    for (const other of this.#running) if (other.writes) return false;
    return true;
  }
}

export type Turn = {
  readonly writes: boolean;
  readonly start: () => void;
  /** It has its place, and begins once it is released. */
  held: boolean;
};
