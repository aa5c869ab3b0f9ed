import type { MemoryBudget } from "./memory-budget.ts";
import type { Pair } from "./pair.ts";

/** Bytes that the pairs of one shadow session hold, within its own bound and that of all together. */
export class HeldMemory {
  readonly #budget: MemoryBudget;
  readonly #limitBytes: () => number;
  #bytes = 0;
  #closed = false;

  constructor(budget: MemoryBudget, limitBytes: () => number) {
    this.#budget = budget;
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** More than so much is not to be held for longer than it has to be. */
  get isScarce(): boolean {
    return this.#bytes > this.#limitBytes() / 4 || this.#budget.isScarce;
  }

  /** Accounts for memory that a pair comes to hold. @returns false when it would be too much. */
  hold(pair: Pair, bytes: number): boolean {
    if (this.#closed) return true;
    if (this.#bytes + bytes > this.#limitBytes() || !this.#budget.fits(bytes)) return false;
    this.#bytes += bytes;
    this.#budget.take(bytes);
    pair.heldBytes += bytes;
    return true;
  }

  /** The pair is judged or dropped: its memory is free. */
  release(pair: Pair): void {
    if (this.#closed) return;
    this.#bytes -= pair.heldBytes;
    this.#budget.giveBack(pair.heldBytes);
    pair.heldBytes = 0;
  }

  /** All that is still held is free, and nothing is accounted for any more. */
  close(): void {
    this.#closed = true;
    this.#budget.giveBack(this.#bytes);
    this.#bytes = 0;
  }
}
