/**
 * Finds the frames in a stream of bytes. A frame is a type byte, a length (big-endian, counting
 * itself but not the type) and a body.
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** Where the frames go. The buffers are reused after the call returns. */
export type FrameSink = {
  /** A whole frame, header included, at [start, end) of `bytes`. */
  frame(type: number, bytes: Buffer, start: number, end: number): void;
  /**
   * A frame of `size` bytes, header included, was too large to be collected and has passed. `head`
   * are its first bytes: names stand there.
   */
  largeFrame(type: number, size: number, head: Buffer): void;
};

export type FrameLimits = {
  /** Frames up to this size, header included, are handed over whole even when they come in pieces. */
  readonly wholeBytes: number;
  /** Types to hand over, one flag per type byte: frames of other types are only stepped over. */
  readonly interesting: Uint8Array;
  /** Types that may occur at all, one flag per type byte. */
  readonly known: Uint8Array;
  /** The largest legal frame body. PostgreSQL: 1 GB less one (`PQ_LARGE_MESSAGE_LIMIT`). */
  readonly maxBodyBytes: number;
};

const HEADER_BYTES = 5;
/** So much is kept of the beginning of a frame that is too large. */
const HEAD_BYTES = 512;
export const LARGEST_MESSAGE_BYTES = 0x3fffffff;

/** Flags for a set of type bytes, to be read with one index operation per frame. */
export function typeFlags(types: string): Uint8Array {
  const flags = new Uint8Array(256);
  for (const type of types) flags[type.charCodeAt(0)] = 1;
  return flags;
}

/** Why a stream stopped being a sequence of frames. */
export type FrameFault =
  | { readonly kind: "unknown_type"; readonly type: number }
  | { readonly kind: "bad_length"; readonly type: number; readonly length: number };

/** Reads frames out of chunks of any size. After a fault it takes nothing more. */
export class FrameReader {
  readonly #limits: FrameLimits;
  readonly #sink: FrameSink;
  /** A frame's beginning that came without its end. Empty between frames. */
  #carry: Buffer = EMPTY;
  #carried = 0;
  /** Bytes still to come of a frame that is only stepped over, and what it is. */
  #toSkip = 0;
  #skipped = NO_FRAME;
  #head: Buffer = EMPTY;
  #position = 0;
  #halted = false;
  #fault: FrameFault | undefined;

  constructor(limits: FrameLimits, sink: FrameSink) {
    this.#limits = limits;
    this.#sink = sink;
  }

  /** True when every byte so far belongs to a finished frame. */
  get atBoundary(): boolean {
    return this.#carried === 0 && this.#toSkip === 0;
  }

  get fault(): FrameFault | undefined {
    return this.#fault;
  }

  /**
   * During a call to the sink: where in the chunk given to `push` the frame ends. After a fault: up
   * to where the chunk was in order.
   */
  get position(): number {
    return this.#position;
  }

  /**
   * Takes the bytes at [start, end).
   * @returns up to where bytes were taken: `end`, or less after `halt`; -1 once the stream is broken
   * (`fault` says how).
   */
  push(bytes: Buffer, start: number, end: number): number {
    let at = start;
    this.#halted = false;
    if (this.#toSkip > 0) {
      const skipped = Math.min(this.#toSkip, end - at);
      this.#toSkip -= skipped;
      this.#keepHead(bytes, at, at + skipped);
      at += skipped;
      this.#passed(at);
    }
    if (this.#halted) return at;
    if (this.#carried > 0 && at < end) at = this.#finishCarried(bytes, at, end);
    if (this.#fault !== undefined) return -1;
    if (this.#halted) return at;
    const { interesting, wholeBytes } = this.#limits;
    while (end - at >= HEADER_BYTES) {
      const type = bytes[at] as number;
      const length = lengthAt(bytes, at + 1);
      if (!this.#fits(type, length)) return this.#fail(type, length, at);
      const next = at + 1 + length;
      if (next > end) return this.#keepRest(bytes, at, end, { type, size: 1 + length, wholeBytes });
      if (interesting[type] !== 0) {
        this.#position = next;
        if (length < wholeBytes) this.#sink.frame(type, bytes, at, next);
        else this.#sink.largeFrame(type, 1 + length, bytes.subarray(at, at + HEAD_BYTES));
        if (this.#halted) return next;
      }
      at = next;
    }
    return at < end ? this.#beginFrame(bytes, at, end) : end;
  }

  /** A header that is not complete yet. What cannot become one is known by its first byte. */
  #beginFrame(bytes: Buffer, at: number, end: number): number {
    const type = bytes[at] as number;
    if (!this.#fits(type, 4)) return this.#fail(type, 4, at);
    this.#append(bytes, at, end, HEADER_BYTES);
    return end;
  }

  #fits(type: number, length: number): boolean {
    const { known, maxBodyBytes } = this.#limits;
    return known[type] !== 0 && length >= 4 && length <= maxBodyBytes;
  }

  /** Called by the sink: `push` returns after the frame at hand and leaves the rest untaken. */
  halt(): void {
    this.#halted = true;
  }

  /** The rest of the chunk is the beginning of a frame: collect it, or step over it. */
  #keepRest(
    bytes: Buffer,
    at: number,
    end: number,
    frame: { readonly type: number; readonly size: number; readonly wholeBytes: number },
  ): number {
    if (this.#limits.interesting[frame.type] !== 0 && frame.size <= frame.wholeBytes) {
      this.#append(bytes, at, end, frame.size);
      return end;
    }
    this.#skipped = frame;
    this.#toSkip = frame.size - (end - at);
    this.#keepHead(bytes, at, end);
    return end;
  }

  #keepHead(bytes: Buffer, start: number, end: number): void {
    const wanted = Math.min(HEAD_BYTES - this.#head.length, end - start);
    if (wanted <= 0 || this.#limits.interesting[this.#skipped.type] === 0) return;
    this.#head = Buffer.concat([this.#head, bytes.subarray(start, start + wanted)]);
  }

  #append(bytes: Buffer, at: number, end: number, capacity: number): void {
    if (this.#carry.length < capacity) {
      const grown = Buffer.allocUnsafe(capacity);
      this.#carry.copy(grown, 0, 0, this.#carried);
      this.#carry = grown;
    }
    bytes.copy(this.#carry, this.#carried, at, end);
    this.#carried += end - at;
  }

  /** Completes a frame begun in an earlier chunk. @returns where the next frame begins. */
  #finishCarried(bytes: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#carried < HEADER_BYTES) {
      const taken = Math.min(HEADER_BYTES - this.#carried, end - at);
      this.#append(bytes, at, at + taken, HEADER_BYTES);
      at += taken;
      if (this.#carried < HEADER_BYTES) return at;
    }
    const type = this.#carry[0] as number;
    const length = lengthAt(this.#carry, 1);
    if (!this.#fits(type, length)) return this.#fail(type, length, start);
    const size = 1 + length;
    const missing = size - this.#carried;
    if (this.#limits.interesting[type] === 0 || size > this.#limits.wholeBytes) {
      const skipped = Math.min(missing, end - at);
      this.#skipped = { type, size };
      this.#toSkip = missing - skipped;
      this.#keepHead(this.#carry, 0, this.#carried);
      this.#keepHead(bytes, at, at + skipped);
      this.#carried = 0;
      this.#passed(at + skipped);
      return at + skipped;
    }
    const taken = Math.min(missing, end - at);
    this.#append(bytes, at, at + taken, size);
    at += taken;
    if (this.#carried < size) return at;
    const frame = this.#carry;
    this.#carried = 0;
    // A carry larger than a network chunk is not worth keeping for ever.
    if (frame.length > 65_536) this.#carry = EMPTY;
    this.#position = at;
    this.#sink.frame(type, frame, 0, size);
    return at;
  }

  /** A frame that was stepped over may have ended at `at`. */
  #passed(at: number): void {
    if (this.#toSkip > 0) return;
    const { type, size } = this.#skipped;
    if (this.#limits.interesting[type] === 0) return;
    this.#position = at;
    const head = this.#head;
    this.#head = EMPTY;
    this.#sink.largeFrame(type, size, head);
  }

  #fail(type: number, length: number, at: number): -1 {
    const unknown = this.#limits.known[type] === 0;
    this.#fault = unknown ? { kind: "unknown_type", type } : { kind: "bad_length", type, length };
    this.#position = at;
    return -1;
  }
}

/** The 32 bits at `at`, which are there. Read for every frame: no check, no arithmetic but this. */
function lengthAt(bytes: Buffer, at: number): number {
  const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16);
  return (high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0;
}

const EMPTY = Buffer.alloc(0);
const NO_FRAME = { type: 0, size: 0 };

/** A sentence for the peer that broke the framing. */
export function describeFault(fault: FrameFault, peer: "frontend" | "backend"): string {
  const name =
    fault.type >= 0x20 && fault.type < 0x7f
      ? `"${String.fromCharCode(fault.type)}"`
      : `0x${fault.type.toString(16).padStart(2, "0")}`;
  return fault.kind === "unknown_type"
    ? `invalid ${peer} message type ${name}`
    : `invalid length ${fault.length} of ${peer} message type ${name}`;
}
