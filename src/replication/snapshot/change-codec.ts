import { UNCHANGED } from "../source/source-transaction.ts";
import type {
  SourceChange,
  SourceRelation,
  SourceRow,
  SourceValue,
} from "../source/source-transaction.ts";

/** A change of one row, as the log told it. */
export type RowEvent = Exclude<SourceChange, { kind: "truncate" | "message" }>;

const KINDS = ["insert", "update", "delete"] as const;
const NULL_LENGTH = -1;
const UNCHANGED_LENGTH = -2;
const ABSENT_ROW = 0xffff;

/**
 * A change as bytes: u32 length of what follows, u8 kind, u32 number of the relation, u32 xid, the row before, the row. A row is
 * a u16 count (0xffff: there is none) and for each value an i32 length (-1 NULL, -2 unchanged) with its bytes.
 */
export function encodeChange(change: RowEvent, relation: number): Buffer {
  const before = change.kind === "insert" ? undefined : change.before;
  const row = change.kind === "delete" ? undefined : change.row;
  const bytes = Buffer.allocUnsafe(13 + rowBytes(before) + rowBytes(row));
  bytes.writeUInt32BE(bytes.length - 4, 0);
  bytes.writeUInt8(KINDS.indexOf(change.kind), 4);
  bytes.writeUInt32BE(relation, 5);
  bytes.writeUInt32BE(change.xid >>> 0, 9);
  writeRow(row, bytes, writeRow(before, bytes, 13));
  return bytes;
}

function rowBytes(row: SourceRow | undefined): number {
  return (row ?? []).reduce(
    (sum, value) => sum + 4 + (Buffer.isBuffer(value) ? value.length : 0),
    2,
  );
}

/** @returns where the next one is to be written */
function writeRow(row: SourceRow | undefined, bytes: Buffer, start: number): number {
  let at = bytes.writeUInt16BE(row === undefined ? ABSENT_ROW : row.length, start);
  for (const value of row ?? []) {
    if (!Buffer.isBuffer(value)) {
      at = bytes.writeInt32BE(value === null ? NULL_LENGTH : UNCHANGED_LENGTH, at);
      continue;
    }
    at = bytes.writeInt32BE(value.length, at);
    at += value.copy(bytes, at);
  }
  return at;
}

/** What `encodeChange` made, without its length. Values share the memory of `bytes`. */
export function decodeChange(
  bytes: Buffer,
  relationOf: (relation: number) => SourceRelation,
): RowEvent {
  const kind = KINDS[bytes.readUInt8(0)];
  const relation = relationOf(bytes.readUInt32BE(1));
  const xid = bytes.readUInt32BE(5);
  const first = readRow(bytes, 9);
  const row = readRow(bytes, first.end).row;
  if (kind === "insert" && row !== undefined) return { kind, relation, row, xid };
  if (kind === "update" && row !== undefined)
    return { kind, relation, before: first.row, row, xid };
  if (kind === "delete" && first.row !== undefined)
    return { kind, relation, before: first.row, xid };
  throw new Error("a kept change is damaged");
}

function readRow(
  bytes: Buffer,
  start: number,
): { readonly row: SourceRow | undefined; readonly end: number } {
  const count = bytes.readUInt16BE(start);
  let at = start + 2;
  if (count === ABSENT_ROW) return { row: undefined, end: at };
  const row: SourceValue[] = [];
  for (let index = 0; index < count; index++) {
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length === NULL_LENGTH) row.push(null);
    else if (length === UNCHANGED_LENGTH) row.push(UNCHANGED);
    else {
      row.push(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return { row, end: at };
}
