import type { Clock } from "../base/clock.ts";
import type { Observation } from "../compare/observation.ts";
import type { ByteLink } from "../upstream/byte-link.ts";
import { openLink } from "../upstream/byte-link.ts";
import type { Dialled } from "../upstream/dial.ts";
import { FrameReader, LARGEST_MESSAGE_BYTES, typeFlags } from "../wire/postgres/frame-reader.ts";
import { TERMINATE_MESSAGE } from "../wire/postgres/frontend-messages.ts";
import { Backend, BACKEND_TYPES } from "../wire/postgres/message-types.ts";
import type { AnswerCapture } from "./answer-capture.ts";

/** Something to run on the shadow: our own preparations first, then at most one exchange of the client. */
export type ShadowTask = {
  readonly preparation: readonly Buffer[];
  /** How many answers there will be to the preparation; they are dropped. */
  readonly answers: number;
  /** Sent once the preparation is answered, so that its time is its own. */
  readonly exchange: Buffer | undefined;
  /** The exchange would be committed outside a transaction: it is sent only if one is open then. */
  readonly inTransaction: boolean;
  /** Undefined: there is no exchange, only a preparation. */
  readonly capture: AnswerCapture | undefined;
  /** @param failed the server reported an error in answer to the exchange */
  done(observation: Observation | undefined, failed: boolean): void;
};

const LIMITS = {
  wholeBytes: 64,
  interesting: typeFlags("ZGWE"),
  known: typeFlags(BACKEND_TYPES),
  maxBodyBytes: LARGEST_MESSAGE_BYTES,
};

/** An open connection to the shadow. Runs one task at a time, or several that need no preparation. */
export class ShadowLink {
  readonly #link: ByteLink;
  readonly #clock: Clock;
  readonly #frames: FrameReader;
  readonly #closed: () => void;
  readonly server: Dialled;
  /** Transaction status of the last ReadyForQuery. */
  status = "I";
  #task: ShadowTask | undefined;
  /** Tasks that have been sent with it; their answers come after its. */
  #following: ShadowTask[] = [];
  #awaited = 0;
  #sinceMs = 0;
  /** Where in the chunk the answer at hand begins. */
  #start = 0;
  #chunk: Buffer = Buffer.alloc(0);
  #ended = false;
  #failed = false;

  constructor(server: Dialled, clock: Clock, closed: () => void) {
    this.server = server;
    this.#clock = clock;
    this.#closed = closed;
    this.#frames = new FrameReader(LIMITS, {
      frame: (type, bytes, start) => this.#frame(type, bytes, start),
      largeFrame: (type) => {
        if (type === Backend.ErrorResponse) this.#errorReported();
      },
    });
    this.#link = openLink(
      server.socket,
      {
        bytes: (buffer, length) => this.#received(buffer, length),
        drained: () => {},
        ended: () => {
          this.#link.end();
          this.#lose("disconnected");
        },
        closed: () => this.#lose("disconnected"),
      },
      server.leftover,
    );
    this.#link.resume();
  }

  /** When the task at hand was sent; undefined when there is none. */
  get busySinceMs(): number | undefined {
    return this.#task === undefined ? undefined : this.#sinceMs;
  }

  run(task: ShadowTask): void {
    const awaited = task.answers + (task.capture === undefined ? 0 : 1);
    this.#begin(task, awaited, this.#clock.monotonicMs());
    if (task.answers > 0) this.#link.write(Buffer.concat(task.preparation));
    else this.#writeExchange(task);
  }

  /** Sends the exchanges of tasks that have no preparation in one write. Nothing is read before `readOn`. */
  runTogether(tasks: readonly ShadowTask[]): void {
    const [first, ...following] = tasks;
    this.#link.pause();
    this.#link.write(Buffer.concat(tasks.map(({ exchange }) => exchange ?? NOTHING)));
    if (first !== undefined) this.#begin(first, 1, this.#clock.monotonicMs());
    this.#following = following;
  }

  /** Takes the answers to what was sent together; the time of the first begins now. */
  readOn(): void {
    this.#sinceMs = this.#clock.monotonicMs();
    this.#link.resume();
  }

  #begin(task: ShadowTask, awaited: number, nowMs: number): void {
    this.#task = task;
    this.#awaited = awaited;
    this.#sinceMs = nowMs;
    this.#failed = false;
  }

  #writeExchange(task: ShadowTask): void {
    const { exchange, inTransaction } = task;
    if (exchange === undefined) return;
    if (!inTransaction || this.status !== "I") {
      this.#link.write(exchange);
      return;
    }
    this.#task = undefined;
    this.#awaited = 0;
    task.done({ kind: "lost", elapsedMs: 0, reason: "failed_transaction" }, false);
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#task === undefined) {
      this.#link.write(TERMINATE_MESSAGE);
      this.#link.end();
    } else {
      this.#link.reset();
    }
  }

  /** Ends it because of what it did or did not do; the task at hand is lost. */
  abort(reason: "timeout" | "malformed"): void {
    this.#link.reset();
    this.#lose(reason);
  }

  #received(buffer: Buffer, length: number): void {
    if (this.#ended) return;
    this.#chunk = buffer;
    this.#start = 0;
    if (this.#frames.push(buffer, 0, length) < 0) return this.abort("malformed");
    if (this.#start < length && this.#awaited === 1) {
      this.#task?.capture?.append(buffer, this.#start, length);
    }
  }

  #frame(type: number, bytes: Buffer, start: number): void {
    if (type === Backend.ErrorResponse) return this.#errorReported();
    if (type !== Backend.ReadyForQuery) {
      // A COPY that waits for data nobody will send.
      this.abort("malformed");
      return;
    }
    this.status = String.fromCharCode(bytes[start + 5] ?? 0);
    const end = this.#frames.position;
    if (this.#awaited === 1) this.#task?.capture?.append(this.#chunk, this.#start, end);
    this.#start = end;
    if (this.#awaited === 0) return;
    this.#awaited--;
    const nowMs = this.#clock.monotonicMs();
    if (this.#awaited > 0) {
      this.#sinceMs = nowMs;
      if (this.#awaited === 1 && this.#task !== undefined) this.#writeExchange(this.#task);
      return;
    }
    const task = this.#task;
    const observation = task?.capture?.finish(nowMs - this.#sinceMs);
    const failed = this.#failed;
    const next = this.#following.shift();
    this.#task = undefined;
    if (next !== undefined) this.#begin(next, 1, nowMs);
    task?.done(observation, failed);
  }

  /** Errors in answer to the preparation say nothing of the exchange. */
  #errorReported(): void {
    if (this.#awaited === 1 && this.#task?.capture !== undefined) this.#failed = true;
  }

  /** What was sent together with the task at hand is the owner's again: its turn had not come. */
  #lose(reason: "timeout" | "malformed" | "disconnected"): void {
    if (this.#ended) return;
    this.#ended = true;
    const task = this.#task;
    this.#task = undefined;
    this.#following = [];
    this.#closed();
    const elapsedMs = this.#clock.monotonicMs() - this.#sinceMs;
    const lost = { kind: "lost", elapsedMs, reason } as const;
    task?.done(task.capture === undefined ? undefined : lost, this.#failed);
  }
}

const NOTHING = Buffer.alloc(0);
