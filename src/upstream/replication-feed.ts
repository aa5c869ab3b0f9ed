import type { Clock } from "../base/clock.ts";
import { CodedError } from "../base/errors.ts";
import type { Lsn } from "../wire/position.ts";
import { queryMessage } from "../wire/postgres/frontend-messages.ts";
import { Backend } from "../wire/postgres/message-types.ts";
import { decodeWalMessage, standbyStatusMessage } from "../wire/postgres/replication-messages.ts";
import type { Conversation } from "./conversation.ts";
import { speakable } from "./work-error.ts";

/** Who reads the log. What it throws ends the feed. */
export type FeedSink = {
  /** A message of the output plugin at [start, end) of `bytes`, valid during the call. */
  data(bytes: Buffer, start: number, end: number): void;
  /** Everything that was committed before `sentLsn` has been handed over. */
  keepalive(sentLsn: Lsn): void;
  /** The server has been told of what was acknowledged. */
  acknowledged?(): void;
  /** Once, unless the feed was closed by its owner. */
  lost(error: CodedError): void;
};

export type ReplicationFeed = {
  /** Stops reading, apart from at most one read's bytes. The server keeps being told that we live. */
  pause(): void;
  resume(): void;
  /** Tells the server soon that it may forget the log before it. Never goes back. */
  acknowledge(lsn: Lsn): void;
  /** Of the last keepalive, and when by the monotonic clock. */
  readonly serverEnd: { readonly lsn: Lsn; readonly atMs: number } | undefined;
  close(): Promise<void>;
};

export type FeedOptions = {
  readonly sql: string;
  readonly from: Lsn;
  readonly acknowledged: Lsn;
  /** As in `wal_sender_timeout`; 0: none. */
  readonly serverTimeoutMs: number;
  readonly clock: Clock;
};

/** So often the server hears from us at least. */
const STATUS_MS = 5_000;
/** Acknowledgements within this time go together. */
const ACKNOWLEDGE_MS = 50;
/**
 * A server that shuts down waits until we have acknowledged everything, and asks for it without a pause. So many questions
 * in a second are that, and as we acknowledge only what is durable elsewhere, only our leaving lets it end.
 */
const QUESTIONS_OF_A_SHUTDOWN = 10;

/** @throws WorkError when the server refuses to start, CodedError backend_lost */
export async function startFeed(
  conversation: Conversation,
  sink: FeedSink,
  options: FeedOptions,
): Promise<ReplicationFeed> {
  const feed = new Feed(conversation, sink, options);
  await feed.start(options.sql);
  return feed;
}

const NOT_IN_PREREQUISITE_STATE = "55000";

/** Since PostgreSQL 18 a publication that is not there is a warning, and what it should have published is left out. */
function refuseWarning(fields: ReadonlyMap<string, string>): void {
  if (fields.get("V") !== "WARNING" || fields.get("C") !== NOT_IN_PREREQUISITE_STATE) return;
  throw new CodedError(
    "not_found",
    `the server reads less than it was asked to: ${speakable(fields)}`,
  );
}

class Feed implements ReplicationFeed {
  readonly #conversation: Conversation;
  readonly #sink: FeedSink;
  readonly #clock: Clock;
  readonly #statusMs: number;
  #written: Lsn;
  #flushed: Lsn;
  #told: Lsn;
  #paused = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #questions: number[] = [];
  serverEnd: { readonly lsn: Lsn; readonly atMs: number } | undefined;

  constructor(conversation: Conversation, sink: FeedSink, options: FeedOptions) {
    this.#conversation = conversation;
    this.#sink = sink;
    this.#clock = options.clock;
    this.#written = options.from;
    this.#flushed = options.acknowledged;
    this.#told = options.acknowledged;
    const quarter = options.serverTimeoutMs === 0 ? STATUS_MS : options.serverTimeoutMs / 4;
    this.#statusMs = Math.max(50, Math.min(STATUS_MS, quarter));
  }

  async start(sql: string): Promise<void> {
    let begun = (): void => {};
    const started = new Promise<void>((resolve) => (begun = resolve));
    const ended = this.#conversation.exchange({
      request: queryMessage(sql),
      frame: (type, bytes, start, end) => {
        if (type === Backend.CopyData) this.#copyData(bytes, start + 5, end);
        else if (type === Backend.CopyBothResponse) begun();
        else if (type === Backend.CopyDone) throw this.#lost("the server ended the stream");
      },
      notice: refuseWarning,
    });
    const isStarted = await Promise.race([started.then(() => true), ended.then(() => false)]);
    if (!isStarted) throw this.#lost("the server did not start the stream");
    ended.then(
      () => this.#ended(this.#lost("the server ended the stream")),
      (error: unknown) => this.#ended(error),
    );
    this.#timer = setInterval(() => this.#status(!this.#paused), this.#statusMs);
    this.#status(true);
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#conversation.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#conversation.resume();
  }

  acknowledge(lsn: Lsn): void {
    if (lsn <= this.#flushed || this.#closed) return;
    this.#flushed = lsn;
    this.#soon ??= setTimeout(() => this.#status(false), ACKNOWLEDGE_MS);
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#status(false);
      this.#stop();
    }
    await this.#conversation.leave();
  }

  #copyData(bytes: Buffer, start: number, end: number): void {
    if (this.#closed) return;
    const message = decodeWalMessage(bytes, start, end);
    if (message.type === "data") return this.#sink.data(bytes, message.start, end);
    const { sentLsn, wantsReply } = message;
    this.serverEnd = { lsn: sentLsn, atMs: this.#clock.monotonicMs() };
    if (sentLsn > this.#written) this.#written = sentLsn;
    this.#sink.keepalive(sentLsn);
    if (!wantsReply) return;
    if (this.#isShutdown()) throw this.#lost("the server is shutting down");
    this.#status(false);
  }

  #isShutdown(): boolean {
    const now = this.#clock.monotonicMs();
    this.#questions = [...this.#questions.filter((at) => at > now - 1000), now];
    return this.#questions.length >= QUESTIONS_OF_A_SHUTDOWN;
  }

  #status(wantsReply: boolean): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    if (this.#closed) return;
    const status = standbyStatusMessage({
      written: this.#written > this.#flushed ? this.#written : this.#flushed,
      flushed: this.#flushed,
      nowMs: this.#clock.nowMs(),
      wantsReply,
    });
    this.#conversation.write(status)?.catch(() => {});
    if (this.#told === this.#flushed) return;
    this.#told = this.#flushed;
    this.#sink.acknowledged?.();
  }

  #ended(error: unknown): void {
    if (this.#closed) return;
    this.#stop();
    const coded =
      error instanceof CodedError
        ? error
        : new CodedError("backend_lost", "the stream ended", { cause: error });
    void this.#conversation.leave();
    this.#sink.lost(coded);
  }

  #stop(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
  }

  #lost(what: string): CodedError {
    return new CodedError("backend_lost", what);
  }
}
