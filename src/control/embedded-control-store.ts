import type { Clock } from "../base/clock.ts";
import { CodedError } from "../base/errors.ts";
import type { MigrationRoute, Phase } from "../routing/phase.ts";
import type {
  AttemptDocument,
  ChangeOutcome,
  ControlStore,
  EventDocument,
  Lease,
  LeaseRequest,
  MigrationRecord,
  RecordChange,
} from "./control-store.ts";
import type { EmbeddedDatabase, SqlRow } from "./embedded-database.ts";
import {
  CONTROL_SCHEMA,
  DROP_ALL_LEASES,
  DROP_LEASE,
  INSERT_EVENT,
  INSERT_MIGRATION,
  SELECT_ATTEMPTS,
  SELECT_EVENTS,
  SELECT_MIGRATION,
  TAKE_LEASE,
  TRIM_EVENTS,
  UPDATE_MIGRATION,
  UPSERT_ATTEMPT,
} from "./schema.ts";

/** `eventsKept` is per migration. */
export type ControlStoreDeps = { readonly clock: Clock; readonly eventsKept?: number };

type Listener = (record: MigrationRecord) => void;

/**
 * The control store in the embedded database. Leases of an earlier process are void: owning the
 * folder proves that it is gone.
 */
export async function openControlStore(
  database: EmbeddedDatabase,
  deps: ControlStoreDeps,
): Promise<ControlStore> {
  database.migrate("control", CONTROL_SCHEMA);
  database.run(DROP_ALL_LEASES);
  const listeners = new Map<string, Set<Listener>>();
  const eventsKept = deps.eventsKept ?? 1000;
  return {
    read: async (migration) => readRecord(database, migration),
    compareAndSet: async (change) => {
      const outcome = database.transaction("durable", () => storeChange(database, change));
      if (outcome.kind === "stored") tell(listeners.get(change.migration), outcome.record);
      return outcome;
    },
    watch: (migration, listener, signal) => listen(listeners, migration, listener, signal),
    acquireLease: async (request) => acquireLease(database, deps.clock, request),
    attempts: async (migration, limit) =>
      database
        .all(SELECT_ATTEMPTS, [migration, limit])
        .map((row) => JSON.parse(String(row["document"])) as unknown),
    appendEvent: async (migration, event) =>
      database.transaction("lazy", () => writeEvent(database, migration, event, eventsKept)),
    events: async (migration, limit) =>
      database.all(SELECT_EVENTS, [migration, limit]).map(eventOf),
  };
}

function storeChange(database: EmbeddedDatabase, change: RecordChange): ChangeOutcome {
  const { phase, primary, epoch } = change.route;
  const attempt = change.attempt ?? null;
  const changed =
    change.expectedRevision === 0
      ? database.run(INSERT_MIGRATION, [change.migration, phase, primary, epoch, attempt])
      : database.run(UPDATE_MIGRATION, [
          phase,
          primary,
          epoch,
          attempt,
          change.migration,
          change.expectedRevision,
        ]);
  if (changed === 0) return { kind: "conflict", record: readRecord(database, change.migration) };
  for (const document of change.attempts) writeAttempt(database, document);
  return {
    kind: "stored",
    record: {
      route: change.route,
      attempt: change.attempt,
      revision: change.expectedRevision + 1,
    },
  };
}

function readRecord(database: EmbeddedDatabase, migration: string): MigrationRecord | undefined {
  const row = database.all(SELECT_MIGRATION, [migration])[0];
  if (row === undefined) return undefined;
  const attempt = row["attempt"];
  return {
    route: routeOf(row, migration, database.folder),
    attempt: attempt === null ? undefined : String(attempt),
    revision: Number(row["revision"]),
  };
}

const PHASES: Readonly<Record<Phase, true>> = {
  in_sync: true,
  pausing: true,
  fenced: true,
  drained: true,
  verified: true,
  decided: true,
  on_new: true,
};

/** A route that is not understood is an error, never a guess: it says where the writes go. */
function routeOf(row: SqlRow, migration: string, folder: string): MigrationRoute {
  const phase = row["phase"];
  const primary = row["primary_side"];
  const epoch = row["epoch"];
  if (!isPhase(phase) || (primary !== "old" && primary !== "new") || typeof epoch !== "number") {
    throw new CodedError(
      "store_failed",
      `The store in ${folder} holds a route for ${migration} that is not understood. Restore the folder from a backup.`,
    );
  }
  return { phase, primary, epoch };
}

function isPhase(value: unknown): value is Phase {
  return typeof value === "string" && Object.hasOwn(PHASES, value);
}

function writeAttempt(database: EmbeddedDatabase, attempt: AttemptDocument): void {
  const document = JSON.stringify(attempt);
  database.run(UPSERT_ATTEMPT, [attempt.id, attempt.migration, attempt.startedAt, document]);
}

function writeEvent(
  database: EmbeddedDatabase,
  migration: string,
  event: EventDocument,
  eventsKept: number,
): void {
  database.run(INSERT_EVENT, [migration, event.at, event.type, JSON.stringify(event.detail)]);
  database.run(TRIM_EVENTS, [migration, migration, eventsKept]);
}

function eventOf(row: SqlRow): EventDocument {
  return {
    at: String(row["at"]),
    type: String(row["type"]),
    detail: JSON.parse(String(row["detail"])) as EventDocument["detail"],
  };
}

function acquireLease(
  database: EmbeddedDatabase,
  clock: Clock,
  request: LeaseRequest,
): Lease | undefined {
  const take = (): boolean => {
    const nowMs = Math.trunc(clock.nowMs());
    const expiresAtMs = nowMs + Math.ceil(request.forMs);
    return database.run(TAKE_LEASE, [request.name, request.holder, expiresAtMs, nowMs]) === 1;
  };
  if (!take()) return undefined;
  return {
    renew: async () => take(),
    release: async () => {
      database.run(DROP_LEASE, [request.name, request.holder]);
    },
  };
}

function listen(
  listeners: Map<string, Set<Listener>>,
  migration: string,
  listener: Listener,
  signal: AbortSignal,
): void {
  if (signal.aborted) return;
  const mine = listeners.get(migration) ?? new Set<Listener>();
  listeners.set(migration, mine);
  mine.add(listener);
  signal.addEventListener("abort", () => mine.delete(listener), { once: true });
}

function tell(listeners: ReadonlySet<Listener> | undefined, record: MigrationRecord): void {
  for (const listener of listeners ?? []) listener(record);
}
