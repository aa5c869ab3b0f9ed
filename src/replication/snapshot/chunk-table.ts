import { CodedError } from "../../base/errors.ts";
import type { WorkResult, WorkSession, WorkStatement } from "../../upstream/work-session.ts";
import { tableKey } from "../table-shape.ts";
import type { TableName } from "../table-shape.ts";
import type { SourceSnapshot } from "./source-snapshot.ts";
import { parseSnapshot } from "./source-snapshot.ts";

/**
 * A range of the leading key column, its lower bound included and its upper one not; null is no bound. A table that is
 * copied in one snapshot is one chunk without bounds.
 */
export type ChunkRange = { readonly lo: string | null; readonly hi: string | null };

/**
 * As in `twinwire.chunk.state`. `stale` stands at all chunks of a table that has to be copied anew: its rows in the target
 * are ours, and no longer worth anything.
 */
export type ChunkRecord = ChunkRange & {
  readonly chunk: number;
  readonly state: "planned" | "done" | "stale";
  /** Of chunks that are done. */
  readonly snapshot: SourceSnapshot | undefined;
  readonly rows: number;
  readonly bytes: number;
};

/** As kept in `twinwire.chunk.source_table`: for humans too, so not quoted. */
export function chunkTableName(table: TableName): string {
  return tableKey(table);
}

/** Since PostgreSQL 9.5. */
const READ = `
  SELECT source_table, chunk, lo, hi, state, snap, lsn, rows, bytes FROM twinwire.chunk
  WHERE stream = $1 ORDER BY source_table, chunk`;

/** Everything known of a stream's chunks, by source table and in the order of their numbers. */
export async function readChunks(
  session: WorkSession,
  stream: string,
): Promise<ReadonlyMap<string, readonly ChunkRecord[]>> {
  const { rows } = await session.query({ sql: READ, values: [stream] });
  const tables = new Map<string, ChunkRecord[]>();
  for (const [table, chunk, lo, hi, state, snap, lsn, count, bytes] of rows) {
    const record: ChunkRecord = {
      chunk: Number(chunk),
      lo: lo ?? null,
      hi: hi ?? null,
      state: state === "done" || state === "stale" ? state : "planned",
      snapshot: state === "done" ? parseSnapshot(snap ?? "", lsn ?? "") : undefined,
      rows: Number(count),
      bytes: Number(bytes),
    };
    const known = tables.get(table ?? "");
    if (known === undefined) tables.set(table ?? "", [record]);
    else known.push(record);
  }
  return tables;
}

/** Since PostgreSQL 9.4. Replaces what was planned before. */
const FORGET = "DELETE FROM twinwire.chunk WHERE stream = $1 AND source_table = $2";
const PLAN = `
  INSERT INTO twinwire.chunk (stream, source_table, chunk, lo, hi, state)
  SELECT $1, $2, c.chunk, c.lo, c.hi, 'planned'
  FROM pg_catalog.json_to_recordset($3::pg_catalog.json) AS c(chunk int, lo text, hi text)`;

export function planStatements(
  stream: string,
  table: string,
  ranges: readonly ChunkRange[],
): readonly WorkStatement[] {
  const plan = JSON.stringify(ranges.map(({ lo, hi }, chunk) => ({ chunk, lo, hi })));
  return [
    { sql: FORGET, values: [stream, table] },
    { sql: PLAN, values: [stream, table, plan] },
  ];
}

/** Since PostgreSQL 9.5. In a transaction of its own, before anything that follows from it. */
const STALE = `
  UPDATE twinwire.chunk SET state = 'stale', updated_at = pg_catalog.clock_timestamp()
  WHERE stream = $1 AND source_table = $2`;

export function staleStatement(stream: string, table: string): WorkStatement {
  return { sql: STALE, values: [stream, table] };
}

/** Since PostgreSQL 9.5. */
const DONE = `
  UPDATE twinwire.chunk SET state = 'done', snap = $4, lsn = $5, rows = $6, bytes = $7,
    updated_at = pg_catalog.clock_timestamp()
  WHERE stream = $1 AND source_table = $2 AND chunk = $3 AND state = 'planned'`;

export type ChunkName = {
  readonly stream: string;
  readonly table: string;
  readonly chunk: number;
};

export function doneStatement(
  { stream, table, chunk }: ChunkName,
  { snapshot, rows, bytes }: { snapshot: SourceSnapshot; rows: number; bytes: number },
  lsnText: string,
): WorkStatement {
  const values = [
    stream,
    table,
    String(chunk),
    snapshot.text,
    lsnText,
    String(rows),
    String(bytes),
  ];
  return { sql: DONE, values, name: "twinwire_chunk_done" };
}

/** Waits for a transaction that may still be writing the row. Since PostgreSQL 9.5. */
const IS_DONE = `
  SELECT state = 'done' AND snap = $4 FROM twinwire.chunk
  WHERE stream = $1 AND source_table = $2 AND chunk = $3 FOR UPDATE`;

/** Whether a COMMIT whose answer was lost has been made. */
export async function wasCompleted(
  session: WorkSession,
  { stream, table, chunk }: ChunkName,
  snapshot: SourceSnapshot,
): Promise<boolean> {
  const values = [stream, table, String(chunk), snapshot.text];
  const { rows } = await session.query({ sql: IS_DONE, values });
  return rows[0]?.[0] === "t";
}

/**
 * The first statement of every transaction of ours: the mark by which the opposite reader knows it, and the proof that nobody
 * has taken the stream over. Since PostgreSQL 9.5.
 */
const TOUCH = `
  UPDATE twinwire.progress SET pos_seq = pos_seq + 1, updated_at = pg_catalog.clock_timestamp()
  WHERE stream = $1 AND worker = $2 AND epoch = $3`;

export type CopyOwner = {
  readonly stream: string;
  /** Below 0: `-1 - n` for the n-th copier. */
  readonly worker: number;
  /** Of the lease under which this process owns the stream. */
  readonly epoch: bigint;
};

export function touchStatement({ stream, worker, epoch }: CopyOwner): WorkStatement {
  const values = [stream, String(worker), String(epoch)];
  return { sql: TOUCH, values, name: "twinwire_touch" };
}

/** @throws CodedError `conflict` when another process has taken the stream over */
export function checkTouched(result: WorkResult | undefined): void {
  if (result?.affected === 1) return;
  throw new CodedError("conflict", "another process copies this stream's tables: this one stops");
}

/** Since PostgreSQL 9.5. Waits for transactions of an owner before us, which then are over for good. */
const TAKE_OVER = `
  UPDATE twinwire.progress SET epoch = $2, updated_at = pg_catalog.clock_timestamp()
  WHERE stream = $1 AND worker < 0 AND epoch <= $2`;
const CLAIM = `
  INSERT INTO twinwire.progress (stream, worker, epoch, pos)
  SELECT $1, w, $2, '' FROM pg_catalog.generate_series(-$3::int, -1) AS w
  ON CONFLICT (stream, worker) DO NOTHING`;

/** Makes the rows of so many copiers ours. To be called before anything of the chunks is read. */
export async function claimCopiers(
  session: WorkSession,
  stream: string,
  epoch: bigint,
  copiers: number,
): Promise<void> {
  await session.query({ sql: TAKE_OVER, values: [stream, String(epoch)] });
  await session.query({ sql: CLAIM, values: [stream, String(epoch), String(copiers)] });
}
