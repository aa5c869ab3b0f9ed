import type { Observation } from "../compare/observation.ts";
import type { ResultDigest } from "../compare/result-digest.ts";

/** Takes an answer too large to keep, in pieces of any size, in constant memory. */
export type Digester = {
  push(bytes: Buffer, start: number, end: number): void;
  results(): readonly ResultDigest[];
};

/**
 * Collects one side's answer to one exchange: as it came while it is small, as a digest from the
 * moment it is not.
 */
export class AnswerCapture {
  readonly #keepBytes: number;
  readonly #openDigester: () => Digester;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #digester: Digester | undefined;

  constructor(keepBytes: number, openDigester: () => Digester) {
    this.#keepBytes = keepBytes;
    this.#openDigester = openDigester;
  }

  /** Copies: the buffer may be reused at once. */
  append(bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#digester !== undefined) {
      this.#digester.push(bytes, start, end);
      return;
    }
    if (this.#bytes > this.#keepBytes) {
      this.#digester = this.#openDigester();
      for (const piece of this.#pieces) this.#digester.push(piece, 0, piece.length);
      this.#pieces = [];
      this.#digester.push(bytes, start, end);
      return;
    }
    const piece = Buffer.allocUnsafe(end - start);
    bytes.copy(piece, 0, start, end);
    this.#pieces.push(piece);
  }

  /** What is held in memory for it. */
  get heldBytes(): number {
    return this.#digester === undefined ? this.#bytes : this.#keepBytes;
  }

  finish(elapsedMs: number): Observation {
    if (this.#digester !== undefined) {
      const results = this.#digester.results();
      return { kind: "digested", elapsedMs, bytes: this.#bytes, results };
    }
    const [only] = this.#pieces;
    const frames =
      this.#pieces.length === 1 && only !== undefined ? only : Buffer.concat(this.#pieces);
    return { kind: "answered", elapsedMs, frames };
  }
}
