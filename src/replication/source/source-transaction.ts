import type { Lsn } from "../../wire/position.ts";
import { UNCHANGED } from "../../wire/postgres/pgoutput-message.ts";
import type { TableName } from "../table-shape.ts";

/** A value as the server prints it in UTF-8; null is NULL; `unchanged` a stored-apart (TOAST) value that the log does not repeat. */
export type SourceValue = Buffer | null | typeof UNCHANGED;
export { UNCHANGED };
export type SourceRow = readonly SourceValue[];

/**
 * A table as the log describes it at that moment: what a Relation message says. Another object whenever anything of it has
 * changed, and the same one otherwise.
 */
export type SourceRelation = TableName & {
  readonly oid: number;
  /** Those the log carries: generated ones are not among them before PostgreSQL 18. */
  readonly columns: readonly {
    readonly name: string;
    readonly typeOid: number;
    readonly typeModifier: number;
    readonly isKey: boolean;
  }[];
  readonly identity: "default" | "nothing" | "full" | "index";
};

export type SourceChange =
  | {
      readonly kind: "insert";
      readonly relation: SourceRelation;
      readonly row: SourceRow;
      readonly xid: number;
    }
  | {
      readonly kind: "update";
      readonly relation: SourceRelation;
      /** Only when the key has changed, or with the identity `full`: the row, or of it the key's columns, the others null. */
      readonly before: SourceRow | undefined;
      readonly row: SourceRow;
      readonly xid: number;
    }
  | {
      readonly kind: "delete";
      readonly relation: SourceRelation;
      readonly before: SourceRow;
      readonly xid: number;
    }
  | {
      readonly kind: "truncate";
      readonly relations: readonly SourceRelation[];
      readonly cascade: boolean;
      readonly restartIdentity: boolean;
      readonly xid: number;
    }
  | { readonly kind: "message"; readonly prefix: string; readonly content: Buffer };

/**
 * A committed transaction of the source. Those of the opposite stream do not come. `xid` is the 32-bit number of the
 * top-level transaction, which is also that of all its changes, those of subtransactions included: snapshots' `xip` lists
 * hold top-level numbers only, because a commit makes all of it visible at once.
 */
export type SourceTransaction = {
  readonly kind: "transaction";
  readonly xid: number;
  /** Position of the commit record. */
  readonly commitLsn: Lsn;
  /** Behind it: the position to resume from and to acknowledge. */
  readonly endLsn: Lsn;
  /** By the source's clock. */
  readonly committedAtMs: number;
  /** Of the log's messages, about. */
  readonly bytes: number;
  /** Once, in order, in batches of bounded size; large ones are read back from disk. */
  changes(): AsyncIterable<readonly SourceChange[]> | Iterable<readonly SourceChange[]>;
  /** Frees what it holds on disk; to be called once it is applied or dropped. */
  release(): void;
};

/** What the reader hands on, in the order of the log. */
export type SourceItem =
  | SourceTransaction
  /** A message outside of transactions (`pg_logical_emit_message(false, …)`). */
  | {
      readonly kind: "message";
      readonly prefix: string;
      readonly content: Buffer;
      readonly lsn: Lsn;
    }
  /** Nothing for us up to here: progress and acknowledgement may move there when all before is applied. */
  | { readonly kind: "idle"; readonly lsn: Lsn };

/** The log of one source, from a slot on. One reader at a time. */
export type SourceStream = {
  /**
   * The next item; undefined after `close`. While nobody asks, reading pauses within a bounded number of bytes, and the
   * server keeps being told that we live.
   * @throws CodedError when the connection broke or the slot is lost
   */
  next(): Promise<SourceItem | undefined>;
  /** What is durable in the target: the server may forget the log before it. Never goes back. */
  acknowledge(lsn: Lsn): void;
  /** Where the server's log ended when it last said so, and when, by our monotonic clock. */
  readonly serverEnd: { readonly lsn: Lsn; readonly atMs: number } | undefined;
  close(): Promise<void>;
};
