import { CodedError, messageOf } from "../base/errors.ts";
import { errorFields } from "../wire/postgres/error-response.ts";
import {
  describeFault,
  FrameReader,
  LARGEST_MESSAGE_BYTES,
  typeFlags,
} from "../wire/postgres/frame-reader.ts";
import { TERMINATE_MESSAGE } from "../wire/postgres/frontend-messages.ts";
import { Backend, BACKEND_TYPES } from "../wire/postgres/message-types.ts";
import { openLink } from "./byte-link.ts";
import type { ByteLink } from "./byte-link.ts";
import type { Dialled } from "./dial.ts";
import { speakable, WorkError } from "./work-error.ts";

/** What is asked, and who reads the answer: every frame but errors, notices, parameters and ReadyForQuery. */
export type Exchange = {
  readonly request: Buffer;
  /** `bytes` are valid during the call only. What it throws breaks the connection off. */
  frame(type: number, bytes: Buffer, start: number, end: number): void;
  /** All frames of one read have been seen; before the next one replaces them. */
  chunkEnd?(): void;
  /** The server refused; ReadyForQuery is still to come. */
  refused?(error: WorkError): void;
  /** A notice or warning, its fields by their letters. What it throws breaks the connection off. */
  notice?(fields: ReadonlyMap<string, string>): void;
  /** The statement of the request that is being answered, for errors. */
  readonly index?: number;
};

type Turn = {
  readonly exchange: Exchange;
  resolve(): void;
  reject(error: unknown): void;
};

const LIMITS = {
  wholeBytes: LARGEST_MESSAGE_BYTES + 1,
  interesting: typeFlags(BACKEND_TYPES),
  known: typeFlags(BACKEND_TYPES),
  maxBodyBytes: LARGEST_MESSAGE_BYTES,
};
const READ_BUFFER_BYTES = 262_144;
/** A dead peer is noticed by the kernel, which asks it when it has been silent for so long. */
const KEEP_ALIVE_MS = 30_000;

/** One server session from our side: what is asked, in turn, and what is answered. */
export class Conversation {
  readonly #link: ByteLink;
  readonly #reader: FrameReader;
  readonly #peer: string;
  #chunk: Buffer | undefined;
  #turn: Turn | undefined;
  #refusal: WorkError | undefined;
  #lost: CodedError | undefined;
  #drains: (() => void)[] = [];
  #closing = false;
  readonly #closed: Promise<void>;

  constructor(server: Dialled, peer: string) {
    this.#peer = peer;
    this.#reader = new FrameReader(LIMITS, {
      frame: (type, bytes, start, end) => this.#frame(type, bytes, start, end),
      largeFrame: () => {},
    });
    let closed = (): void => {};
    this.#closed = new Promise((resolve) => (closed = resolve));
    this.#link = openLink(
      server.socket,
      {
        bytes: (buffer, length) => this.#bytes(buffer, length),
        drained: () => this.#drained(),
        ended: () => this.breakOff(this.#lostBecause("the server closed the connection")),
        closed: () => {
          this.#isLost(this.#lostBecause("the connection broke"));
          closed();
        },
      },
      server.leftover,
      READ_BUFFER_BYTES,
    );
    if (server.socket.destroyed && this.#link.socket === server.socket) {
      this.#isLost(this.#lostBecause("the connection broke"));
      closed();
      return;
    }
    this.#link.socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#link.resume();
  }

  /** Nothing more can be asked. */
  get over(): boolean {
    return this.#lost !== undefined || this.#closing;
  }

  /**
   * Asks, and is done at the next ReadyForQuery.
   * @throws WorkError the server's first refusal; CodedError backend_lost
   */
  exchange(exchange: Exchange): Promise<void> {
    if (this.#turn !== undefined) throw new Error("the session is busy with something else");
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    if (this.#closing) {
      return Promise.reject(new CodedError("backend_lost", "the session is closed"));
    }
    return new Promise((resolve, reject) => {
      this.#turn = { exchange, resolve, reject };
      this.#refusal = undefined;
      this.#link.write(exchange.request);
    });
  }

  /** Sends more. The bytes stay untouched until the promise resolves; undefined when they are gone already. */
  write(bytes: Buffer): Promise<void> | undefined {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return this.#link.write(bytes)
      ? undefined
      : new Promise((resolve, reject) => {
          this.#drains.push(() => (this.#lost === undefined ? resolve() : reject(this.#lost)));
        });
  }

  /** Stops reading until `resume`; frames of the chunk at hand still come. */
  pause(): void {
    this.#link.pause();
  }

  resume(): void {
    if (this.#lost === undefined) this.#link.resume();
  }

  /** Ends it at once; whoever waits is told the reason. */
  breakOff(reason: CodedError): void {
    this.#isLost(reason);
    this.#link.reset();
  }

  /** Says goodbye whatever is under way, for COPY in both directions, which the server then ends without a word. */
  async leave(): Promise<void> {
    if (!this.over) {
      this.#closing = true;
      this.#link.write(TERMINATE_MESSAGE);
      this.#link.end();
    }
    await this.#closed;
  }

  /** Says goodbye, or breaks off where something is under way. */
  async close(): Promise<void> {
    if (this.#turn !== undefined) {
      this.breakOff(new CodedError("backend_lost", "the session was closed by its owner"));
    } else if (!this.over) {
      this.#closing = true;
      this.#link.write(TERMINATE_MESSAGE);
      this.#link.end();
    }
    await this.#closed;
  }

  #bytes(buffer: Buffer, length: number): void {
    this.#chunk = buffer;
    try {
      if (this.#reader.push(buffer, 0, length) < 0) throw this.#violation();
      this.#turn?.exchange.chunkEnd?.();
    } catch (error) {
      const coded =
        error instanceof CodedError
          ? error
          : new CodedError("protocol_violation", messageOf(error), { cause: error });
      this.breakOff(coded);
    }
    this.#chunk = undefined;
  }

  /** The buffer is the one that was read into, and not one of the reader's. */
  isChunk(bytes: Buffer): boolean {
    return bytes === this.#chunk;
  }

  #frame(type: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case Backend.NoticeResponse:
        this.#turn?.exchange.notice?.(errorFields(bytes.subarray(start, end)));
        return;
      case Backend.ParameterStatus:
      case Backend.NotificationResponse:
        return;
      case Backend.ErrorResponse:
        return this.#refused(errorFields(bytes.subarray(start, end)));
      case Backend.ReadyForQuery:
        return this.#ready();
      default:
        this.#turn?.exchange.frame(type, bytes, start, end);
    }
  }

  #refused(fields: ReadonlyMap<string, string>): void {
    const severity = fields.get("V") ?? fields.get("S");
    if (severity === "FATAL" || severity === "PANIC") {
      return this.breakOff(this.#lostBecause(`the server said: ${speakable(fields)}`));
    }
    if (this.#refusal !== undefined) return;
    this.#refusal = new WorkError(fields, this.#turn?.exchange.index);
    this.#turn?.exchange.refused?.(this.#refusal);
  }

  #ready(): void {
    const turn = this.#turn;
    const refusal = this.#refusal;
    turn?.exchange.chunkEnd?.();
    this.#turn = undefined;
    this.#refusal = undefined;
    if (refusal === undefined) turn?.resolve();
    else turn?.reject(refusal);
  }

  #drained(): void {
    const drains = this.#drains;
    this.#drains = [];
    for (const tell of drains) tell();
  }

  #isLost(reason: CodedError): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    const turn = this.#turn;
    this.#turn = undefined;
    turn?.reject(reason);
    this.#drained();
  }

  #lostBecause(what: string): CodedError {
    return new CodedError("backend_lost", `${this.#peer}: ${what}`);
  }

  #violation(): CodedError {
    const { fault } = this.#reader;
    const what = fault === undefined ? "malformed frames" : describeFault(fault, "backend");
    return new CodedError("protocol_violation", `${this.#peer}: ${what}`);
  }
}
