import { Buffer } from "node:buffer";
import { CodedError } from "../../base/errors.ts";

/** One backend message. `body` is a view of the bytes given: without type and length. */
export type ReplyFrame = { readonly type: number; readonly body: Buffer };

/** A column as RowDescription has it. `format`: 0 text, 1 binary. */
export type ReplyField = {
  readonly name: string;
  /** The table's column that it is, by oid and number; both 0 for an expression. */
  readonly tableOid: number;
  readonly attribute: number;
  readonly typeOid: number;
  readonly typeModifier: number;
  readonly format: number;
};

/** What a comparison needs of an ErrorResponse. */
export type ReplyError = { readonly sqlstate: string; readonly message: string };

/** Unsigned 32-bit number, most significant byte first. The caller knows that four bytes are there. */
export function uint32At(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

/** Offset just past the frame that starts at `at`, or -1 when the bytes end before it does. */
export function replyFrameEnd(frames: Uint8Array, at: number): number {
  if (at + 5 > frames.length) return -1;
  const length = uint32At(frames, at + 1);
  const end = at + 1 + length;
  return length < 4 || end > frames.length ? -1 : end;
}

/**
 * The frames of a whole answer, one by one.
 * @throws CodedError protocol_violation when the last one is cut short.
 */
export function* readReplyFrames(frames: Uint8Array): Generator<ReplyFrame> {
  const bytes = Buffer.from(frames.buffer, frames.byteOffset, frames.byteLength);
  let at = 0;
  while (at < bytes.length) {
    const end = replyFrameEnd(bytes, at);
    if (end < 0) throw violation("a frame is cut short");
    yield { type: bytes[at] as number, body: bytes.subarray(at + 5, end) };
    at = end;
  }
}

/**
 * Columns of a RowDescription body: int16 count, then per column name\0, int32 table, int16 attribute,
 * int32 type, int16 size, int32 modifier, int16 format.
 * @throws CodedError protocol_violation
 */
export function decodeRowDescription(body: Uint8Array): ReplyField[] {
  const bytes = asBuffer(body);
  need(bytes, 0, 2);
  const fields: ReplyField[] = [];
  let at = 2;
  for (let left = bytes.readUInt16BE(0); left > 0; left--) {
    const nameEnd = bytes.indexOf(0, at);
    if (nameEnd < 0) throw violation("a column name does not end");
    need(bytes, nameEnd + 1, 18);
    fields.push({
      name: bytes.toString("utf8", at, nameEnd),
      tableOid: bytes.readUInt32BE(nameEnd + 1),
      attribute: bytes.readInt16BE(nameEnd + 5),
      typeOid: bytes.readUInt32BE(nameEnd + 7),
      typeModifier: bytes.readInt32BE(nameEnd + 13),
      format: bytes.readInt16BE(nameEnd + 17),
    });
    at = nameEnd + 19;
  }
  if (at !== bytes.length) throw violation("a RowDescription has bytes to spare");
  return fields;
}

/**
 * Cells of a DataRow body: int16 count, then per cell int32 length (-1 is NULL) and bytes. Views, not copies.
 * @throws CodedError protocol_violation
 */
export function decodeDataRow(body: Uint8Array): (Buffer | null)[] {
  const bytes = asBuffer(body);
  need(bytes, 0, 2);
  const cells: (Buffer | null)[] = [];
  let at = 2;
  for (let left = bytes.readUInt16BE(0); left > 0; left--) {
    need(bytes, at, 4);
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length < 0) {
      cells.push(null);
      continue;
    }
    need(bytes, at, length);
    cells.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (at !== bytes.length) throw violation("a DataRow has bytes to spare");
  return cells;
}

/** The tag of a CommandComplete body: `SELECT 5`, `INSERT 0 1`. */
export function decodeCommandTag(body: Uint8Array): string {
  const bytes = asBuffer(body);
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

/** SQLSTATE (field C) and message (field M) of an ErrorResponse body: pairs of a byte and text\0, then \0. */
export function decodeErrorResponse(body: Uint8Array): ReplyError {
  const bytes = asBuffer(body);
  let sqlstate = "";
  let message = "";
  let at = 0;
  while (at < bytes.length && bytes[at] !== 0) {
    const end = bytes.indexOf(0, at + 1);
    if (end < 0) throw violation("an error field does not end");
    if (bytes[at] === 0x43) sqlstate = bytes.toString("latin1", at + 1, end);
    if (bytes[at] === 0x4d) message = bytes.toString("utf8", at + 1, end);
    at = end + 1;
  }
  return { sqlstate, message };
}

/** Type oids of a ParameterDescription body: int16 count, then int32 each. */
export function decodeParameterDescription(body: Uint8Array): number[] {
  const bytes = asBuffer(body);
  need(bytes, 0, 2);
  const count = bytes.readUInt16BE(0);
  need(bytes, 2, count * 4);
  return Array.from({ length: count }, (_, index) => bytes.readUInt32BE(2 + index * 4));
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function need(bytes: Uint8Array, at: number, length: number): void {
  if (at + length > bytes.length) throw violation("a frame ends before its contents");
}

function violation(what: string): CodedError {
  return new CodedError("protocol_violation", `The server's answer is malformed: ${what}.`);
}
