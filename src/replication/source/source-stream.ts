import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { AdminTarget } from "../../upstream/admin-client.ts";
import type { DialDeps } from "../../upstream/dial.ts";
import { openReplicationSession } from "../../upstream/replication-session.ts";
import type { ReplicationSession, SystemIdentity } from "../../upstream/replication-session.ts";
import type { FeedSink, ReplicationFeed } from "../../upstream/replication-feed.ts";
import { WorkError } from "../../upstream/work-error.ts";
import { formatPosition } from "../../wire/position.ts";
import type { Lsn } from "../../wire/position.ts";
import type { StreamNames } from "../names.ts";
import { checkSlot, lookAtSlot } from "./slot-state.ts";
import { sourceError } from "./source-error.ts";
import { SourceQueue } from "./source-queue.ts";
import type { SourceStream } from "./source-transaction.ts";
import { quoteLiteral } from "../table-shape.ts";

export type SourceOptions = {
  readonly target: AdminTarget;
  readonly names: StreamNames;
  /** Whose transactions are left out. */
  readonly opposite: StreamNames;
  /** What has been applied: the end of a commit, or where the slot began. */
  readonly from: Lsn;
  /** Have the server leave out all that came from another; loses what a third one replicates to the source. */
  readonly originNone: boolean;
  /** Large transactions come before they end, unless false: the server then keeps them on its own disk. */
  readonly streaming?: boolean | undefined;
  /** Who the source was before, where that is known; without a timeline a failover is taken as it comes. */
  readonly expect?: (Omit<SystemIdentity, "timeline"> & { readonly timeline?: number }) | undefined;
  /** What waits in memory, and where the rest goes. */
  readonly spool: { readonly folder: string; readonly memoryBytes: number };
  readonly connectTimeoutMs: number;
  /** For who still reads from the slot, such as a process just killed; 30 s unless told. */
  readonly slotBusyMs?: number | undefined;
};

export type SourceDeps = DialDeps & { readonly clock: Clock; readonly log: Logger };

export type OpenedSourceStream = SourceStream & { readonly identity: SystemIdentity };

/**
 * Begins to read the source's log where the target stands.
 * @throws CodedError slot_lost, source_changed, not_found without a publication, conflict when another reads from the slot,
 * backend_lost and what else keeps a connection from being made
 */
export async function openSourceStream(
  options: SourceOptions,
  deps: SourceDeps,
): Promise<OpenedSourceStream> {
  const { names, streaming = true } = options;
  const queue = new SourceQueue(options);
  const { feed, identity } = await read(options, deps, queue.sink);
  const reopen = async (from: Lsn): Promise<ReplicationFeed> => {
    const what = "the server failed at a large transaction, which is read once more after its end";
    deps.log.warn({ slot: names.slot }, what);
    const again = { ...options, from, streaming: false, expect: identity };
    return (await read(again, deps, queue.sink)).feed;
  };
  queue.attach(feed, streaming ? reopen : undefined);
  return {
    identity,
    next: () => queue.next(),
    acknowledge: (lsn) => queue.acknowledge(lsn),
    get serverEnd() {
      return queue.serverEnd;
    },
    close: () => queue.close(),
  };
}

async function read(
  options: SourceOptions,
  deps: SourceDeps,
  sink: FeedSink,
): Promise<{ readonly feed: ReplicationFeed; readonly identity: SystemIdentity }> {
  const { slot } = options.names;
  const session = await openReplicationSession(
    options.target,
    { connectTimeoutMs: options.connectTimeoutMs, applicationName: slot },
    deps,
  );
  try {
    const identity = await identify(session, options);
    const acknowledged = await findPlace(session, options);
    const feed = await start(session, options, acknowledged, sink);
    const from = formatPosition({ kind: "lsn", lsn: options.from });
    deps.log.info({ slot, from, processId: session.processId }, "reading the source's log");
    return { feed, identity };
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function identify(
  session: ReplicationSession,
  { expect, from }: SourceOptions,
): Promise<SystemIdentity> {
  const { systemIdentifier, timeline, position } = await session.identifySystem();
  if (expect !== undefined && expect.systemIdentifier !== systemIdentifier) {
    const what = `system identifier ${systemIdentifier} instead of ${expect.systemIdentifier}`;
    throw new CodedError("source_changed", `the source is another server: ${what}`);
  }
  if (expect?.timeline !== undefined && expect.timeline !== timeline) {
    const what = `timeline ${timeline} instead of ${expect.timeline}`;
    throw new CodedError("source_changed", `the source has failed over or was restored: ${what}`);
  }
  if (position < from) {
    const [is, needed] = [position, from].map((lsn) => formatPosition({ kind: "lsn", lsn }));
    const what = `its log ends at ${is}, and ${needed} has been applied already`;
    throw new CodedError("source_changed", `the source has lost what it had: ${what}`);
  }
  return { systemIdentifier, timeline };
}

/** @returns what has been acknowledged before */
async function findPlace(
  session: ReplicationSession,
  { names, target, from }: SourceOptions,
): Promise<Lsn> {
  const { slot } = await lookAtSlot(session.query, names.slot);
  const acknowledged = checkSlot(slot, names.slot, target.database, from);
  const name = quoteLiteral(names.publication);
  const found = await session.query(
    `SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = ${name}`,
  );
  if (found.length === 0) {
    const message = `the publication "${names.publication}" does not exist in the source`;
    throw new CodedError("not_found", message);
  }
  return acknowledged;
}

const SLOT_BUSY_MS = 30_000;
const RETRY_MS = 200;
const OBJECT_IN_USE = "55006";

async function start(
  session: ReplicationSession,
  options: SourceOptions,
  acknowledged: Lsn,
  sink: FeedSink,
): Promise<ReplicationFeed> {
  const { slot, publication } = options.names;
  const { from, originNone, streaming = true, slotBusyMs = SLOT_BUSY_MS } = options;
  for (let left = slotBusyMs; ; left -= RETRY_MS) {
    try {
      const place = { slot, publication, from, acknowledged };
      return await session.start({ ...place, originNone, streaming }, sink);
    } catch (error) {
      const isBusy = error instanceof WorkError && error.sqlstate === OBJECT_IN_USE;
      if (!isBusy) throw sourceError(error, slot);
      if (left <= 0) {
        const message = `another process reads from the replication slot "${slot}"`;
        throw new CodedError("conflict", message, { cause: error });
      }
      await delay(RETRY_MS);
    }
  }
}
