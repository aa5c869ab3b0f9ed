/** Waiting times that double from `firstMs` up to `maxMs`, each shortened by up to a half at random. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #attempt = 0;

  constructor(firstMs: number, maxMs: number, random: () => number) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#random = random;
  }

  /** How long to wait before the next try, in milliseconds. */
  nextMs(): number {
    const full = Math.min(this.#maxMs, this.#firstMs * 2 ** this.#attempt);
    this.#attempt++;
    return full * (1 - this.#random() / 2);
  }

  reset(): void {
    this.#attempt = 0;
  }
}
