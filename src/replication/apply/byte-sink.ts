const BACKSLASH = 0x5c;

/** Bytes being put together; grows as needed. */
export class ByteSink {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  text(ascii: string): void {
    this.#reserve(ascii.length);
    this.#length += this.#bytes.write(ascii, this.#length, "latin1");
  }

  /** With a backslash and `escapes[b]` for every byte b for which that is not 0. */
  escaped(value: Uint8Array, escapes: Uint8Array): void {
    this.#reserve(2 * value.length);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < value.length; i++) {
      const byte = value[i] ?? 0;
      const escape = escapes[byte] ?? 0;
      if (escape === 0) {
        bytes[at++] = byte;
      } else {
        bytes[at++] = BACKSLASH;
        bytes[at++] = escape;
      }
    }
    this.#length = at;
  }

  /** Overwrites four bytes written before, big-endian. */
  patchInt32(at: number, value: number): void {
    this.#bytes.writeInt32BE(value, at);
  }

  /** What has been written; the sink begins anew with other memory. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafe(this.#bytes.length);
    this.#length = 0;
    return taken;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

/** A table for `escaped`: which byte follows the backslash. */
export function escapeTable(escapes: Readonly<Record<string, string>>): Uint8Array {
  const table = new Uint8Array(256);
  for (const [from, to] of Object.entries(escapes)) table[from.charCodeAt(0)] = to.charCodeAt(0);
  return table;
}
