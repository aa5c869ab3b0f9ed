import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { EmbeddedDatabase } from "../control/embedded-database.ts";
import { type CoverageEntry, savedCounters, sumOf } from "./coverage-table.ts";
import type { Group } from "./groups.ts";
import type { KeptExchanges } from "./kept-exchanges.ts";
import type { MadeRules } from "./made-rules.ts";
import { savedExchange } from "./recorded-exchange.ts";
import { UPSERT_COVERAGE, UPSERT_DIVERGENCE, UPSERT_EXCHANGE, UPSERT_RULE_USE } from "./schema.ts";
import { savedStanding } from "./standing.ts";

type StoreDeps = {
  readonly migration: string;
  readonly database: EmbeddedDatabase;
  readonly clock: Clock;
  readonly log: Logger;
  readonly flushEveryMs?: number;
};

const FLUSH_EVERY_MS = 1000;
/** Rows written in one go, about a millisecond's worth; then the event loop turns. */
const ROWS_AT_ONCE = 50;

/** One row to be written. `done` is called once it is. */
export type Row = {
  readonly sql: string;
  readonly parameters: () => readonly (string | number | null)[];
  readonly done: () => void;
};

export function changedCoverage(entries: Iterable<CoverageEntry>): readonly Row[] {
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

export function changedGroups(groups: Iterable<Group>): readonly Row[] {
  const rows: Row[] = [];
  for (const group of groups) {
    const { revision } = group;
    if (revision === group.storedRevision) continue;
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
        savedStanding(group.standing),
      ],
      done: () => {
        group.storedRevision = revision;
      },
    });
  }
  return rows;
}

export function newExchanges(kept: KeptExchanges): readonly Row[] {
  return kept.unstored().map(([id, exchange]) => ({
    sql: UPSERT_EXCHANGE,
    parameters: () => [id, savedExchange(exchange)],
    done: () => kept.stored(id, exchange),
  }));
}

export function changedUses(rules: MadeRules): readonly Row[] {
  return rules.unstored().map(({ name, applied }) => ({
    sql: UPSERT_RULE_USE,
    parameters: () => [name, applied],
    done: () => rules.stored(name, applied),
  }));
}

export function writeRows({ database, migration }: StoreDeps, rows: readonly Row[]): void {
  if (rows.length === 0) return;
  database.transaction("lazy", () => {
    for (const row of rows) database.run(row.sql, [migration, ...row.parameters()]);
  });
  for (const row of rows) row.done();
}

/** @returns what stops it. A store that fails is complained about once, until it works again. */
export function flushNowAndThen(
  { log, migration, flushEveryMs = FLUSH_EVERY_MS }: StoreDeps,
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
