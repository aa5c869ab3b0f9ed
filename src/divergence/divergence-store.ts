import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { EmbeddedDatabase, SqlRow } from "../control/embedded-database.ts";
import { storeSecret } from "../control/store-secret.ts";
import {
  type CoverageEntry,
  fingerprintItem,
  openCoverageTable,
  savedCounters,
  sumOf,
  totalsOf,
} from "./coverage-table.ts";
import { byGravity, divergenceItem, type Group, openGroups } from "./groups.ts";
import type {
  CoverageTotals,
  DivergenceItem,
  DivergenceSample,
  DriftedTable,
  FingerprintItem,
  Page,
  PageRequest,
} from "./items.ts";
import { openMask } from "./mask.ts";
import { pageOf } from "./page.ts";
import type { Recorder } from "./recorder.ts";
import {
  DIVERGENCE_SCHEMA,
  INSERT_DRIFTED,
  SELECT_COVERAGE,
  SELECT_DIVERGENCES,
  SELECT_DRIFTED,
  UPSERT_COVERAGE,
  UPSERT_DIVERGENCE,
} from "./schema.ts";

/** What is known of a migration's answers: counted in memory, kept in the embedded store. */
export type DivergenceStore = Recorder & {
  /** The gravest first. */
  divergences(page: PageRequest): Page<DivergenceItem>;
  divergence(id: string): DivergenceItem | undefined;
  divergenceCount(): number;
  /** The most frequent first. */
  fingerprints(page: PageRequest): Page<FingerprintItem>;
  totals(): CoverageTotals;
  drifted(): readonly DriftedTable[];
  /** On the disk when it returns: a table that drifted must not look sound after a crash. */
  saveDrifted(table: string, reason: string): void;
  /** Stores everything that changed. @throws {CodedError} `store_failed`. */
  flush(): void;
  /** Stores the rest and stops the timer. The database stays open. */
  close(): void;
};

export type DivergenceStoreDeps = {
  readonly migration: string;
  readonly database: EmbeddedDatabase;
  readonly clock: Clock;
  readonly log: Logger;
  /** For the key of the masks, made once for a store. */
  readonly randomBytes: (size: number) => Uint8Array;
  readonly samples: { readonly perDivergence: number; readonly reveal: readonly string[] };
  /** Called with each divergence when it is seen for the first time. */
  readonly onDivergence?: (item: DivergenceItem) => void;
  readonly maxFingerprints?: number;
  readonly maxDivergences?: number;
  readonly flushEveryMs?: number;
};

const MAX_FINGERPRINTS = 5000;
const MAX_DIVERGENCES = 1000;
const FLUSH_EVERY_MS = 1000;
/** Rows written in one go, about a millisecond's worth; then the event loop turns. */
const ROWS_AT_ONCE = 50;

/**
 * Loads what the store holds of the migration and begins to count.
 *
 * @throws {CodedError} `store_failed`.
 */
export function openDivergenceStore(deps: DivergenceStoreDeps): DivergenceStore {
  const { migration, database } = deps;
  database.migrate("divergence", DIVERGENCE_SCHEMA);
  const coverage = openCoverageTable(deps.maxFingerprints ?? MAX_FINGERPRINTS);
  const groups = openGroups({
    migration,
    rules: {
      mask: openMask(storeSecret(database, "mask", deps.randomBytes)),
      reveal: new Set(deps.samples.reveal.map((column) => column.toLowerCase())),
    },
    samplesPerDivergence: deps.samples.perDivergence,
    maxGroups: deps.maxDivergences ?? MAX_DIVERGENCES,
  });
  for (const row of database.all(SELECT_COVERAGE, [migration])) {
    coverage.restore(String(row["fingerprint"]), String(row["statement"]), String(row["counters"]));
  }
  for (const row of database.all(SELECT_DIVERGENCES, [migration])) groups.restore(groupOf(row));

  const changed = (): readonly Row[] => [
    ...changedCoverage(coverage.entries()),
    ...changedGroups(groups.all()),
  ];
  const write = (rows: readonly Row[]): void => writeRows(deps, rows);
  const stop = flushNowAndThen(deps, changed, write);
  const entries = (): CoverageEntry[] =>
    [...coverage.entries()].sort((a, b) => b.coverage.seen - a.coverage.seen);
  return {
    coverage: (statement) => coverage.of(statement),
    divergent(occurrence) {
      const { group, isNew } = groups.add(occurrence);
      if (isNew) deps.onDivergence?.(divergenceItem(group));
    },
    unsettled() {},
    isConfirmed: () => false,
    wantsPlans: () => false,
    plans() {},
    divergences(page) {
      const { items, next } = pageOf([...groups.all()].sort(byGravity), page, ({ id }) => id);
      return { items: items.map(divergenceItem), next };
    },
    divergence(id) {
      for (const group of groups.all()) if (group.id === id) return divergenceItem(group);
      return undefined;
    },
    divergenceCount: () => groups.size,
    fingerprints(page) {
      const { items, next } = pageOf(entries(), page, ({ fingerprint }) => fingerprint);
      return { items: items.map(fingerprintItem), next };
    },
    totals: () => totalsOf(coverage.entries()),
    drifted: () => database.all(SELECT_DRIFTED, [migration]).map(driftedOf),
    saveDrifted: (table, reason) =>
      database.transaction("durable", () => {
        database.run(INSERT_DRIFTED, [migration, table, Math.trunc(deps.clock.nowMs()), reason]);
      }),
    flush: () => write(changed()),
    close(): void {
      stop();
      write(changed());
    },
  };
}

/** One row to be written. `done` is called once it is. */
type Row = {
  readonly sql: string;
  readonly parameters: () => readonly (string | number | null)[];
  readonly done: () => void;
};

function changedCoverage(entries: Iterable<CoverageEntry>): readonly Row[] {
  const rows: Row[] = [];
  for (const entry of entries) {
    const sum = sumOf(entry);
    if (sum === entry.storedSum) continue;
    rows.push({
      sql: UPSERT_COVERAGE,
      parameters: () => [entry.fingerprint, entry.statement, savedCounters(entry)],
      done: () => {
        entry.storedSum = sum;
      },
    });
  }
  return rows;
}

function changedGroups(groups: Iterable<Group>): readonly Row[] {
  const rows: Row[] = [];
  for (const group of groups) {
    const { count } = group;
    if (count === group.storedCount) continue;
    rows.push({
      sql: UPSERT_DIVERGENCE,
      parameters: () => [
        group.id,
        group.fingerprint,
        group.statement,
        group.reason,
        group.column ?? null,
        group.explanation,
        group.count,
        Math.trunc(group.firstSeenMs),
        Math.trunc(group.lastSeenMs),
        JSON.stringify(group.samples),
      ],
      done: () => {
        group.storedCount = count;
      },
    });
  }
  return rows;
}

function writeRows({ database, migration }: DivergenceStoreDeps, rows: readonly Row[]): void {
  if (rows.length === 0) return;
  database.transaction("lazy", () => {
    for (const row of rows) database.run(row.sql, [migration, ...row.parameters()]);
  });
  for (const row of rows) row.done();
}

/** @returns what stops it. A store that fails is complained about once, until it works again. */
function flushNowAndThen(
  { log, migration, flushEveryMs = FLUSH_EVERY_MS }: DivergenceStoreDeps,
  changed: () => readonly Row[],
  write: (rows: readonly Row[]) => void,
): () => void {
  let stopped = false;
  let failing = false;
  let pending: readonly Row[] = [];
  const writeSome = (): void => {
    if (stopped) return;
    try {
      write(pending.slice(0, ROWS_AT_ONCE));
      pending = pending.slice(ROWS_AT_ONCE);
      failing = false;
    } catch (error) {
      pending = [];
      if (!failing) log.error({ migration, error: messageOf(error) }, "counters were not stored");
      failing = true;
    }
    if (pending.length > 0) setImmediate(writeSome);
  };
  const timer = setInterval(() => {
    if (pending.length > 0) return;
    pending = changed();
    if (pending.length > 0) writeSome();
  }, flushEveryMs);
  timer.unref();
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}

function groupOf(row: SqlRow): Group {
  const column = row["column_name"];
  const count = Number(row["count"]);
  return {
    id: String(row["id"]),
    fingerprint: String(row["fingerprint"]),
    statement: String(row["statement"]),
    reason: String(row["reason"]),
    column: typeof column === "string" ? column : undefined,
    explanation: String(row["explanation"]),
    count,
    firstSeenMs: Number(row["first_seen_ms"]),
    lastSeenMs: Number(row["last_seen_ms"]),
    samples: JSON.parse(String(row["samples"])) as readonly DivergenceSample[],
    storedCount: count,
  };
}

function driftedOf(row: SqlRow): DriftedTable {
  return {
    table: String(row["name"]),
    since: new Date(Number(row["since_ms"])).toISOString(),
    reason: String(row["reason"]),
  };
}
