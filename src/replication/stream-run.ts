import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { CodedError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { openReplicationSession } from "../upstream/replication-session.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import { parseLsn } from "../wire/position.ts";
import type { Lsn } from "../wire/position.ts";
import { openApplier } from "./apply/applier.ts";
import { openRowFetcher } from "./apply/fetch-row.ts";
import { initProgress, readProgress } from "./apply/progress.ts";
import { openRowWriter } from "./apply/write-rows.ts";
import { beat, lastBeat } from "./canary.ts";
import { failpoint } from "./failpoints.ts";
import type { BoundProgram, TableMapping } from "./mapping/row-program.ts";
import type { ReplicationSettings } from "./migration-replication.ts";
import type { Direction, StreamNames } from "./names.ts";
import { OWN_SCHEMA, streamNames } from "./names.ts";
import type { RunningStream } from "./replication-view.ts";
import type { ChunkRouter } from "./snapshot/chunk-router.ts";
import { openSourceChanges } from "./source-changes.ts";
import type { SourceChanges } from "./source-changes.ts";
import { ensurePublication, publicationDrift } from "./source/publication.ts";
import { ensureSlot, slotState } from "./source/slot.ts";
import { openSourceStream } from "./source/source-stream.ts";
import type { SourceRelation } from "./source/source-transaction.ts";
import type { TaskGroup } from "./task-group.ts";
import { tableKey } from "./table-shape.ts";
import type { WorkSessions } from "./work-sessions.ts";

export type StreamRunDeps = {
  readonly migration: string;
  readonly direction: Direction;
  /** As they run in this direction: `forward` is the program that is applied. */
  readonly tables: readonly TableMapping[];
  readonly settings: ReplicationSettings;
  readonly epoch: number;
  readonly folder: string;
  readonly sessions: WorkSessions;
  readonly group: TaskGroup;
  readonly clock: Clock;
  readonly log: Logger;
  readonly creating: (side: "old" | "new") => Promise<void>;
  readonly randomBytes: (bytes: number) => Uint8Array;
};

const CONNECT_MS = 10_000;
/** For each transaction that is open when the slot is made. */
const SLOT_LOCK_MS = 60_000;
const LOOK_MS = 2_000;
const NEAR_MS = 50;
/** A server that does not answer a small question for so long is not there, whatever its connections say. */
const SILENT_MS = 30_000;
const WORKER = 0;

const CLOCK = "SELECT extract(epoch FROM pg_catalog.clock_timestamp()) * 1000";
const END_OF_LOG = "SELECT pg_catalog.pg_current_wal_insert_lsn()";
const SUBSCRIBED = "SELECT EXISTS (SELECT FROM pg_catalog.pg_subscription)";
const MARK_STREAMING =
  "UPDATE twinwire.progress SET phase = 'streaming' WHERE stream = $1 AND worker >= 0 AND phase <> 'streaming'";

/** One stream of a run: what it needs in both databases, its reader, its applier and its signs of life. */
export class StreamRun {
  readonly names: StreamNames;
  readonly #deps: StreamRunDeps;
  readonly #source: "old" | "new";
  readonly #target: "old" | "new";

  constructor(deps: StreamRunDeps) {
    const isForward = deps.direction === "forward";
    this.#deps = deps;
    this.names = streamNames(deps.migration, deps.direction);
    this.#source = isForward ? "old" : "new";
    this.#target = isForward ? "new" : "old";
  }

  /** Makes publication, slot and progress where they are missing. @returns the position to go on from */
  async prepare(): Promise<Lsn> {
    const { sessions, tables, epoch } = this.#deps;
    const key = { stream: this.names.stream, worker: WORKER };
    const [source, target] = [await sessions.open(this.#source), await sessions.open(this.#target)];
    try {
      const before = await readProgress(target, key);
      await ensurePublication(
        source,
        this.names,
        tables.map(({ forward }) => forward.source),
      );
      failpoint("setup.after_publication");
      if ((await slotState(source, this.names)) === undefined)
        await this.#deps.creating(this.#source);
      const slot = await this.#ensureSlot();
      failpoint("setup.after_slot");
      if (slot.created && before !== undefined) throw slotGone(this.names.slot);
      const progress = { epoch: BigInt(epoch), position: slot.position };
      return (await initProgress(target, key, progress)).position;
    } finally {
      await Promise.allSettled([source.close(), target.close()]);
    }
  }

  async #ensureSlot(): Promise<{ readonly created: boolean; readonly position: Lsn }> {
    const { sessions, randomBytes, clock } = this.#deps;
    const session = await openReplicationSession(
      sessions.targets[this.#source],
      { connectTimeoutMs: CONNECT_MS, applicationName: this.names.slot },
      { random: randomBytes, clock },
    );
    try {
      return await ensureSlot(session, this.names, { lockTimeoutMs: SLOT_LOCK_MS });
    } finally {
      await session.close();
    }
  }

  /** Reads and applies from a position on, until the run ends. */
  async start(from: Lsn, router: ChunkRouter | undefined): Promise<RunningStream> {
    const { sessions, settings, epoch, folder, clock, log, randomBytes, group } = this.#deps;
    const other = this.#deps.direction === "forward" ? "reverse" : "forward";
    const spoolFolder = settings.spool.path ?? join(folder, "spool", this.#deps.direction);
    await mkdir(spoolFolder, { recursive: true, mode: 0o700 });
    const source = await sessions.open(this.#source);
    const { rows } = await source.query({ sql: SUBSCRIBED });
    const stream = await openSourceStream(
      {
        target: sessions.targets[this.#source],
        names: this.names,
        opposite: streamNames(this.#deps.migration, other),
        from,
        // A third writer's rows have an origin, too, and must travel.
        originNone: rows[0]?.[0] === "f",
        spool: { folder: spoolFolder, memoryBytes: settings.spool.memoryBytes },
        connectTimeoutMs: CONNECT_MS,
      },
      { random: randomBytes, clock, log },
    );
    const changes = await this.#sourceChanges();
    const fetcher = openRowFetcher(() => sessions.open(this.#source));
    const applier = await openApplier({
      stream,
      session: await sessions.open(this.#target),
      names: this.names,
      worker: WORKER,
      epoch: BigInt(epoch),
      position: from,
      writeRows: openRowWriter(),
      programOf: this.#programs(changes),
      router,
      fetchRow: fetcher.fetchRow,
      onMessage: async ({ prefix, content }) => {
        await changes.message(prefix, content);
        return undefined;
      },
      clock,
      options: { ackMargin: { ms: settings.ackMarginMs, bytes: Number.POSITIVE_INFINITY } },
    });
    const askedAtMs = clock.nowMs();
    const [[sourceMs] = []] = (await source.query({ sql: CLOCK })).rows;
    const running: RunningStream = {
      applier,
      stream,
      clockAheadMs: Number(sourceMs) - (askedAtMs + clock.nowMs()) / 2,
      retainedBytes: undefined,
      arrivedAtMs: undefined,
      detail: "",
    };
    group.signal.addEventListener("abort", () => void this.#end(running), { once: true });
    group.add(() => applier.run());
    group.every(LOOK_MS, async () => {
      running.detail = await changes.poll();
    });
    await this.#watch(running);
    return running;
  }

  /** Changes of a table that is not published any more vanish without a sign. */
  async #checkPublication(source: WorkSession): Promise<void> {
    const tables = this.#deps.tables.map(({ forward }) => forward.source);
    const drift = await publicationDrift(source, this.names, tables);
    if (!drift.created && !drift.optionsDiffer && drift.added.length + drift.removed.length === 0)
      return;
    const cure = "Changes may have been missed: NEW has to be verified, or copied anew.";
    const what = `The publication "${this.names.publication}" was changed or dropped by somebody else.`;
    throw new CodedError("source_changed", `${what} ${cure}`);
  }

  /** Until the target holds what had been committed in the source when this was asked, or the run ends. */
  async caughtUp({ applier }: RunningStream): Promise<void> {
    const { sessions, group } = this.#deps;
    const source = await sessions.open(this.#source);
    const { rows } = await source.query({ sql: END_OF_LOG });
    await source.close();
    const end = parseLsn(rows[0]?.[0] ?? "") ?? 0n;
    // The canary's next beat is behind it, however quiet the source is.
    while (!group.signal.aborted && (applier.state.position ?? 0n) < end)
      await group.sleep(NEAR_MS);
    group.signal.throwIfAborted();
  }

  /** The target holds whole tables from now on. */
  async markStreaming(): Promise<void> {
    const session = await this.#deps.sessions.open(this.#target);
    await session.query({ sql: MARK_STREAMING, values: [this.names.stream] });
    await session.close();
  }

  async #sourceChanges(): Promise<SourceChanges> {
    const { sessions, settings, tables, log } = this.#deps;
    return await openSourceChanges({
      policy: settings.ddl,
      input: settings.mapping,
      tables: tables.filter(({ source }) => source.schema !== OWN_SCHEMA),
      names: this.names,
      source: await sessions.open(this.#source),
      target: await sessions.open(this.#target),
      tell: (sentence) => log.warn({ stream: this.names.stream }, sentence),
    });
  }

  #programs(changes: SourceChanges): (relation: SourceRelation) => BoundProgram | undefined {
    const byName = new Map(
      this.#deps.tables.map(({ forward }) => [tableKey(forward.source), forward] as const),
    );
    return (relation) => {
      changes.relation(relation);
      return byName.get(tableKey(relation))?.bind(relation);
    };
  }

  /** Beats the canary, which keeps a quiet source's slot moving as well, and looks whether it arrives. */
  async #watch(running: RunningStream): Promise<void> {
    const { sessions, migration, group, clock } = this.#deps;
    const source = await sessions.open(this.#source, SILENT_MS);
    const target = await sessions.open(this.#target, SILENT_MS);
    let seen = await lastBeat(target, migration, this.#source);
    group.every(LOOK_MS, async () => {
      await beat(source, migration, this.#source);
      await this.#checkPublication(source);
      running.retainedBytes = (await slotState(source, this.names))?.retainedBytes;
      const now = await lastBeat(target, migration, this.#source);
      if (now !== seen) running.arrivedAtMs = clock.monotonicMs();
      seen = now;
    });
  }

  async #end({ applier, stream }: RunningStream): Promise<void> {
    await Promise.allSettled([applier.close(), stream.close()]);
  }
}

function slotGone(slot: string): CodedError {
  const cure =
    "Remove what is left with `twinwire gc --remove`, empty the tables of NEW, and start it again.";
  const what = `The replication slot "${slot}" was gone, and with it what had not been applied yet.`;
  return new CodedError("slot_lost", `${what} ${cure}`);
}
