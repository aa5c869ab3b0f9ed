import { CodedError } from "../../base/errors.ts";
import type { Lsn } from "../../wire/position.ts";
import { decodePgoutput, Pgoutput } from "../../wire/postgres/pgoutput.ts";
import type { PgoutputMessage } from "../../wire/postgres/pgoutput-message.ts";
import { failpoint } from "../failpoints.ts";
import type { StreamNames } from "../names.ts";
import { Arena, ChangeLog } from "./change-log.ts";
import type { OpenSpoolFile } from "./change-log.ts";
import { isOwn } from "./own-transactions.ts";
import { ChangeReader } from "./read-changes.ts";
import type { ChangeContext } from "./read-changes.ts";
import { RelationCache, withRelations } from "./relation-cache.ts";
import type { Relations } from "./relation-cache.ts";
import type { SourceItem, SourceRelation, SourceTransaction } from "./source-transaction.ts";

export type AssemblerDeps = {
  readonly opposite: StreamNames;
  /** A commit boundary: what was committed before it does not come. */
  readonly from: Lsn;
  readonly openFile: OpenSpoolFile;
  /** For transactions whose end has not come. What is beyond goes to disk. */
  readonly memoryBytes: number;
  /** @param memoryBytes what the item holds in memory */
  readonly emit: (item: SourceItem, memoryBytes: number) => void;
};

/** A transaction whose end has not come. */
type Assembly = {
  readonly xid: number;
  readonly streamed: boolean;
  readonly log: ChangeLog;
  /** As known when it began. */
  readonly base: Relations;
  /** As known now. */
  now: Relations;
  added: { readonly offset: number; readonly relation: SourceRelation }[];
  /** Where the changes of each subtransaction begin. */
  readonly subtransactions: Map<number, number>;
  /** `unknown` until its first change of a row. */
  whose: "unknown" | "ours" | "theirs";
  /** Before the position to begin at. */
  readonly isPast: boolean;
};

/** Messages of the output plugin become transactions in the order of their commits. */
export class Assembler {
  readonly #deps: AssemblerDeps;
  readonly #cache = new RelationCache();
  readonly #arena = new Arena();
  readonly #streams = new Map<number, Assembly>();
  /** The transaction whose messages come now. */
  #current: Assembly | undefined;
  #position: Lsn;
  #from: Lsn;
  /** Of messages outside of transactions. */
  #lastMessage = -1n as Lsn;

  constructor(deps: AssemblerDeps) {
    this.#deps = deps;
    this.#position = deps.from;
    this.#from = deps.from;
  }

  /** Of transactions whose end has not come. */
  get memoryBytes(): number {
    let bytes = this.#current?.streamed === false ? this.#current.log.memoryBytes : 0;
    for (const { log } of this.#streams.values()) bytes += log.memoryBytes;
    return bytes;
  }

  /** A message at [start, end), valid during the call. @throws CodedError */
  data(bytes: Buffer, start: number, end: number): void {
    const type = bytes[start];
    switch (type) {
      case Pgoutput.Insert:
      case Pgoutput.Update:
      case Pgoutput.Delete:
      case Pgoutput.Truncate:
        return this.#change(bytes, start, end);
      case Pgoutput.Type:
        return;
      default: {
        const inStream = this.#current?.streamed === true;
        this.#control(decodePgoutput(bytes, start, end, inStream), bytes, [start, end]);
      }
    }
  }

  /** Nothing was committed before `sentLsn` but what has come. */
  keepalive(sentLsn: Lsn): void {
    if (this.#current === undefined && this.#streams.size === 0) this.#idle(sentLsn);
  }

  /** For another reading of the log. @returns where it begins: what came before has been emitted */
  restart(): Lsn {
    this.release();
    this.#from = this.#position;
    return this.#from;
  }

  /** Frees what is not complete. */
  release(): void {
    this.#current?.log.release();
    this.#current = undefined;
    for (const { log } of this.#streams.values()) log.release();
    this.#streams.clear();
  }

  #change(bytes: Buffer, start: number, end: number): void {
    const current = this.#inTransaction();
    if (current.isPast || current.whose === "ours") return;
    if (current.whose === "unknown") {
      const message = decodePgoutput(bytes, start, end, current.streamed);
      const ours = isOwn(message, current.now, this.#deps.opposite);
      current.whose = ours ? "ours" : "theirs";
      if (ours) return current.log.release();
    }
    if (current.streamed && end - start >= 5) {
      const xid = bytes.readUInt32BE(start + 1);
      if (xid !== current.xid && !current.subtransactions.has(xid)) {
        current.subtransactions.set(xid, current.log.bytes);
      }
    }
    this.#append(current, bytes, [start, end]);
  }

  #control(message: PgoutputMessage, bytes: Buffer, place: readonly [number, number]): void {
    switch (message.type) {
      case "begin":
        this.#outside();
        this.#current = this.#begin(message.xid, false, message.commitLsn < this.#from);
        return;
      case "commit": {
        const current = this.#inTransaction();
        this.#current = undefined;
        return this.#commit(current, message);
      }
      case "origin": {
        const current = this.#inTransaction();
        if (message.name !== this.#deps.opposite.origin || current.whose === "ours") return;
        current.whose = "ours";
        return current.log.release();
      }
      case "relation": {
        const relation = this.#cache.intern(message);
        if (this.#current === undefined) return this.#cache.learn([relation]);
        return this.#learn(this.#current, relation, bytes, place);
      }
      case "message":
        return this.#message(message, bytes, place);
      default:
        return this.#streamControl(message);
    }
  }

  #streamControl(message: PgoutputMessage): void {
    switch (message.type) {
      case "stream_start":
        this.#outside();
        this.#current = this.#streamed(message.xid, message.isFirst);
        return;
      case "stream_stop":
        if (!this.#inTransaction().streamed) throw violation("the end of no stream block");
        this.#current = undefined;
        return;
      case "stream_commit": {
        this.#outside();
        const { xid } = message;
        const stream = this.#streams.get(xid);
        if (stream === undefined) throw violation("the commit of a transaction never begun");
        this.#streams.delete(xid);
        return this.#commit({ ...stream, isPast: message.commitLsn < this.#from }, message);
      }
      case "stream_abort":
        return this.#abort(message.xid, message.subxid);
      default:
        return;
    }
  }

  #inTransaction(): Assembly {
    if (this.#current === undefined) throw violation("a change outside of a transaction");
    return this.#current;
  }

  #outside(): void {
    if (this.#current !== undefined) throw violation("a transaction within another");
  }

  #begin(xid: number, streamed: boolean, isPast: boolean): Assembly {
    const base = this.#cache.current;
    // Streamed ones come in pieces, between which others are finished and freed.
    const arena = streamed ? new Arena() : this.#arena;
    return {
      xid,
      streamed,
      log: new ChangeLog(arena, this.#deps.openFile),
      base,
      now: base,
      added: [],
      subtransactions: new Map(),
      whose: "unknown",
      isPast,
    };
  }

  #streamed(xid: number, isFirst: boolean): Assembly {
    let stream = this.#streams.get(xid);
    if (stream === undefined || isFirst) {
      stream?.log.release();
      stream = this.#begin(xid, true, false);
      this.#streams.set(xid, stream);
    }
    return stream;
  }

  #learn(
    current: Assembly,
    relation: SourceRelation,
    bytes: Buffer,
    place: readonly [number, number],
  ): void {
    current.now = withRelations(current.now, [relation]);
    // What a streamed transaction says of a table holds for the others once it has committed.
    if (!current.streamed) this.#cache.learn([relation]);
    current.added.push({ offset: current.log.bytes, relation });
    if (!current.isPast && current.whose !== "ours") this.#append(current, bytes, place);
  }

  #message(
    message: Extract<PgoutputMessage, { type: "message" }>,
    bytes: Buffer,
    place: readonly [number, number],
  ): void {
    const { prefix, content, lsn } = message;
    if (message.transactional) {
      const current = this.#inTransaction();
      if (!current.isPast && current.whose !== "ours") this.#append(current, bytes, place);
      return;
    }
    if (lsn < this.#from || lsn <= this.#lastMessage) return;
    this.#lastMessage = lsn;
    const item = { kind: "message", prefix, content: Buffer.from(content), lsn } as const;
    this.#deps.emit(item, content.length);
  }

  #append(current: Assembly, bytes: Buffer, [start, end]: readonly [number, number]): void {
    const { log } = current;
    log.append(bytes, start, end);
    if (log.memoryBytes < SPILL_AT_LEAST_BYTES || this.memoryBytes <= this.#deps.memoryBytes)
      return;
    const largest = [...this.#streams.values(), current].reduce((one, other) =>
      other.log.memoryBytes > one.log.memoryBytes ? other : one,
    );
    largest.log.spill();
    failpoint("stream.transaction_spooled");
  }

  /** Everything since a subtransaction's first change is undone with it: what comes in between is within it. */
  #abort(xid: number, subxid: number): void {
    this.#outside();
    const stream = this.#streams.get(xid);
    if (stream === undefined) return;
    if (xid === subxid) {
      stream.log.release();
      this.#streams.delete(xid);
      return;
    }
    const offset = stream.subtransactions.get(subxid);
    if (offset === undefined) return;
    stream.log.truncate(offset);
    // The server describes tables again after it.
    stream.added = stream.added.filter((each) => each.offset < offset);
    for (const [each, start] of stream.subtransactions) {
      if (start >= offset) stream.subtransactions.delete(each);
    }
  }

  #commit(
    assembly: Assembly,
    end: { readonly commitLsn: Lsn; readonly endLsn: Lsn; readonly committedAtMs: number },
  ): void {
    const { log, isPast, whose } = assembly;
    const added = assembly.added.map(({ relation }) => relation);
    if (assembly.streamed) this.#cache.learn(added);
    if (isPast && end.endLsn > this.#from) {
      throw violation("the position to begin at lies within a commit");
    }
    if (isPast || whose === "ours" || log.bytes === 0) {
      log.release();
      return this.#idle(end.endLsn);
    }
    this.#position = end.endLsn;
    const { xid, streamed, base } = assembly;
    const context = { xid, streamed, relations: base, added };
    this.#deps.emit(transactionOf(log, context, end), log.memoryBytes);
    failpoint("stream.transaction_received");
  }

  #idle(lsn: Lsn): void {
    if (lsn <= this.#position) return;
    this.#position = lsn;
    this.#deps.emit({ kind: "idle", lsn }, 0);
  }
}

/** It is not worth a file. */
const SPILL_AT_LEAST_BYTES = 65_536;

function transactionOf(
  log: ChangeLog,
  context: ChangeContext,
  {
    commitLsn,
    endLsn,
    committedAtMs,
  }: Pick<SourceTransaction, "commitLsn" | "endLsn" | "committedAtMs">,
): SourceTransaction {
  return {
    kind: "transaction",
    xid: context.xid,
    commitLsn,
    endLsn,
    committedAtMs,
    bytes: log.bytes,
    changes: () => (log.isSpooled ? spooledChanges(log, context) : changesInMemory(log, context)),
    release: () => log.release(),
  };
}

function* changesInMemory(log: ChangeLog, context: ChangeContext) {
  const reader = new ChangeReader(context);
  for (const block of log.memoryBlocks()) yield reader.read(block);
}

async function* spooledChanges(log: ChangeLog, context: ChangeContext) {
  const reader = new ChangeReader(context);
  for await (const block of log.blocks()) yield reader.read(block);
}

function violation(what: string): CodedError {
  return new CodedError("protocol_violation", `The replication stream is malformed: ${what}.`);
}
