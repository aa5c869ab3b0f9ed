import { randomBytes } from "node:crypto";
import type { MigrationEvent } from "../../admin/ports.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { ControlStore } from "../../control/control-store.ts";
import type { EmbeddedDatabase } from "../../control/embedded-database.ts";
import type { OwedTables } from "../../control/owed-tables.ts";
import { openOwedTables } from "../../control/owed-tables.ts";
import type { DivergenceStore } from "../../divergence/divergence-store.ts";
import { openDivergenceStore } from "../../divergence/divergence-store.ts";
import type { DriftedTables } from "../../mirror/drifted-tables.ts";
import { openDriftedTables } from "../../mirror/drifted-tables.ts";
import type { Analyser } from "../../sql/analyser.ts";
import type { MigrationSettings } from "./migration-settings.ts";
import { statementsOf } from "./recorded-statements.ts";

/** What is written down about one migration: verdicts, divergences, drift and events. */
export type MigrationRecord = {
  readonly verdicts: DivergenceStore;
  readonly drifted: DriftedTables;
  readonly owed: OwedTables;
  /** Stores an event and tells whoever watches. */
  publish(event: MigrationEvent): void;
  /** Tells whoever watches of an event that is stored already. */
  announce(event: MigrationEvent): void;
  watch(listener: (event: MigrationEvent) => void, signal: AbortSignal): void;
  /** Writes what is still in memory. */
  close(): void;
};

type RecordDeps = {
  readonly clock: Clock;
  readonly database: EmbeddedDatabase;
  readonly control: ControlStore;
  readonly log: Logger;
  readonly analyser: Analyser;
};

export function openMigrationRecord(
  settings: MigrationSettings,
  { clock, database, control, log, analyser }: RecordDeps,
): MigrationRecord {
  const { name, compare } = settings.config();
  const listeners = new Set<(event: MigrationEvent) => void>();
  const announce = (event: MigrationEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const publish = (event: MigrationEvent): void => {
    announce(event);
    control.appendEvent(name, event).catch((error: unknown) => {
      log.error({ migration: name, error: messageOf(error) }, "an event was not stored");
    });
  };
  const now = (): string => new Date(clock.nowMs()).toISOString();
  const verdicts = openDivergenceStore({
    migration: name,
    database,
    clock,
    log,
    randomBytes,
    samples: compare.samples,
    analyse: (exchange) => statementsOf(exchange, analyser),
    onDivergence: ({ id, fingerprint, reason, column = null }) =>
      publish({ at: now(), type: "divergence", detail: { id, fingerprint, reason, column } }),
  });
  const drifted = openDriftedTables(
    verdicts.drifted().map(({ table }) => table),
    (table, reason) => {
      verdicts.saveDrifted(table, reason);
      log.warn({ migration: name, table, reason }, "a table has drifted");
    },
  );
  const owed = openOwedTables(database, name);
  if (owed.left.length > 0) {
    drifted.add(owed.left, "Twinwire ended before it had repeated every write on the shadow");
    owed.clear();
  }
  return {
    verdicts,
    drifted,
    owed,
    publish,
    announce,
    watch(listener, signal) {
      listeners.add(listener);
      signal.addEventListener("abort", () => listeners.delete(listener), { once: true });
    },
    close: () => closeStore(verdicts, name, log),
  };
}

function closeStore(verdicts: DivergenceStore, migration: string, log: Logger): void {
  try {
    verdicts.close();
  } catch (error) {
    log.error({ migration, error: messageOf(error) }, "the last counters were not stored");
  }
}
