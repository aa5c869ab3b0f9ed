import { failpoint } from "../failpoints.ts";
import type { WorkError } from "../../upstream/work-error.ts";
import type { WorkSession, WorkStatement } from "../../upstream/work-session.ts";
import { parseLsn } from "../../wire/position.ts";
import type { Lsn } from "../../wire/position.ts";
import { refusesRow } from "./apply-failure.ts";
import { DeferredUnique } from "./deferred-unique.ts";
import type { Piece } from "./group.ts";
import { lostOwnership, moveProgress } from "./progress.ts";
import type { ProgressKey } from "./progress.ts";
import { ApplyIncident } from "./row-writer.ts";
import type { WriteRows } from "./row-writer.ts";
import { truncateTables } from "./truncate.ts";
import { LOG_POSITIONS } from "./target-session.ts";
import type { ApplyCapabilities } from "./target-session.ts";

/** Of the target's log: its end right after a commit, and what of it was on disk. */
export type TargetPositions = { readonly written: Lsn; readonly flushed: Lsn };

/** Transactions of one stream in the target, each of which moves the progress from where the last one left it. */
export class TargetTransactions {
  readonly #session: WorkSession;
  readonly #owner: ProgressKey & { readonly epoch: bigint };
  readonly #writeRows: WriteRows;
  readonly #asynchronous: boolean;
  /** undefined where the server checks them itself. */
  readonly #unique: DeferredUnique | undefined;
  #position: Lsn;

  constructor(
    session: WorkSession,
    owner: ProgressKey & { readonly epoch: bigint },
    options: {
      readonly writeRows: WriteRows;
      readonly capabilities: ApplyCapabilities;
      readonly position: Lsn;
    },
  ) {
    this.#session = session;
    this.#owner = owner;
    this.#writeRows = options.writeRows;
    this.#asynchronous = options.capabilities.asynchronousCommit;
    this.#unique = options.capabilities.replicaRole ? new DeferredUnique(session) : undefined;
    this.#position = options.position;
  }

  /** As in `twinwire.progress`. */
  get position(): Lsn {
    return this.#position;
  }

  /**
   * One transaction that moves the progress to `to` and does what `work` does; without a trace when anything fails.
   * @returns undefined where commits wait for the disk
   * @throws CodedError conflict when another worker owns the stream; ApplyIncident; WorkError
   */
  async run(
    to: Lsn,
    work: (transaction: OpenTransaction) => Promise<void>,
  ): Promise<TargetPositions | undefined> {
    try {
      await this.#begin(to);
      const transaction = {};
      await work({
        apply: (piece) => this.#apply(piece, transaction),
        execute: async (statement) => {
          await this.#session.query(statement);
        },
      });
      await this.#unique?.check();
      failpoint("apply.before_commit");
      const positions = await this.#commit();
      this.#position = to;
      failpoint("apply.after_commit");
      return positions;
    } catch (error) {
      this.#unique?.forget();
      await this.#rollBack();
      throw error;
    }
  }

  /** Where the target's log is now. @throws WorkError */
  async positions(): Promise<TargetPositions | undefined> {
    if (!this.#asynchronous) return undefined;
    const { rows } = await this.#session.query({ sql: LOG_POSITIONS, name: "twinwire_log" });
    return positionsOf(rows);
  }

  async #begin(to: Lsn): Promise<void> {
    const [, moved] = await this.#session.pipeline([
      { sql: "BEGIN", name: "twinwire_begin" },
      moveProgress(this.#owner, this.#position, to),
      { sql: "SET CONSTRAINTS ALL DEFERRED", name: "twinwire_defer" },
    ]);
    failpoint("apply.after_begin");
    if (moved?.affected !== 1) throw lostOwnership(this.#owner.stream);
    failpoint("apply.after_progress");
  }

  async #apply(piece: Exclude<Piece, { kind: "message" }>, transaction: object): Promise<void> {
    if (piece.kind === "rows") {
      await this.#writeRows(this.#session, piece.changes, transaction);
      await this.#unique?.note(piece.changes);
    } else {
      await truncateTables(this.#session, piece.programs);
    }
    failpoint("apply.in_rows");
  }

  async #commit(): Promise<TargetPositions | undefined> {
    const statements: WorkStatement[] = [{ sql: "COMMIT", name: "twinwire_commit" }];
    if (this.#asynchronous) statements.push({ sql: LOG_POSITIONS, name: "twinwire_log" });
    try {
      const [, log] = await this.#session.pipeline(statements);
      return log === undefined ? undefined : positionsOf(log.rows);
    } catch (error) {
      if (refusesRow(error)) throw refusedCommit(error);
      throw error;
    }
  }

  /** What went wrong is what counts; a session that cannot even roll back is over, and so is its transaction. */
  async #rollBack(): Promise<void> {
    if (this.#session.over) return;
    try {
      await this.#session.execute("ROLLBACK");
    } catch {
      await this.#session.close();
    }
  }
}

export type OpenTransaction = {
  apply(piece: Exclude<Piece, { kind: "message" }>): Promise<void>;
  execute(statement: WorkStatement): Promise<void>;
};

function positionsOf(rows: readonly (readonly (string | null)[])[]): TargetPositions {
  const [written, flushed] = rows[0] ?? [];
  const positions = { written: parseLsn(written ?? ""), flushed: parseLsn(flushed ?? "") };
  if (positions.written === undefined || positions.flushed === undefined)
    throw new Error("the target does not tell the positions of its log");
  return { written: positions.written, flushed: positions.flushed };
}

/** A constraint that is checked at COMMIT: which row broke it the server does not say to a program. */
function refusedCommit(error: WorkError): ApplyIncident {
  const constraint = error.constraint === undefined ? "" : `, constraint "${error.constraint}"`;
  return new ApplyIncident({
    message: `a transaction cannot be committed in the target: SQLSTATE ${error.sqlstate}${constraint}`,
    table: [error.schema, error.table].filter(Boolean).join("."),
    operation: "update",
    key: {},
    sqlstate: error.sqlstate,
  });
}
