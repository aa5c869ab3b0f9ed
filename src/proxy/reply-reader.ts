import {
  describeFault,
  FrameReader,
  LARGEST_MESSAGE_BYTES,
  typeFlags,
} from "../wire/postgres/frame-reader.ts";
import { Backend, BACKEND_TYPES } from "../wire/postgres/message-types.ts";
import type { Answered, ExchangeLog } from "./exchange-log.ts";
import { readParameterStatus } from "./server-parameters.ts";

type ReaderDeps = {
  readonly log: ExchangeLog;
  /** Answers may come to a batch that is not complete. */
  readonly batchOpen: () => boolean;
  /** How many bytes of such answers are worth keeping for a comparison. */
  readonly keepBytes: () => number;
  readonly parameter: (name: string, value: string) => unknown;
  readonly answered: (answered: Answered) => unknown;
};

const LIMITS = {
  wholeBytes: 16_384,
  interesting: typeFlags("ZECIs123tnTVGS"),
  known: typeFlags(BACKEND_TYPES),
  maxBodyBytes: LARGEST_MESSAGE_BYTES,
};

/** Reads the primary's bytes into answers, and gives each pair the bytes of its own. */
export class ReplyReader {
  readonly #deps: ReaderDeps;
  readonly #frames: FrameReader;
  #chunk: Buffer = NOTHING;
  /** Where in the chunk the answer at hand begins. */
  #begin = 0;
  /** What has come of the answer to a batch that is not complete; undefined: too much to keep. */
  #early: Buffer[] | undefined = [];
  #earlyBytes = 0;

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
    this.#frames = new FrameReader(LIMITS, {
      frame: (type, bytes, start, end) => this.#frame(type, bytes, start, end),
      largeFrame: (type) => {
        if (type === Backend.ErrorResponse || type === Backend.RowDescription) {
          this.#deps.log.take(type, Buffer.of(type), 0, 1);
        }
      },
    });
  }

  /** Every byte so far belongs to a finished frame. */
  get atBoundary(): boolean {
    return this.#frames.atBoundary;
  }

  /** Why the server's bytes are not frames, and up to where in the last chunk they were. */
  get fault(): { readonly message: string; readonly position: number } | undefined {
    const { fault, position } = this.#frames;
    return fault === undefined ? undefined : { message: describeFault(fault, "backend"), position };
  }

  /** @returns false when the server broke the protocol. */
  push(chunk: Buffer, length: number): boolean {
    this.#chunk = chunk;
    this.#begin = 0;
    const taken = this.#frames.push(chunk, 0, length);
    if (taken >= 0 && this.#begin < length) this.#capture(length);
    this.#chunk = NOTHING;
    return taken >= 0;
  }

  /**
   * Takes what came of the answer to a batch before its Sync.
   * @returns undefined when it was too much to keep
   */
  takeEarly(): readonly Buffer[] | undefined {
    if (this.#earlyBytes === 0 || this.#deps.log.head !== undefined) return NO_PIECES;
    const early = this.#early;
    this.#forgetEarly();
    return early;
  }

  #frame(type: number, bytes: Buffer, start: number, end: number): void {
    const { log, parameter, answered } = this.#deps;
    if (type === Backend.ParameterStatus) {
      parameter(...readParameterStatus(bytes, start, end));
      return;
    }
    const complete = log.take(type, bytes, start, end);
    if (this.#earlyBytes > 0) this.#settleEarly(type);
    if (type !== Backend.ReadyForQuery) return;
    const upTo = this.#frames.position;
    complete?.exchange.pair?.capture?.append(this.#chunk, this.#begin, upTo);
    this.#begin = upTo;
    if (complete !== undefined) answered(complete);
  }

  #capture(upTo: number): void {
    const { log, batchOpen } = this.#deps;
    const { head } = log;
    // A Sync alone may be passed over: then these are the first bytes of the next answer.
    if (head?.bare === true || (head === undefined && batchOpen())) this.#keepEarly(upTo);
    else head?.pair?.capture?.append(this.#chunk, this.#begin, upTo);
  }

  #keepEarly(upTo: number): void {
    this.#earlyBytes += upTo - this.#begin;
    if (this.#earlyBytes > this.#deps.keepBytes()) this.#early = undefined;
    else this.#early?.push(Buffer.from(this.#chunk.subarray(this.#begin, upTo)));
  }

  /** A frame has told whose the kept bytes are. */
  #settleEarly(type: number): void {
    const { head } = this.#deps.log;
    if (type !== Backend.ReadyForQuery) {
      if (head === undefined) return;
      for (const piece of this.#early ?? []) head.pair?.capture?.append(piece, 0, piece.length);
    }
    this.#forgetEarly();
  }

  #forgetEarly(): void {
    this.#early = [];
    this.#earlyBytes = 0;
  }
}

const NO_PIECES: readonly Buffer[] = [];
const NOTHING = Buffer.alloc(0);
