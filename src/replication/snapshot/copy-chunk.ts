import { setTimeout as delay } from "node:timers/promises";
import { CodedError } from "../../base/errors.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import { formatPosition } from "../../wire/position.ts";
import { ApplyIncident } from "../apply/row-writer.ts";
import type { RowChange } from "../apply/row-writer.ts";
import { failpoint } from "../failpoints.ts";
import type { BoundProgram, RowProgram } from "../mapping/row-program.ts";
import { UNCHANGED } from "../source/source-transaction.ts";
import type { SourceRelation } from "../source/source-transaction.ts";
import { tableKey } from "../table-shape.ts";
import type { RowEvent } from "./change-codec.ts";
import { checkTouched, doneStatement, touchStatement, wasCompleted } from "./chunk-table.ts";
import type { ChunkName, CopyOwner } from "./chunk-table.ts";
import type { Chunk, CopiedTable } from "./copied-table.ts";
import type { CopyDeps } from "./copy-deps.ts";
import type { CopySessions } from "./copy-sessions.ts";
import { copyInSql, copyOutSql, lockSql, misfitSql } from "./copy-sql.ts";
import { DeferredChanges } from "./deferred-changes.ts";
import { rowChanges } from "./row-changes.ts";
import { parseSnapshot, TAKE_SNAPSHOT } from "./source-snapshot.ts";
import { sees } from "../visibility.ts";
import type { SourceSnapshot } from "./source-snapshot.ts";

const BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/** Until a commit that stands in the log has become visible. */
const NOT_VISIBLE_YET_MS = 20;
const ASK_AGAIN_MS = 250;

export type ChunkJob = {
  readonly deps: CopyDeps;
  readonly owner: CopyOwner;
  readonly sessions: CopySessions;
  readonly table: CopiedTable;
  readonly chunk: Chunk;
  readonly signal: AbortSignal;
};

/**
 * One attempt to copy a chunk. It is under way from before its snapshot is taken, so that the router keeps all changes that the
 * snapshot may not see; it stays so when the attempt fails, because what has been kept is needed by the next one.
 * The rows, the changes kept, and that the chunk is done, become durable together, while nothing is applied.
 * Returns as well when the table has to be copied anew.
 */
export async function copyChunk(job: ChunkJob): Promise<void> {
  const { deps, chunk, sessions, table } = job;
  const deferred =
    chunk.state.kind === "under_way"
      ? chunk.state.deferred
      : new DeferredChanges(deps.state.budget);
  chunk.state = { kind: "under_way", deferred, snapshot: undefined };
  const source = await sessions.source();
  const target = await sessions.target();
  const snapshot = await takeSnapshot(job, source);
  chunk.state = { kind: "under_way", deferred, snapshot };
  const [, touched] = await target.pipeline([{ sql: "BEGIN" }, touchStatement(job.owner)]);
  checkTouched(touched);
  const copied = await copyRows(job, source, target);
  await source.execute("COMMIT");
  const isDone = await deps.applier.between(async () => {
    if (table.stale) return false;
    failpoint("snapshot.before_deferred");
    if (!(await applyDeferred(job, target, deferred, snapshot))) return false;
    await commitChunk(job, target, snapshot, copied);
    chunk.rows = copied.rows;
    chunk.bytes = copied.bytes;
    chunk.state = { kind: "done", snapshot };
    return true;
  });
  if (isDone) failpoint("snapshot.after_chunk_commit");
  else {
    chunk.state = { kind: "planned" };
    await sessions.rollBack();
  }
  await deferred.clear();
}

/**
 * One that sees every transaction whose changes have been dropped on its account. The table is locked first: a truncation that commits
 * between the snapshot and the reading would empty the table for snapshots that do not see it.
 */
async function takeSnapshot(
  { deps, signal, table }: ChunkJob,
  source: WorkSession,
): Promise<SourceSnapshot> {
  for (;;) {
    const [, , taken] = await source.pipeline([
      { sql: BEGIN_READING },
      { sql: lockSql(table.program.source) },
      { sql: TAKE_SNAPSHOT },
    ]);
    const [text, lsn] = taken?.rows[0] ?? [];
    const snapshot = parseSnapshot(text ?? "", lsn ?? "");
    if (deps.state.dropped.allSeenBy(snapshot)) return snapshot;
    await source.execute("ROLLBACK");
    await delay(NOT_VISIBLE_YET_MS, undefined, { signal });
  }
}

type Copied = { readonly rows: number; readonly bytes: number };

async function copyRows(
  { deps, table, chunk, signal }: ChunkJob,
  source: WorkSession,
  target: WorkSession,
): Promise<Copied> {
  const { program } = table;
  const keyColumn = table.keyColumn?.name;
  await refuseMisfits(source, program, misfitSql(program, keyColumn, chunk, source.serverVersion));
  const writing = await target.copyIn(copyInSql(program));
  let bytes = 0;
  try {
    const read = await source.copyOut(copyOutSql(program, keyColumn, chunk), (frames) => {
      signal.throwIfAborted();
      if (bytes > 0) failpoint("snapshot.in_chunk");
      bytes += frames.length;
      const taken = writing.frames(frames);
      const waits = deps.throttle.spend(frames.length);
      return waits === undefined ? taken : Promise.all([taken, waits]).then(() => {});
    });
    const rows = await writing.finish();
    if (rows === read) return { rows, bytes };
  } catch (error) {
    await writing.fail("the source could not be read to its end");
    throw error;
  }
  const what = `the target took another number of rows of ${table.name} than the source gave`;
  throw new CodedError("protocol_violation", what);
}

async function refuseMisfits(
  source: WorkSession,
  { target }: RowProgram,
  sql: string | undefined,
): Promise<void> {
  if (sql === undefined) return;
  const { rows } = await source.query({ sql });
  if (rows[0]?.[0] === "f") return;
  const what = `${tableKey(target)} would change values without a word: a type there is narrower than the source's`;
  throw new CodedError("refused_by_guard", what);
}

/** @returns false when the table has to be copied anew */
async function applyDeferred(
  { deps, table }: ChunkJob,
  target: WorkSession,
  deferred: DeferredChanges,
  snapshot: SourceSnapshot,
): Promise<boolean> {
  const bound = new Map<SourceRelation, BoundProgram>();
  const transaction = {};
  for await (const batch of deferred.batches()) {
    const changes: RowChange[] = [];
    for (const change of batch) {
      if (sees(snapshot, change.xid)) continue;
      if (missesValues(change)) {
        await deps.state.makeStale(table);
        return false;
      }
      const program = bound.get(change.relation) ?? table.program.bind(change.relation);
      bound.set(change.relation, program);
      changes.push(...rowChanges(program, change));
    }
    if (changes.length > 0) await deps.writeRows(target, changes, transaction);
  }
  return true;
}

/** A row that came over from another chunk; its large values are there. */
function missesValues(change: RowEvent): boolean {
  return change.kind === "insert" && change.row.includes(UNCHANGED);
}

async function commitChunk(
  job: ChunkJob,
  target: WorkSession,
  snapshot: SourceSnapshot,
  copied: Copied,
): Promise<void> {
  const { deps, owner, table, chunk } = job;
  const name = { stream: owner.stream, table: table.name, chunk: chunk.number };
  const lsn = formatPosition({ kind: "lsn", lsn: snapshot.lsn });
  const { affected } = await target.query(doneStatement(name, { snapshot, ...copied }, lsn));
  if (affected !== 1)
    throw new CodedError("conflict", `chunk ${chunk.number} of ${table.name} is no longer planned`);
  failpoint("snapshot.before_chunk_commit");
  try {
    await target.execute("COMMIT");
  } catch (error) {
    if (!target.over) throw error;
    deps.logger.warn(
      { table: table.name },
      "the answer to a chunk's COMMIT was lost: asking again",
    );
    if (!(await wasCommitted(job, name, snapshot))) throw error;
  }
}

/**
 * Until this is known nothing may be applied: changes would be kept for a chunk that is done, and lost with this process. Where
 * it does not become known the router refuses to go on.
 */
async function wasCommitted(
  { deps, sessions, signal }: ChunkJob,
  name: ChunkName,
  snapshot: SourceSnapshot,
): Promise<boolean> {
  for (;;) {
    try {
      return await wasCompleted(await sessions.target(), name, snapshot);
    } catch (error) {
      if (signal.aborted || isFinal(error)) {
        deps.state.failure ??= new CodedError(
          "backend_lost",
          `whether a chunk of ${name.table} was completed is not known`,
          { cause: error },
        );
        throw deps.state.failure;
      }
      await delay(ASK_AGAIN_MS);
    }
  }
}

/** Where a copy was refused by what the rows are: not worth another try. */
export function isFinal(error: unknown): boolean {
  if (error instanceof ApplyIncident) return true;
  if (!(error instanceof CodedError)) return true;
  return (
    !["backend_lost", "backend_unreachable"].includes(error.code) && !isPassing(error.sqlstate)
  );
}

/** Lost and refused connections, deadlocks and the like, lock timeouts, a server that goes down or comes up. */
function isPassing(sqlstate: string): boolean {
  return /^(?:08|40|53300|55P03|57P0)/.test(sqlstate);
}
