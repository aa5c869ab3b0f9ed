import { open, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import type { SourceRelation } from "../source/source-transaction.ts";
import { decodeChange, encodeChange } from "./change-codec.ts";
import type { RowEvent } from "./change-codec.ts";

/** Memory that all chunks under way share for the changes that wait for them. */
export type DeferredBudget = {
  /** What is kept beyond it goes to files in `folder`, which exists. */
  readonly maxBytes: number;
  readonly folder: string;
  /** Kept in memory now. */
  bytes: number;
  /** Distinguishes the files of one process. */
  files: number;
};

const READ_BYTES = 262_144;

/** Changes that wait for one chunk, in the order of the log: first those in its file, then those in memory. */
export class DeferredChanges {
  readonly #budget: DeferredBudget;
  readonly #relations: SourceRelation[] = [];
  #encoded: Buffer[] = [];
  #bytes = 0;
  #file: { readonly handle: FileHandle; length: number } | undefined;

  constructor(budget: DeferredBudget) {
    this.#budget = budget;
  }

  /** A promise only where something is written. */
  add(change: RowEvent): Promise<void> | undefined {
    const encoded = encodeChange(change, this.#numberOf(change.relation));
    if (this.#budget.bytes + encoded.length <= this.#budget.maxBytes) return this.#keep(encoded);
    return this.#spill().then(() => this.#keep(encoded));
  }

  /** The change that was added last was the first half of this one. */
  replaceLast(change: RowEvent): void {
    const length = this.#encoded.pop()?.length ?? 0;
    this.#bytes -= length;
    this.#budget.bytes -= length;
    this.#keep(encodeChange(change, this.#numberOf(change.relation)));
  }

  /** In order, in batches that are valid until the next one is asked for; may be read again. */
  async *batches(): AsyncIterable<readonly RowEvent[]> {
    yield* this.#fromFile();
    if (this.#encoded.length > 0) yield this.#encoded.map((bytes) => this.#decode(bytes, 4));
  }

  async clear(): Promise<void> {
    this.#forgetMemory();
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    await file.handle.close();
  }

  #keep(encoded: Buffer): undefined {
    this.#encoded.push(encoded);
    this.#bytes += encoded.length;
    this.#budget.bytes += encoded.length;
  }

  async #spill(): Promise<void> {
    if (this.#encoded.length === 0) return;
    const bytes = Buffer.concat(this.#encoded);
    this.#forgetMemory();
    if (this.#file === undefined) {
      const path = join(this.#budget.folder, `deferred-${process.pid}-${this.#budget.files++}`);
      // Rows of customers: for this account's eyes only, and without a name, so that nothing stays when the process is killed.
      this.#file = { handle: await open(path, "wx+", 0o600), length: 0 };
      await rm(path);
    }
    await this.#file.handle.writeFile(bytes);
    this.#file.length += bytes.length;
  }

  #forgetMemory(): void {
    this.#budget.bytes -= this.#bytes;
    this.#bytes = 0;
    this.#encoded = [];
  }

  async *#fromFile(): AsyncIterable<readonly RowEvent[]> {
    const file = this.#file;
    if (file === undefined) return;
    let rest = Buffer.alloc(0);
    for (let position = 0; position < file.length;) {
      const missing = rest.length < 4 ? 4 : rest.readUInt32BE(0) + 4 - rest.length;
      const wanted = Math.min(Math.max(READ_BYTES, missing), file.length - position);
      const piece = Buffer.allocUnsafe(wanted);
      const { bytesRead } = await file.handle.read(piece, 0, piece.length, position);
      if (bytesRead === 0) throw new Error("a file of kept changes is shorter than it was");
      position += bytesRead;
      rest = Buffer.concat([rest, piece.subarray(0, bytesRead)]);
      const changes: RowEvent[] = [];
      let at = 0;
      while (rest.length - at >= 4 && rest.length - at - 4 >= rest.readUInt32BE(at)) {
        const end = at + 4 + rest.readUInt32BE(at);
        changes.push(this.#decode(rest.subarray(0, end), at + 4));
        at = end;
      }
      rest = rest.subarray(at);
      if (changes.length > 0) yield changes;
    }
    if (rest.length > 0) throw new Error("a file of kept changes ends within one");
  }

  #decode(bytes: Buffer, start: number): RowEvent {
    return decodeChange(bytes.subarray(start), (relation) => this.#relationOf(relation));
  }

  #numberOf(relation: SourceRelation): number {
    const known = this.#relations.lastIndexOf(relation);
    return known >= 0 ? known : this.#relations.push(relation) - 1;
  }

  #relationOf(relation: number): SourceRelation {
    const known = this.#relations[relation];
    if (known === undefined) throw new Error("a kept change names a relation that is not known");
    return known;
  }
}
