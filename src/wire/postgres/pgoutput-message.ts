/**
 * What the output plugin `pgoutput` says, protocol versions 1 and 2, values in text format.
 * @see https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html
 */
import type { Buffer } from "node:buffer";
import type { Lsn } from "../position.ts";

/** A stored-apart (TOAST) value that has not changed and is not repeated. */
export const UNCHANGED: unique symbol = Symbol("unchanged");

/** Values in the relation's order, as views of the message. */
export type PgoutputTuple = readonly (Buffer | null | typeof UNCHANGED)[];

export type PgoutputColumn = {
  readonly name: string;
  readonly typeOid: number;
  readonly typeModifier: number;
  /** Part of the replica identity. */
  readonly isKey: boolean;
};

export type ReplicaIdentity = "default" | "nothing" | "full" | "index";

/**
 * One message. `xid` of row changes is that of the (sub)transaction within a stream block, and 0 outside of one.
 * `before` holds the old row (`full`) or of it the columns of the replica identity, the others null (`key`).
 */
export type PgoutputMessage =
  | {
      readonly type: "begin";
      readonly commitLsn: Lsn;
      readonly committedAtMs: number;
      readonly xid: number;
    }
  | {
      readonly type: "commit";
      readonly commitLsn: Lsn;
      readonly endLsn: Lsn;
      readonly committedAtMs: number;
    }
  | { readonly type: "origin"; readonly lsn: Lsn; readonly name: string }
  | PgoutputRelation
  | {
      readonly type: "type";
      readonly xid: number;
      readonly oid: number;
      readonly schema: string;
      readonly name: string;
    }
  | PgoutputChange
  | {
      readonly type: "message";
      readonly xid: number;
      readonly transactional: boolean;
      readonly lsn: Lsn;
      readonly prefix: string;
      readonly content: Buffer;
    }
  | { readonly type: "stream_start"; readonly xid: number; readonly isFirst: boolean }
  | { readonly type: "stream_stop" }
  | {
      readonly type: "stream_commit";
      readonly xid: number;
      readonly commitLsn: Lsn;
      readonly endLsn: Lsn;
      readonly committedAtMs: number;
    }
  /** Of the whole transaction where both numbers are the same. */
  | { readonly type: "stream_abort"; readonly xid: number; readonly subxid: number };

export type PgoutputRelation = {
  readonly type: "relation";
  readonly xid: number;
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly identity: ReplicaIdentity;
  readonly columns: readonly PgoutputColumn[];
};

export type PgoutputChange =
  | {
      readonly type: "insert";
      readonly xid: number;
      readonly relationOid: number;
      readonly row: PgoutputTuple;
    }
  | {
      readonly type: "update";
      readonly xid: number;
      readonly relationOid: number;
      readonly before: PgoutputTuple | undefined;
      readonly beforeIs: "key" | "full" | undefined;
      readonly row: PgoutputTuple;
    }
  | {
      readonly type: "delete";
      readonly xid: number;
      readonly relationOid: number;
      readonly before: PgoutputTuple;
      readonly beforeIs: "key" | "full";
    }
  | {
      readonly type: "truncate";
      readonly xid: number;
      readonly relationOids: readonly number[];
      readonly cascade: boolean;
      readonly restartIdentity: boolean;
    };
