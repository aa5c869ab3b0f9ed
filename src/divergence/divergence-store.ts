import type { Logger } from "../base/logger.ts";
import type { SqlRow } from "../control/embedded-database.ts";
import {
  type CoverageEntry,
  fingerprintItem,
  isDegraded,
  openCoverageTable,
  totalsOf,
  wantsPlans,
} from "./coverage-table.ts";
import { type Differences, type DifferencesDeps, openDifferences } from "./differences.ts";
import type { CoverageTotals, DriftedTable, FingerprintItem, Page, PageRequest } from "./items.ts";
import { type MadeRules, openMadeRules } from "./made-rules.ts";
import { pageOf } from "./page.ts";
import type { Recorder } from "./recorder.ts";
import { DIVERGENCE_SCHEMA, INSERT_DRIFTED, SELECT_COVERAGE, SELECT_DRIFTED } from "./schema.ts";
import {
  changedCoverage,
  changedGroups,
  changedUses,
  flushNowAndThen,
  newExchanges,
  type Row,
  writeRows,
} from "./stored-rows.ts";

/** What is known of a migration's answers: counted in memory, kept in the embedded store. */
export type DivergenceStore = Recorder &
  Differences & {
    readonly madeRules: MadeRules;
    /** The most frequent first. */
    fingerprints(page: PageRequest): Page<FingerprintItem>;
    /** How many fingerprints are slower on NEW. */
    degradedCount(): number;
    totals(): CoverageTotals;
    drifted(): readonly DriftedTable[];
    /** On the disk when it returns: a table that drifted must not look sound after a crash. */
    saveDrifted(table: string, reason: string): void;
    /** Stores everything that changed. @throws {CodedError} `store_failed`. */
    flush(): void;
    /** Stores the rest and stops the timer. The database stays open. */
    close(): void;
  };

export type DivergenceStoreDeps = DifferencesDeps & {
  readonly log: Logger;
  readonly maxFingerprints?: number;
  readonly flushEveryMs?: number;
};

const MAX_FINGERPRINTS = 5000;

/**
 * Loads what the store holds of the migration and begins to count.
 *
 * @throws {CodedError} `store_failed`.
 */
export function openDivergenceStore(deps: DivergenceStoreDeps): DivergenceStore {
  const { migration, database, clock } = deps;
  database.migrate("divergence", DIVERGENCE_SCHEMA);
  const coverage = openCoverageTable(deps.maxFingerprints ?? MAX_FINGERPRINTS);
  const madeRules = openMadeRules(database, migration);
  for (const row of database.all(SELECT_COVERAGE, [migration])) {
    coverage.restore(String(row["fingerprint"]), String(row["statement"]), String(row["counters"]));
  }
  const { groups, kept, differences } = openDifferences(deps);

  const changed = (): readonly Row[] => [
    ...changedCoverage(coverage.entries()),
    ...changedGroups(groups.all()),
    ...newExchanges(kept),
    ...changedUses(madeRules),
  ];
  const write = (rows: readonly Row[]): void => writeRows(deps, rows);
  const stop = flushNowAndThen(deps, changed, write);
  const entries = (): CoverageEntry[] =>
    [...coverage.entries()].sort((a, b) => b.coverage.seen - a.coverage.seen);
  return {
    ...differences,
    coverage: (statement) => coverage.of(statement),
    wantsPlans: (statement, atMs) => wantsPlans(coverage.entry(statement.fingerprint), atMs),
    plans(statement, plans) {
      const entry = coverage.entry(statement.fingerprint);
      if (entry !== undefined) entry.plans = plans;
    },
    madeRules,
    fingerprints(page) {
      const { items, next } = pageOf(entries(), page, ({ fingerprint }) => fingerprint);
      return { items: items.map(fingerprintItem), next };
    },
    degradedCount() {
      let count = 0;
      for (const entry of coverage.entries()) if (isDegraded(entry)) count++;
      return count;
    },
    totals: () => totalsOf(coverage.entries()),
    drifted: () => database.all(SELECT_DRIFTED, [migration]).map(driftedOf),
    saveDrifted: (table, reason) =>
      database.transaction("durable", () => {
        database.run(INSERT_DRIFTED, [migration, table, Math.trunc(clock.nowMs()), reason]);
      }),
    flush: () => write(changed()),
    close(): void {
      stop();
      write(changed());
    },
  };
}

function driftedOf(row: SqlRow): DriftedTable {
  return {
    table: String(row["name"]),
    since: new Date(Number(row["since_ms"])).toISOString(),
    reason: String(row["reason"]),
  };
}
