/**
 * The keys with which clients cancel. They are ours, not a server's, so they stay valid when the
 * session moves to the other side.
 */
export class CancelKeys<T> {
  readonly #random: (bytes: number) => Uint8Array;
  readonly #issued = new Map<number, { readonly secretKey: Uint8Array; readonly owner: T }>();

  constructor(random: (bytes: number) => Uint8Array) {
    this.#random = random;
  }

  /** @param keyBytes 4 for protocol 3.0, up to 256 from 3.2 on */
  issue(
    owner: T,
    keyBytes: number,
  ): { readonly processId: number; readonly secretKey: Uint8Array } {
    let processId: number;
    do {
      processId = Buffer.from(this.#random(4)).readUInt32BE() >>> 1;
    } while (processId === 0 || this.#issued.has(processId));
    const secretKey = this.#random(keyBytes);
    this.#issued.set(processId, { secretKey, owner });
    return { processId, secretKey };
  }

  find(processId: number, secretKey: Uint8Array): T | undefined {
    const issued = this.#issued.get(processId);
    if (issued === undefined || Buffer.compare(issued.secretKey, secretKey) !== 0) return undefined;
    return issued.owner;
  }

  withdraw(processId: number): void {
    this.#issued.delete(processId);
  }
}
