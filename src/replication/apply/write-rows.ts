import type { WorkSession } from "../../upstream/work-session.ts";
import type { RowProgram } from "../mapping/row-program.ts";
import type { SourceValue } from "../source/source-transaction.ts";
import { UNCHANGED } from "../source/source-transaction.ts";
import { incidentOf, refusesRow } from "./apply-failure.ts";
import { copyFrames } from "./copy-text.ts";
import type { RowStatement } from "./row-statements.ts";
import { batchStatement, singleStatement } from "./row-statements.ts";
import type { RowChange, WriteRows } from "./row-writer.ts";
import type { Batch } from "./schedule.ts";
import { inRuns, schedule } from "./schedule.ts";
import { TargetTables } from "./target-table.ts";
import type { TargetTable } from "./target-table.ts";

/** From so many rows on COPY is faster than a statement with arrays, though it is a round trip of its own. */
const COPY_ROWS = 200;
/** Prepared statements of one session; further shapes are parsed each time. */
const MAX_NAMES = 500;
/** Bytes of one array parameter stay well below what the server takes (1 GB). */
const MAX_BATCH_ROWS = 5000;
const ONE_BY_ONE = 100;
/** How long a table is written in the given order after another order was refused. */
const CAREFUL_WRITES = 20;

const SAVE = "SAVEPOINT twinwire_rows";
const RELEASE = "RELEASE SAVEPOINT twinwire_rows";
const BACK = "ROLLBACK TO SAVEPOINT twinwire_rows";

type Part =
  | { readonly kind: "statement"; readonly statement: RowStatement }
  | { readonly kind: "copy"; readonly table: TargetTable; readonly changes: readonly RowChange[] };

/**
 * Rows for any number of sessions; what is looked up is kept as long as the session is.
 *
 *     changes ── schedule ── batches ── one pipeline, with COPYs between ── counts as expected? done
 *                                                                      └── no: back to the savepoint,
 *                                       the given order row by row ── still no: ApplyIncident names the row
 */
export function openRowWriter(): WriteRows {
  const writers = new WeakMap<WorkSession, SessionWriter>();
  return async (session, changes, transaction) => {
    if (changes.length === 0) return;
    let writer = writers.get(session);
    if (writer === undefined) {
      writer = await SessionWriter.open(session);
      writers.set(session, writer);
    }
    await writer.write(changes, transaction);
  };
}

class SessionWriter {
  readonly #session: WorkSession;
  readonly #tables: TargetTables;
  /** The session is in the replica role: neither foreign keys nor ordinary triggers see the rows. */
  readonly #free: boolean;
  readonly #names = new Map<string, string>();
  readonly #careful = new Map<RowProgram, number>();
  /** Of the transaction written in last, in which the savepoint is still set: its COMMIT releases it as well. */
  #savedIn: object | undefined;

  private constructor(session: WorkSession, free: boolean) {
    this.#session = session;
    this.#tables = new TargetTables(session);
    this.#free = free;
  }

  static async open(session: WorkSession): Promise<SessionWriter> {
    const role = await session.query({
      sql: "SELECT pg_catalog.current_setting('session_replication_role')",
    });
    return new SessionWriter(session, role.rows[0]?.[0] === "replica");
  }

  async write(changes: readonly RowChange[], transaction: object): Promise<void> {
    const save = this.#savedIn === transaction ? [RELEASE, SAVE] : [SAVE];
    this.#savedIn = transaction;
    await this.#tables.learn(new Set(changes.map(({ program }) => program)));
    const isCareful = this.#isCareful(changes);
    const batches = isCareful ? inRuns(changes) : schedule(changes, this.#free);
    if (await this.#try(batches, save)) return;
    await this.#session.execute(BACK);
    for (const { program } of batches) this.#careful.set(program, CAREFUL_WRITES);
    await this.#oneByOne(changes);
  }

  /** A table that needed its order lately is likely to need it again. */
  #isCareful(changes: readonly RowChange[]): boolean {
    if (this.#careful.size === 0) return false;
    let isCareful = false;
    for (const program of new Set(changes.map((change) => change.program))) {
      const left = this.#careful.get(program);
      if (left === undefined) continue;
      isCareful = true;
      if (left > 1) this.#careful.set(program, left - 1);
      else this.#careful.delete(program);
    }
    return isCareful;
  }

  /**
   * @param save what sets the savepoint
   * @returns false when it failed for a reason that lies in the rows or their order
   */
  async #try(batches: readonly Batch[], save: readonly string[]): Promise<boolean> {
    const parts = batches.flatMap((batch) => this.#parts(batch));
    let first = save;
    let waiting: RowStatement[] = [];
    const run = async (): Promise<boolean> => {
      const statements = [
        ...first.map((sql) => this.#named({ sql, expected: undefined })),
        ...waiting,
      ];
      first = [];
      waiting = [];
      return await this.#run(statements);
    };
    try {
      for (const part of parts) {
        if (part.kind === "statement") {
          waiting.push(this.#named(part.statement));
          continue;
        }
        if (waiting.length > 0 && !(await run())) return false;
        const copied = await this.#copy(part, first);
        first = [];
        if (copied !== part.changes.length) return false;
      }
      return waiting.length === 0 || (await run());
    } catch (error) {
      if (refusesRow(error)) return false;
      throw error;
    }
  }

  #parts(batch: Batch): Part[] {
    const table = this.#tables.of(batch.program);
    const { changes, kind } = batch;
    if (kind === "insert" && changes.length >= COPY_ROWS && table.columns.length > 0)
      return [{ kind: "copy", table, changes }];
    const parts: Part[] = [];
    for (let at = 0; at < changes.length; at += MAX_BATCH_ROWS) {
      const piece =
        changes.length <= MAX_BATCH_ROWS
          ? batch
          : { ...batch, changes: changes.slice(at, at + MAX_BATCH_ROWS) };
      parts.push({ kind: "statement", statement: batchStatement(table, piece) });
    }
    return parts;
  }

  /** @returns whether all counts are as expected */
  async #run(statements: readonly RowStatement[]): Promise<boolean> {
    if (statements.length === 0) return true;
    const results = await this.#session.pipeline(statements);
    return statements.every(
      ({ expected }, index) => expected === undefined || results[index]?.affected === expected,
    );
  }

  async #copy(
    { table, changes }: Extract<Part, { kind: "copy" }>,
    before: readonly string[],
  ): Promise<number> {
    const columns = table.columns.map(({ name }) => name).join(", ");
    const sql = [...before, `COPY ${table.name} (${columns}) FROM STDIN`].join("; ");
    return await this.#session.copyAtOnce(sql, copyFrames(rowsOf(changes)));
  }

  /** @throws ApplyIncident for the first row that cannot be applied */
  async #oneByOne(changes: readonly RowChange[]): Promise<void> {
    const singles = inRuns(changes).flatMap(({ program, shape, changes: run }) =>
      run.map((change) => {
        const table = this.#tables.of(program);
        const statement = this.#named(singleStatement(table, change, shape));
        return { change, statement };
      }),
    );
    for (let at = 0; at < singles.length; at += ONE_BY_ONE) {
      const some = singles.slice(at, at + ONE_BY_ONE);
      try {
        const results = await this.#session.pipeline(some.map(({ statement }) => statement));
        some.forEach(({ change, statement }, index) => {
          const found = results[index]?.affected ?? 0;
          if (statement.expected !== undefined && found !== statement.expected)
            throw incidentOf(change, found);
        });
      } catch (error) {
        const refused = refusesRow(error) ? some[error.index]?.change : undefined;
        throw refused !== undefined && refusesRow(error)
          ? incidentOf(refused, undefined, error)
          : error;
      }
    }
  }

  #named(statement: RowStatement): RowStatement {
    let name = this.#names.get(statement.sql);
    if (name === undefined) {
      if (this.#names.size >= MAX_NAMES) return statement;
      name = `twinwire_${this.#names.size}`;
      this.#names.set(statement.sql, name);
    }
    return { ...statement, name };
  }
}

function* rowsOf(changes: readonly RowChange[]): Generator<(Uint8Array | null)[]> {
  for (const change of changes) if (change.kind === "insert") yield change.values.map(written);
}

function written(value: SourceValue): Uint8Array | null {
  if (value === UNCHANGED) throw new Error("a value that is not known was to be written");
  return value;
}
