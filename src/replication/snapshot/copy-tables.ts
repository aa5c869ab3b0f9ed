import { setTimeout as delay } from "node:timers/promises";
import { Backoff } from "../../base/backoff.ts";
import { messageOf } from "../../base/errors.ts";
import { failpoint } from "../failpoints.ts";
import { quoteTable } from "../table-shape.ts";
import type { CopyOwner } from "./chunk-table.ts";
import type { Chunk, CopiedTable } from "./copied-table.ts";
import { copyChunk, isFinal } from "./copy-chunk.ts";
import type { CopyDeps } from "./copy-deps.ts";
import { CopyMeter } from "./copy-progress.ts";
import type { CopyProgress } from "./copy-progress.ts";
import { whatIsCommittedIsVisible } from "./committed-visible.ts";
import { CopySessions } from "./copy-sessions.ts";
import type { CopyState } from "./open-copy-state.ts";
import { planTable, startTableAnew } from "./prepare-tables.ts";

/** The copy of a stream's tables. */
export type TableCopy = {
  /**
   * Until every table is complete and the applier past all that their snapshots saw: the router is settled then. What has been
   * done stays done, whenever it ends; may be run again after an error, unless `state.failure` is set.
   * @throws CodedError, ApplyIncident, the signal's reason
   */
  run(signal: AbortSignal): Promise<void>;
  progress(): CopyProgress;
};

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;
/** One after the other without any success. */
const MAX_FAILURES = 60;
const LOOK_AGAIN_MS = 100;

type Work =
  | { readonly kind: "plan"; readonly table: CopiedTable }
  | { readonly kind: "anew"; readonly table: CopiedTable }
  | { readonly kind: "chunk"; readonly table: CopiedTable; readonly chunk: Chunk }
  | { readonly kind: "finish"; readonly table: CopiedTable };

type Copier = {
  readonly deps: CopyDeps;
  readonly owner: CopyOwner;
  readonly sessions: CopySessions;
  readonly pool: Pool;
  readonly signal: AbortSignal;
};

export function copyTables(deps: CopyDeps): TableCopy {
  const meter = new CopyMeter(deps.state.tables, deps.clock);
  return {
    run: async (outer) => {
      meter.begin();
      const stop = new AbortController();
      const signal = AbortSignal.any([outer, stop.signal]);
      const pool = new Pool(deps.state);
      await whatIsCommittedIsVisible(deps, signal);
      const running = Array.from({ length: deps.state.copiers }, async (_none, index) => {
        try {
          await runCopier(deps, -1 - index, pool, signal);
        } catch (error) {
          // The others stop at once; the first to fail says why.
          stop.abort(error);
          pool.changed();
          throw error;
        }
      });
      await Promise.allSettled(running);
      outer.throwIfAborted();
      stop.signal.throwIfAborted();
      failpoint("snapshot.before_streaming");
    },
    progress: () => meter.progress(),
  };
}

/** What is left to do, handed to one copier each. */
class Pool {
  readonly #tables: readonly CopiedTable[];
  readonly #position: CopyState["position"];
  readonly #busyTables = new Set<CopiedTable>();
  readonly #busyChunks = new Set<Chunk>();
  #wake: (() => void)[] = [];

  constructor({ tables, position }: CopyState) {
    this.#tables = tables;
    this.#position = position;
  }

  /** Waits while others may still leave something to do. @returns undefined when everything is done */
  async next(signal: AbortSignal): Promise<Work | undefined> {
    for (;;) {
      signal.throwIfAborted();
      const work = this.#take();
      if (work !== undefined) return work;
      if (this.#tables.every((table) => table.isSettled(this.#position()))) return undefined;
      const woken = new AbortController();
      this.#wake.push(() => woken.abort());
      // The applier's position and what it finds in the log change without a word.
      const either = AbortSignal.any([signal, woken.signal]);
      await delay(LOOK_AGAIN_MS, undefined, { signal: either }).catch(() => {});
    }
  }

  release(work: Work): void {
    if (work.kind === "chunk") this.#busyChunks.delete(work.chunk);
    else this.#busyTables.delete(work.table);
    this.changed();
  }

  changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const each of wake) each();
  }

  #take(): Work | undefined {
    for (const table of this.#tables) {
      const isDone = table.finished && !table.stale;
      const work = isDone || this.#busyTables.has(table) ? undefined : this.#workOf(table);
      if (work === undefined) continue;
      if (work.kind === "chunk") this.#busyChunks.add(work.chunk);
      else this.#busyTables.add(table);
      return work;
    }
    return undefined;
  }

  #workOf(table: CopiedTable): Work | undefined {
    const isBusy = table.chunks.some((chunk) => this.#busyChunks.has(chunk));
    if (table.stale) return isBusy ? undefined : { kind: "anew", table };
    if (table.chunks.length === 0) return { kind: "plan", table };
    const chunk = table.chunks.find(
      (each) => each.state.kind !== "done" && !this.#busyChunks.has(each),
    );
    if (chunk !== undefined) return { kind: "chunk", table, chunk };
    return isBusy ? undefined : { kind: "finish", table };
  }
}

async function runCopier(
  deps: CopyDeps,
  worker: number,
  pool: Pool,
  signal: AbortSignal,
): Promise<void> {
  const owner = { stream: deps.state.stream, worker, epoch: deps.state.epoch };
  const sessions = new CopySessions(deps, deps.logger);
  const copier = { deps, owner, sessions, pool, signal };
  try {
    for (;;) {
      const work = await pool.next(signal);
      if (work === undefined) return;
      try {
        await persist(copier, work);
      } finally {
        pool.release(work);
      }
    }
  } finally {
    await sessions.close();
  }
}

/** Tries again what failed for a reason that passes. */
async function persist(copier: Copier, work: Work): Promise<void> {
  const { deps, sessions, signal } = copier;
  const backoff = new Backoff(FIRST_WAIT_MS, LONGEST_WAIT_MS, deps.random);
  for (let failures = 1; ; failures++) {
    try {
      return await perform(copier, work);
    } catch (error) {
      await sessions.rollBack();
      signal.throwIfAborted();
      if (isFinal(error) || failures === MAX_FAILURES) throw error;
      const about = { table: work.table.name, error: messageOf(error) };
      deps.logger.warn(about, "copying was interrupted and is tried again");
      await delay(backoff.nextMs(), undefined, { signal });
      // A table that has to be copied anew is no longer this work's affair.
      if (work.kind === "chunk" && work.table.stale) return await giveUp(work.chunk);
    }
  }
}

async function giveUp(chunk: Chunk): Promise<void> {
  const { state } = chunk;
  chunk.state = { kind: "planned" };
  if (state.kind === "under_way") await state.deferred.clear();
}

async function perform(copier: Copier, work: Work): Promise<void> {
  const { table } = work;
  switch (work.kind) {
    case "plan":
      return await planTable(copier, table);
    case "anew":
      return await startTableAnew(copier, table);
    case "chunk":
      return await copyChunk({ ...copier, table, chunk: work.chunk });
    case "finish":
      return await finishTable(copier, table);
  }
}

/** The target's planner knows nothing of a table that has just been filled. */
async function finishTable({ deps, sessions }: Copier, table: CopiedTable): Promise<void> {
  failpoint("snapshot.table_done");
  const target = await sessions.target();
  try {
    await target.execute(`ANALYZE ${quoteTable(table.program.target)}`);
  } catch (error) {
    if (target.over) throw error;
    const about = { table: table.name, error: messageOf(error) };
    deps.logger.warn(about, "the target's statistics of a table could not be taken");
  }
  // A truncation may have come in between.
  table.finished = table.isComplete;
  deps.logger.info({ table: table.name }, "a table is copied");
}
