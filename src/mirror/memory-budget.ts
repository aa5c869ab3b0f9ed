/** Bytes that all shadow sessions of one migration may hold together. */
export class MemoryBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get isScarce(): boolean {
    return this.#usedBytes > this.#limitBytes / 2;
  }

  fits(bytes: number): boolean {
    return this.#usedBytes + bytes <= this.#limitBytes;
  }

  take(bytes: number): void {
    this.#usedBytes += bytes;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}
