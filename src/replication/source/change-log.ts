import { closeSync, ftruncateSync, read, writevSync } from "node:fs";
import { promisify } from "node:util";
import { CodedError, messageOf } from "../../base/errors.ts";

/** Where what does not fit into memory is written. The file is gone from its folder already: it ends with the process. */
export type OpenSpoolFile = () => number;

const SLAB_BYTES = 262_144;
/** What is read back at once, unless one record is larger. */
const BLOCK_BYTES = 262_144;
/** What has a file is written there in pieces of this size. */
const WRITE_BYTES = 1_048_576;
const LENGTH_BYTES = 4;

/** Memory for records that come one after the other: records of several logs share a slab. */
export class Arena {
  slab: Buffer = Buffer.alloc(0);
  #used = 0;

  /** @returns where in `slab` so many bytes are free */
  reserve(size: number): number {
    if (this.#used + size > this.slab.length) {
      this.slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, size));
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += size;
    return at;
  }
}

type Piece = { readonly slab: Buffer; readonly start: number; end: number };

/**
 * Messages of one transaction in order, each as a length (uint32) and its bytes: in memory, or in a file followed by what
 * is not written yet.
 */
export class ChangeLog {
  readonly #arena: Arena;
  readonly #openFile: OpenSpoolFile;
  #pieces: Piece[] = [];
  #memoryBytes = 0;
  #file: number | undefined;
  #fileBytes = 0;

  constructor(arena: Arena, openFile: OpenSpoolFile) {
    this.#arena = arena;
    this.#openFile = openFile;
  }

  /** Offset of the next record. */
  get bytes(): number {
    return this.#fileBytes + this.#memoryBytes;
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get isSpooled(): boolean {
    return this.#file !== undefined;
  }

  /** @throws CodedError store_failed */
  append(bytes: Buffer, start: number, end: number): void {
    const size = LENGTH_BYTES + end - start;
    const at = this.#arena.reserve(size);
    const { slab } = this.#arena;
    slab.writeUInt32BE(end - start, at);
    bytes.copy(slab, at + LENGTH_BYTES, start, end);
    const last = this.#pieces.at(-1);
    if (last?.slab === slab && last.end === at) last.end += size;
    else this.#pieces.push({ slab, start: at, end: at + size });
    this.#memoryBytes += size;
    if (this.#file !== undefined && this.#memoryBytes >= WRITE_BYTES) this.spill();
  }

  /** Moves to the file what is in memory. @throws CodedError store_failed */
  spill(): void {
    try {
      this.#file ??= this.#openFile();
      const views = this.#pieces.map(({ slab, start, end }) => slab.subarray(start, end));
      writeAll(this.#file, views, this.#fileBytes);
    } catch (error) {
      const message = `a transaction of the source could not be written to disk: ${messageOf(error)}`;
      throw new CodedError("store_failed", message, { cause: error });
    }
    this.#fileBytes += this.#memoryBytes;
    this.#memoryBytes = 0;
    this.#pieces = [];
  }

  /** Forgets the records from an offset on. */
  truncate(offset: number): void {
    if (offset < this.#fileBytes && this.#file !== undefined) {
      ftruncateSync(this.#file, offset);
      this.#fileBytes = offset;
      this.#pieces = [];
      this.#memoryBytes = 0;
      return;
    }
    let surplus = this.bytes - offset;
    while (surplus > 0) {
      const last = this.#pieces.at(-1);
      if (last === undefined) return;
      const cut = Math.min(surplus, last.end - last.start);
      last.end -= cut;
      surplus -= cut;
      this.#memoryBytes -= cut;
      if (last.end === last.start) this.#pieces.pop();
    }
  }

  /** Blocks of whole records, where everything is in memory. */
  *memoryBlocks(): Iterable<Buffer> {
    for (const { slab, start, end } of this.#pieces) yield slab.subarray(start, end);
  }

  /** Blocks of whole records. @throws CodedError store_failed */
  async *blocks(): AsyncIterable<Buffer> {
    for (let at = 0; at < this.#fileBytes;) {
      let block = await this.#read(at, Math.min(BLOCK_BYTES, this.#fileBytes - at));
      let whole = wholeRecords(block);
      if (whole === 0) {
        whole = LENGTH_BYTES + block.readUInt32BE(0);
        block = await this.#read(at, whole);
      }
      yield block.subarray(0, whole);
      at += whole;
    }
    yield* this.memoryBlocks();
  }

  /** Frees memory and disk. */
  release(): void {
    this.#pieces = [];
    this.#memoryBytes = 0;
    this.#fileBytes = 0;
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  async #read(position: number, size: number): Promise<Buffer> {
    const block = Buffer.allocUnsafeSlow(size);
    let filled = 0;
    while (filled < size) {
      if (this.#file === undefined) throw new CodedError("store_failed", RELEASED);
      const { bytesRead } = await readAt(
        this.#file,
        block,
        filled,
        size - filled,
        position + filled,
      );
      if (bytesRead === 0) throw new CodedError("store_failed", CUT_SHORT);
      filled += bytesRead;
    }
    return block;
  }
}

const RELEASED = "a transaction was read after it was released";
const CUT_SHORT = "the file of a transaction has been cut short";

const readAt = promisify(read);

/** In one call; the systems' limit is 1024. */
const MOST_VIEWS = 512;

function writeAll(file: number, views: readonly Buffer[], position: number): void {
  let left = views.filter((view) => view.length > 0);
  let at = position;
  while (left.length > 0) {
    let written = writevSync(file, left.slice(0, MOST_VIEWS), at);
    at += written;
    left = left.filter((view) => {
      if (written < view.length) return true;
      written -= view.length;
      return false;
    });
    const [first] = left;
    if (first !== undefined && written > 0) left[0] = first.subarray(written);
  }
}

/** How many of the bytes are whole records. */
function wholeRecords(block: Buffer): number {
  let at = 0;
  while (at + LENGTH_BYTES <= block.length) {
    const next = at + LENGTH_BYTES + block.readUInt32BE(at);
    if (next > block.length) break;
    at = next;
  }
  return at;
}

/** Where each record of a block begins and ends. */
export function* recordsOf(block: Buffer): Iterable<readonly [start: number, end: number]> {
  for (let at = 0; at < block.length;) {
    const start = at + LENGTH_BYTES;
    at = start + block.readUInt32BE(at);
    yield [start, at];
  }
}
