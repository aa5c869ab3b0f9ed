/** A stream that copies and applies, put together from its parts, with an applier that knows nothing but the order. */
import { randomBytes } from "node:crypto";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import type { Logger } from "../../src/base/logger.ts";
import type { AdminTarget } from "../../src/upstream/admin-client.ts";
import { openReplicationSession } from "../../src/upstream/replication-session.ts";
import { openWorkSession } from "../../src/upstream/work-session.ts";
import type { WorkSession } from "../../src/upstream/work-session.ts";
import { initProgress } from "../../src/replication/apply/progress.ts";
import { openRowWriter } from "../../src/replication/apply/write-rows.ts";
import { compileMapping } from "../../src/replication/mapping/compile-mapping.ts";
import type { MappedTable } from "../../src/replication/mapping/mapping-input.ts";
import type { RowProgram } from "../../src/replication/mapping/row-program.ts";
import { streamNames } from "../../src/replication/names.ts";
import { OWN_SCHEMA_SQL } from "../../src/replication/own-schema.ts";
import { asking, readTableShapes } from "../../src/replication/read-shapes.ts";
import { copyTables } from "../../src/replication/snapshot/copy-tables.ts";
import type { TableCopy } from "../../src/replication/snapshot/copy-tables.ts";
import { openThrottle } from "../../src/replication/snapshot/copy-throttle.ts";
import { OpenChunkRouter } from "../../src/replication/snapshot/open-chunk-router.ts";
import { openCopyState } from "../../src/replication/snapshot/open-copy-state.ts";
import type { CopyState } from "../../src/replication/snapshot/open-copy-state.ts";
import { ensurePublication } from "../../src/replication/source/publication.ts";
import { ensureSlot } from "../../src/replication/source/slot.ts";
import { openSourceStream } from "../../src/replication/source/source-stream.ts";
import { expandTables } from "../../src/replication/table-patterns.ts";
import { tableKey } from "../../src/replication/table-shape.ts";
import { SerialApplier } from "./serial-applier.ts";
import { NO_TLS } from "../upstream/no-tls.ts";

export type CopyingOptions = {
  readonly source: string;
  readonly target: string;
  readonly folder: string;
  readonly patterns: readonly string[];
  readonly mapped?: readonly MappedTable[];
  readonly epoch?: number;
  readonly copiers?: number;
  readonly chunkBytes?: number;
  readonly bytesPerSecond?: number | undefined;
  readonly deferredBytes?: number;
  readonly logger?: Logger;
};

export type Copying = {
  readonly state: CopyState;
  readonly router: OpenChunkRouter;
  readonly applier: SerialApplier;
  readonly copy: TableCopy;
  readonly programs: readonly RowProgram[];
  /** Copies, and applies beside it, until the router is settled. */
  settle(): Promise<void>;
  /** Until all that the source has committed by now is applied. */
  catchUp(): Promise<void>;
  close(): Promise<void>;
};

const NAMES = streamNames("m", "forward");
const OPPOSITE = streamNames("m", "reverse");
const DIAL = { random: randomBytes, clock: systemClock };

export async function openCopying(options: CopyingOptions): Promise<Copying> {
  const { epoch = 1, copiers = 2, chunkBytes = 65_536, logger = silentLogger } = options;
  const openSource = (): Promise<WorkSession> => openWork(options.source);
  const openTarget = async (): Promise<WorkSession> => {
    const session = await openWork(options.target);
    await session.execute("SET session_replication_role = replica");
    return session;
  };
  const [source, target] = [await openSource(), await openTarget()];
  await source.execute(OWN_SCHEMA_SQL);
  await target.execute(OWN_SCHEMA_SQL);
  const programs = await compile(source, target, options);
  await ensurePublication(
    source,
    NAMES,
    programs.map((program) => program.source),
  );
  const replication = await openReplicationSession(
    targetOf(options.source),
    { connectTimeoutMs: 20_000, applicationName: "test" },
    DIAL,
  );
  const slot = await ensureSlot(replication, NAMES, { lockTimeoutMs: 20_000 });
  await replication.close();
  const key = { stream: NAMES.stream, worker: 0 };
  const progress = await initProgress(target, key, {
    epoch: BigInt(epoch),
    position: slot.position,
  });
  const state = await openCopyState({
    stream: NAMES.stream,
    epoch: BigInt(epoch),
    copiers,
    programs,
    openTarget,
    position: () => applier.position,
    deferred: { maxBytes: options.deferredBytes ?? 1_000_000, folder: options.folder },
  });
  const router = new OpenChunkRouter({ state, openSource });
  const stream = await openSourceStream(
    {
      target: targetOf(options.source),
      names: NAMES,
      opposite: OPPOSITE,
      from: progress.position,
      originNone: false,
      spool: { folder: options.folder, memoryBytes: 1_000_000 },
      connectTimeoutMs: 20_000,
    },
    { ...DIAL, log: logger },
  );
  const writeRows = openRowWriter();
  const applier: SerialApplier = new SerialApplier({
    stream,
    session: target,
    router,
    writeRows,
    programs,
    key,
    epoch: BigInt(epoch),
    position: progress.position,
  });
  const throttle = openThrottle(systemClock, options.bytesPerSecond);
  const copy = copyTables({
    state,
    openSource,
    openTarget,
    applier,
    writeRows,
    throttle,
    chunkBytes,
    logger,
    clock: systemClock,
    random: Math.random,
  });
  const stop = new AbortController();
  let copied: Promise<void> | undefined;
  return {
    state,
    router,
    applier,
    copy,
    programs,
    settle: async () => {
      copied = copy.run(stop.signal);
      await Promise.race([copied, applier.failed]);
    },
    catchUp: async () => {
      const { rows } = await source.query({ sql: "select pg_current_wal_insert_lsn()" });
      await Promise.race([applier.reached(rows[0]?.[0] ?? ""), applier.failed]);
    },
    close: async () => {
      stop.abort();
      await copied?.catch(() => {});
      await stream.close();
      await applier.ended;
      await router.close();
      await state.close();
      await Promise.all([source.close(), target.close()]);
    },
  };
}

async function compile(
  source: WorkSession,
  target: WorkSession,
  { patterns, mapped = [] }: CopyingOptions,
): Promise<readonly RowProgram[]> {
  const names = await expandTables(asking(source), patterns);
  const sources = await readTableShapes(asking(source), names);
  const targets = await readTableShapes(
    asking(target),
    await expandTables(asking(target), ["*.*"]),
  );
  const { tables, problems } = compileMapping({ tables: mapped, schemas: [] }, sources, targets);
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  return tables
    .map(({ forward }) => forward)
    .toSorted((one, other) => (tableKey(one.source) < tableKey(other.source) ? -1 : 1));
}

function openWork(url: string): Promise<WorkSession> {
  const options = { connectTimeoutMs: 20_000, applicationName: "twinwire" };
  return openWorkSession(targetOf(url), options, DIAL);
}

function targetOf(url: string): AdminTarget {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    host: hostname,
    port: Number(port),
    tls: NO_TLS,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
  };
}
