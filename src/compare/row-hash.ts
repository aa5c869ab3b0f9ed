/**
 * A 64-bit hash of a row in two 32-bit lanes, fed in pieces of any size. Plain arithmetic, because
 * for rows of a hundred bytes a call into WebAssembly costs more than the hash.
 * Not for adversaries: it tells rows apart that differ by accident.
 */
export class RowHash {
  #a = SEED_A;
  #b = SEED_B;
  /** Up to three bytes that did not fill a word, the first in the lowest bits. */
  #carry = 0;
  #carried = 0;
  #length = 0;

  /** Forgets everything, for the next row. */
  reset(): void {
    this.#a = SEED_A;
    this.#b = SEED_B;
    this.#carry = 0;
    this.#carried = 0;
    this.#length = 0;
  }

  update(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    this.#length = (this.#length + (end - start)) | 0;
    while (this.#carried > 0 && at < end) this.#byte(bytes[at++] as number);
    let a = this.#a;
    let b = this.#b;
    for (const last = end - 4; at <= last; at += 4) {
      const word =
        (bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24);
      a = Math.imul(a ^ Math.imul(word, MIX_1), MIX_2);
      a ^= a >>> 15;
      b = Math.imul((b ^ word) + ROUND, MIX_3);
      b ^= b >>> 13;
    }
    this.#a = a;
    this.#b = b;
    while (at < end) this.#byte(bytes[at++] as number);
  }

  /** @returns the lanes as two unsigned 32-bit numbers, in an array that is used again. */
  finish(into: Uint32Array): void {
    this.#word(this.#carry);
    let a = this.#a ^ this.#length;
    let b = this.#b ^ Math.imul(this.#length, MIX_3);
    a = finalise(a + b);
    b = finalise(b + a);
    into[0] = a;
    into[1] = b;
  }

  #byte(byte: number): void {
    this.#carry |= byte << (8 * this.#carried);
    if (++this.#carried < 4) return;
    this.#word(this.#carry);
    this.#carry = 0;
    this.#carried = 0;
  }

  #word(word: number): void {
    this.#a = Math.imul(this.#a ^ Math.imul(word, MIX_1), MIX_2);
    this.#a ^= this.#a >>> 15;
    this.#b = Math.imul((this.#b ^ word) + ROUND, MIX_3);
    this.#b ^= this.#b >>> 13;
  }
}

/** Odd numbers with about as many ones as zeros; any such would do. */
const MIX_1 = 0x6c8e9cf5;
const MIX_2 = 0x2545f491;
const MIX_3 = 0x4f1bbcdd;
const ROUND = 0x3c6ef372;
const SEED_A = 0x13198a2e;
const SEED_B = 0x243f6a88;

/** Every bit of the word in has a say in every bit of the word out. */
function finalise(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x7feb352d);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x846ca68b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
