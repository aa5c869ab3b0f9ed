import loadXxhash from "xxhash-wasm";
import type { XXHash } from "xxhash-wasm";

const { h64Raw, create64 } = await loadXxhash();

/** XXH64 of a row that comes in pieces. */
export class RowHash {
  #stream: XXHash<bigint> | undefined;

  update(bytes: Uint8Array, start: number, end: number): void {
    this.#stream ??= create64();
    this.#stream.update(bytes.subarray(start, end));
  }

  /** @returns the hash of all pieces, and begins anew. */
  finish(): bigint {
    const hash = this.#stream?.digest() ?? EMPTY;
    this.#stream = undefined;
    return hash;
  }
}

/** The same hash of a row that lies in one piece. */
export function hashRow(bytes: Uint8Array, start: number, end: number): bigint {
  return h64Raw(bytes.subarray(start, end));
}

const EMPTY = h64Raw(new Uint8Array(0));
