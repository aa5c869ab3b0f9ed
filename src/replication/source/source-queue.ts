import type { CodedError } from "../../base/errors.ts";
import type { FeedSink, ReplicationFeed } from "../../upstream/replication-feed.ts";
import { WorkError } from "../../upstream/work-error.ts";
import type { Lsn } from "../../wire/position.ts";
import { failpoint } from "../failpoints.ts";
import type { StreamNames } from "../names.ts";
import { Assembler } from "./assembler.ts";
import type { SourceItem, SourceStream } from "./source-transaction.ts";
import { sourceError } from "./source-error.ts";
import { openSpoolFolder } from "./spool-folder.ts";

export type QueueOptions = {
  readonly names: StreamNames;
  readonly opposite: StreamNames;
  readonly from: Lsn;
  readonly spool: { readonly folder: string; readonly memoryBytes: number };
};

/** Reads the log again from a position. @throws CodedError */
type Reopen = (from: Lsn) => Promise<ReplicationFeed>;

type Waiter = {
  resolve(item: SourceItem | undefined): void;
  reject(error: CodedError): void;
};

/** Items ready to be taken: reading pauses while they hold so much, and somebody has to take one. */
const MOST_READY_BYTES = 16_777_216;
/** What an item takes beside its messages, about. */
const ITEM_BYTES = 512;

/** What has been read and not been taken, between the feed and who applies it. */
export class SourceQueue {
  readonly sink: FeedSink;
  readonly #assembler: Assembler;
  readonly #mostReadyBytes: number;
  #feed: ReplicationFeed | undefined;
  #reopen: Reopen | undefined;
  #reopening: Promise<void> | undefined;
  #acknowledged: Lsn | undefined;
  #ready: { readonly item: SourceItem; readonly bytes: number }[] = [];
  /** How many of them have been taken. */
  #taken = 0;
  #readyBytes = 0;
  #waiter: Waiter | undefined;
  #error: CodedError | undefined;
  #closed = false;
  readonly #slot: string;

  constructor({ names, opposite, from, spool }: QueueOptions) {
    this.#slot = names.slot;
    this.#mostReadyBytes = Math.min(MOST_READY_BYTES, spool.memoryBytes);
    this.#assembler = new Assembler({
      opposite,
      from,
      openFile: openSpoolFolder(spool.folder, names.slot),
      memoryBytes: spool.memoryBytes,
      emit: (item, bytes) => this.#emit(item, bytes + ITEM_BYTES),
    });
    this.sink = {
      data: (bytes, start, end) => this.#guarded(() => this.#assembler.data(bytes, start, end)),
      keepalive: (lsn) => this.#guarded(() => this.#assembler.keepalive(lsn)),
      acknowledged: () => failpoint("stream.after_acknowledge"),
      lost: (error) => this.#lost(sourceError(error, names.slot)),
    };
  }

  /** @param reopen once, in another way, when the server fails at decoding; undefined: there is no other way */
  attach(feed: ReplicationFeed, reopen: Reopen | undefined): void {
    this.#feed = feed;
    this.#reopen = reopen;
    if (this.#acknowledged !== undefined) feed.acknowledge(this.#acknowledged);
    this.#balance();
  }

  get serverEnd(): SourceStream["serverEnd"] {
    return this.#feed?.serverEnd;
  }

  next(): Promise<SourceItem | undefined> {
    const first = this.#ready[this.#taken];
    if (first !== undefined) {
      this.#taken++;
      this.#readyBytes -= first.bytes;
      if (this.#taken === this.#ready.length || this.#taken > 1024) {
        this.#ready = this.#ready.slice(this.#taken);
        this.#taken = 0;
      }
      this.#balance();
      return Promise.resolve(first.item);
    }
    if (this.#closed) return Promise.resolve(undefined);
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#waiter !== undefined) throw new Error("somebody waits for the next item already");
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  acknowledge(lsn: Lsn): void {
    failpoint("stream.before_acknowledge");
    if (this.#acknowledged === undefined || lsn > this.#acknowledged) this.#acknowledged = lsn;
    this.#feed?.acknowledge(lsn);
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#free();
      this.#waiter?.resolve(undefined);
      this.#waiter = undefined;
    }
    await this.#reopening;
    await this.#feed?.close();
  }

  #lost(error: CodedError): void {
    const reopen = this.#reopen;
    if (this.#closed || reopen === undefined || !isDecodingFault(error)) return this.#fail(error);
    this.#reopen = undefined;
    this.#reopening = reopen(this.#assembler.restart()).then(
      (feed) => this.attach(feed, undefined),
      (cause: unknown) => this.#fail(sourceError(cause, this.#slot)),
    );
  }

  #guarded(work: () => void): void {
    if (this.#closed || this.#error !== undefined) return;
    work();
  }

  #emit(item: SourceItem, bytes: number): void {
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      return waiter.resolve(item);
    }
    const last = this.#ready.length - 1;
    if (item.kind === "idle" && last >= this.#taken && this.#ready[last]?.item.kind === "idle") {
      this.#ready[last] = { item, bytes };
      return;
    }
    this.#ready.push({ item, bytes });
    this.#readyBytes += bytes;
    this.#balance();
  }

  /** Reads on while less than a bounded number of bytes waits to be taken. */
  #balance(): void {
    if (this.#readyBytes > this.#mostReadyBytes) this.#feed?.pause();
    else if (this.#readyBytes <= this.#mostReadyBytes / 2) this.#feed?.resume();
  }

  /** What has come whole can still be taken. */
  #fail(error: CodedError): void {
    if (this.#closed) return;
    this.#error = error;
    this.#assembler.release();
    this.#waiter?.reject(error);
    this.#waiter = undefined;
  }

  #free(): void {
    this.#assembler.release();
    for (const { item } of this.#ready.slice(this.#taken)) {
      if (item.kind === "transaction") item.release();
    }
    this.#ready = [];
    this.#taken = 0;
    this.#readyBytes = 0;
  }
}

const INTERNAL_ERROR = "XX000";

/**
 * Every version up to 18 fails so at a transaction that is sent before its end and changes a table again after a savepoint
 * with a first change of it was undone ("could not map filenumber"). Read after its end it is in order.
 */
function isDecodingFault(error: CodedError): boolean {
  return error instanceof WorkError && error.sqlstate === INTERNAL_ERROR;
}
