import { CodedError } from "../base/errors.ts";
import type { RowChange, WriteRows } from "../replication/apply/row-writer.ts";
import type { RowProgram } from "../replication/mapping/row-program.ts";
import { markOf } from "../replication/mark.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import { beginMoment, endMoment } from "./moment.ts";
import type { MomentDeps, MomentLocks } from "./moment.ts";
import type { TableSql } from "./table-sql.ts";

/** While so many rows are written the applier stands. */
const ROWS_AT_ONCE = 200;

export type RepairDeps = {
  readonly moment: MomentDeps;
  /** Another session on NEW, in the replica role where that may be had. */
  readonly writer: WorkSession;
  readonly writeRows: WriteRows;
  /** The stream that fills NEW. */
  readonly stream: string;
};

/** A key's texts, as the rows of `TableSql.values` begin. */
export type RowKey = readonly string[];

const POSITION = "SELECT pos FROM twinwire.progress WHERE stream = $1 AND worker = 0";

/**
 * Makes rows of NEW what they are in OLD. It is done while the applier stands at a snapshot of OLD, in one transaction with a lock on
 * its progress, so nothing newer can be overwritten: what comes later is applied on top. Begins like everything that is applied, so
 * that it does not come back to OLD.
 * @throws ApplyIncident when NEW refuses a row; CodedError, WorkError
 */
export async function repairRows(
  deps: RepairDeps,
  program: RowProgram,
  sql: TableSql,
  locks: MomentLocks,
  keys: readonly RowKey[],
): Promise<void> {
  for (let at = 0; at < keys.length; at += ROWS_AT_ONCE) {
    const some = keys.slice(at, at + ROWS_AT_ONCE);
    await beginMoment(deps.moment, locks, () => repairSome(deps, program, sql, some));
    await endMoment(deps.moment);
  }
}

async function repairSome(
  { moment, writer, writeRows, stream }: RepairDeps,
  program: RowProgram,
  sql: TableSql,
  keys: readonly RowKey[],
): Promise<void> {
  const { old, fresh } = moment;
  const seen = await fresh.query({ sql: POSITION, values: [stream] });
  const wanted = await old.query(sql.old.values(keys));
  const there = await fresh.query(sql.fresh.values(keys));
  const width = sql.keyNames.length;
  const changes: RowChange[] = [
    ...there.rows.map((row) => ({
      kind: "delete" as const,
      program,
      key: withConstants(program, row.slice(0, width)),
    })),
    ...wanted.rows.map((row) => ({
      kind: "insert" as const,
      program,
      values: row.slice(width).map(bytesOf),
    })),
  ];
  await writer.execute("BEGIN");
  try {
    const now = await writer.query({ sql: `${POSITION} FOR UPDATE`, values: [stream] });
    if (now.rows[0]?.[0] !== seen.rows[0]?.[0])
      throw new CodedError("conflict", "NEW went on while rows were to be repaired");
    await writer.execute(markOf(stream));
    await writeRows(writer, changes, changes);
    await writer.execute("COMMIT");
  } catch (error) {
    await writer.execute("ROLLBACK");
    throw error;
  }
}

/** Columns of NEW's key that are constants stand behind the others. */
function withConstants({ key }: RowProgram, texts: readonly (string | null)[]): (Buffer | null)[] {
  const constants = key.filter(({ source }) => source === "");
  return [...texts, ...constants.map(({ constant }) => constant ?? null)].map(bytesOf);
}

function bytesOf(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text);
}
