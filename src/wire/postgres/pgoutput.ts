/**
 * Reads what the output plugin `pgoutput` sends, protocol versions 1 and 2, values in text format.
 * @see https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html
 */
import type { Buffer } from "node:buffer";
import { CodedError } from "../../base/errors.ts";
import type { Lsn } from "../position.ts";
import { UNCHANGED } from "./pgoutput-message.ts";
import type {
  PgoutputColumn,
  PgoutputMessage,
  PgoutputRelation,
  PgoutputTuple,
  ReplicaIdentity,
} from "./pgoutput-message.ts";

/** First bytes of the messages, by the names of the documentation. */
export const Pgoutput = {
  Begin: 0x42,
  Commit: 0x43,
  Origin: 0x4f,
  Relation: 0x52,
  Type: 0x59,
  Insert: 0x49,
  Update: 0x55,
  Delete: 0x44,
  Truncate: 0x54,
  Message: 0x4d,
  StreamStart: 0x53,
  StreamStop: 0x45,
  StreamCommit: 0x63,
  StreamAbort: 0x41,
} as const;

/**
 * The message at [start, end) of `bytes`, of which it holds views.
 * @param inStream between Stream Start and Stream Stop, where changes carry the number of their transaction
 * @throws CodedError protocol_violation
 */
export function decodePgoutput(
  bytes: Buffer,
  start: number,
  end: number,
  inStream: boolean,
): PgoutputMessage {
  const cursor = new Cursor(bytes, start, end);
  const message = read(cursor, inStream);
  cursor.finish();
  return message;
}

function read(cursor: Cursor, inStream: boolean): PgoutputMessage {
  const type = cursor.byte();
  switch (type) {
    case Pgoutput.Begin: {
      const commitLsn = cursor.lsn();
      return { type: "begin", commitLsn, committedAtMs: cursor.timeMs(), xid: cursor.uint32() };
    }
    case Pgoutput.Commit:
      return { type: "commit", ...readCommit(cursor) };
    case Pgoutput.Origin:
      return { type: "origin", lsn: cursor.lsn(), name: cursor.text() };
    case Pgoutput.StreamStart:
      return { type: "stream_start", xid: cursor.uint32(), isFirst: cursor.byte() === 1 };
    case Pgoutput.StreamStop:
      return { type: "stream_stop" };
    case Pgoutput.StreamCommit: {
      const xid = cursor.uint32();
      return { type: "stream_commit", xid, ...readCommit(cursor) };
    }
    case Pgoutput.StreamAbort:
      return { type: "stream_abort", xid: cursor.uint32(), subxid: cursor.uint32() };
    default:
      return readWithin(cursor, type, inStream ? cursor.uint32() : 0);
  }
}

/** Messages that carry a transaction's number within a stream block. */
function readWithin(cursor: Cursor, type: number, xid: number): PgoutputMessage {
  switch (type) {
    case Pgoutput.Relation:
      return readRelation(cursor, xid);
    case Pgoutput.Type:
      return {
        type: "type",
        xid,
        oid: cursor.uint32(),
        schema: schemaOf(cursor.text()),
        name: cursor.text(),
      };
    case Pgoutput.Insert: {
      const relationOid = cursor.uint32();
      cursor.expect(NEW_TUPLE);
      return { type: "insert", xid, relationOid, row: readTuple(cursor) };
    }
    case Pgoutput.Update:
      return readUpdate(cursor, xid);
    case Pgoutput.Delete: {
      const relationOid = cursor.uint32();
      const kind = beforeKind(cursor.byte());
      if (kind === undefined) throw violation("a Delete without the old row");
      return { type: "delete", xid, relationOid, beforeIs: kind, before: readTuple(cursor) };
    }
    case Pgoutput.Truncate:
      return readTruncate(cursor, xid);
    case Pgoutput.Message: {
      const flags = cursor.byte();
      const lsn = cursor.lsn();
      const prefix = cursor.text();
      const content = cursor.view(cursor.length());
      return { type: "message", xid, transactional: (flags & 1) !== 0, lsn, prefix, content };
    }
    default:
      throw violation(`an unknown message type ${type}`);
  }
}

function readCommit(cursor: Cursor) {
  if (cursor.byte() !== 0) throw violation("a commit with unknown flags");
  const commitLsn = cursor.lsn();
  return { commitLsn, endLsn: cursor.lsn(), committedAtMs: cursor.timeMs() };
}

function readRelation(cursor: Cursor, xid: number): PgoutputRelation {
  const oid = cursor.uint32();
  const schema = schemaOf(cursor.text());
  const name = cursor.text();
  const identity = IDENTITIES.get(cursor.byte());
  if (identity === undefined) throw violation("a Relation with an unknown replica identity");
  const columns: PgoutputColumn[] = [];
  for (let left = cursor.uint16(); left > 0; left--) {
    const isKey = (cursor.byte() & 1) !== 0;
    columns.push({
      name: cursor.text(),
      typeOid: cursor.uint32(),
      typeModifier: cursor.int32(),
      isKey,
    });
  }
  return { type: "relation", xid, oid, schema, name, identity, columns };
}

/** The protocol leaves this one's name out. */
function schemaOf(text: string): string {
  return text === "" ? "pg_catalog" : text;
}

function readUpdate(cursor: Cursor, xid: number): PgoutputMessage {
  const relationOid = cursor.uint32();
  const first = cursor.byte();
  const beforeIs = beforeKind(first);
  let before: PgoutputTuple | undefined;
  if (beforeIs !== undefined) {
    before = readTuple(cursor);
    cursor.expect(NEW_TUPLE);
  } else if (first !== NEW_TUPLE) throw violation("an Update without the new row");
  return { type: "update", xid, relationOid, before, beforeIs, row: readTuple(cursor) };
}

function readTruncate(cursor: Cursor, xid: number): PgoutputMessage {
  const count = cursor.uint32();
  const flags = cursor.byte();
  cursor.need(count * 4);
  const relationOids = Array.from({ length: count }, () => cursor.uint32());
  const [cascade, restartIdentity] = [(flags & 1) !== 0, (flags & 2) !== 0];
  return { type: "truncate", xid, relationOids, cascade, restartIdentity };
}

const NEW_TUPLE = 0x4e;

function beforeKind(byte: number): "key" | "full" | undefined {
  if (byte === 0x4b) return "key";
  return byte === 0x4f ? "full" : undefined;
}

const IDENTITIES: ReadonlyMap<number, ReplicaIdentity> = new Map([
  [0x64, "default"],
  [0x6e, "nothing"],
  [0x66, "full"],
  [0x69, "index"],
]);

function readTuple(cursor: Cursor): PgoutputTuple {
  const count = cursor.uint16();
  // Each value takes a byte at least: the message itself bounds what is allocated.
  cursor.need(count);
  const values: (Buffer | null | typeof UNCHANGED)[] = [];
  for (let left = count; left > 0; left--) {
    switch (cursor.byte()) {
      case 0x74:
        values.push(cursor.view(cursor.length()));
        break;
      case 0x6e:
        values.push(null);
        break;
      case 0x75:
        values.push(UNCHANGED);
        break;
      default:
        throw violation("a value of an unknown kind");
    }
  }
  return values;
}

/** Milliseconds from 1970 to 2000, where PostgreSQL's time begins. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

class Cursor {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = Math.min(end, bytes.length);
  }

  need(size: number): void {
    if (this.#at + size > this.#end) throw violation("a message ends before its contents");
  }

  finish(): void {
    if (this.#at !== this.#end) throw violation("a message has bytes to spare");
  }

  byte(): number {
    this.need(1);
    return this.#bytes[this.#at++] as number;
  }

  expect(byte: number): void {
    if (this.byte() !== byte) throw violation("a row change without a row");
  }

  uint16(): number {
    this.need(2);
    const at = this.#at;
    this.#at = at + 2;
    return ((this.#bytes[at] as number) << 8) | (this.#bytes[at + 1] as number);
  }

  int32(): number {
    this.need(4);
    const at = this.#at;
    this.#at = at + 4;
    return this.#bytes.readInt32BE(at);
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  length(): number {
    const length = this.int32();
    if (length < 0) throw violation("a negative length");
    return length;
  }

  lsn(): Lsn {
    this.need(8);
    const at = this.#at;
    this.#at = at + 8;
    return this.#bytes.readBigUInt64BE(at) as Lsn;
  }

  /** Microseconds since 2000, as milliseconds since 1970. */
  timeMs(): number {
    this.need(8);
    const at = this.#at;
    this.#at = at + 8;
    return POSTGRES_EPOCH_MS + Number(this.#bytes.readBigInt64BE(at)) / 1000;
  }

  text(): string {
    const zero = this.#bytes.indexOf(0, this.#at);
    if (zero < 0 || zero >= this.#end) throw violation("a text does not end");
    const text = this.#bytes.toString("utf8", this.#at, zero);
    this.#at = zero + 1;
    return text;
  }

  view(size: number): Buffer {
    this.need(size);
    const at = this.#at;
    this.#at = at + size;
    return this.#bytes.subarray(at, at + size);
  }
}

function violation(what: string): CodedError {
  return new CodedError("protocol_violation", `The replication stream is malformed: ${what}.`);
}
