/**
 * What travels as CopyData once START_REPLICATION has been answered.
 * @see https://www.postgresql.org/docs/18/protocol-replication.html
 */
import { Buffer } from "node:buffer";
import { CodedError } from "../../base/errors.ts";
import type { Lsn } from "../position.ts";
import { copyDataMessage } from "./frontend-messages.ts";

/** `data`: a message of the output plugin begins at `start`. */
export type WalMessage =
  | { readonly type: "data"; readonly start: number }
  /** `sentLsn`: all that was committed before it has been sent. */
  | { readonly type: "keepalive"; readonly sentLsn: Lsn; readonly wantsReply: boolean };

/** XLogData: type, int64 start, int64 end, int64 time, and the payload. */
const XLOG_DATA_HEADER_BYTES = 25;
/** Primary keepalive message: type, int64 end, int64 time, byte. */
const KEEPALIVE_BYTES = 18;

/** The body of a CopyData at [start, end). @throws CodedError protocol_violation */
export function decodeWalMessage(bytes: Buffer, start: number, end: number): WalMessage {
  const type = bytes[start];
  if (type === 0x77 && end - start >= XLOG_DATA_HEADER_BYTES) {
    return { type: "data", start: start + XLOG_DATA_HEADER_BYTES };
  }
  if (type === 0x6b && end - start === KEEPALIVE_BYTES) {
    const sentLsn = bytes.readBigUInt64BE(start + 1) as Lsn;
    return { type: "keepalive", sentLsn, wantsReply: bytes[start + 17] === 1 };
  }
  throw new CodedError("protocol_violation", "The server sent an unknown replication message.");
}

export type StandbyStatus = {
  /** Received. */
  readonly written: Lsn;
  /** Durable here: the server may forget the log before it. */
  readonly flushed: Lsn;
  readonly nowMs: number;
  readonly wantsReply: boolean;
};

/** Milliseconds from 1970 to 2000, where PostgreSQL's time begins. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

/** Standby status update, as CopyData. What is flushed counts as applied. */
export function standbyStatusMessage(status: StandbyStatus): Buffer {
  const body = Buffer.alloc(34);
  body[0] = 0x72;
  body.writeBigUInt64BE(status.written, 1);
  body.writeBigUInt64BE(status.flushed, 9);
  body.writeBigUInt64BE(status.flushed, 17);
  body.writeBigInt64BE(BigInt(Math.round((status.nowMs - POSTGRES_EPOCH_MS) * 1000)), 25);
  body[33] = status.wantsReply ? 1 : 0;
  return copyDataMessage(body);
}
