import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { systemClock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Config } from "../../config/config.ts";
import { openControlStore } from "../../control/embedded-control-store.ts";
import { openEmbeddedDatabase } from "../../control/embedded-database.ts";
import { openReplicationRecord } from "../../control/replication-record.ts";
import { openVerificationRecord } from "../../control/verification-record.ts";
import { storeSecret } from "../../control/store-secret.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import { openLeanAnalyser } from "./lean-analyser.ts";
import { showMigration } from "./migration-metrics.ts";
import { openMigrationRecord } from "./migration-record.ts";
import type { Migration } from "./open-migration.ts";
import { openMigration } from "./open-migration.ts";

/** All migrations of a process, over one store. */
export type OpenMigrations = {
  readonly all: readonly Migration[];
  /** Why traffic should not be sent here. */
  notReady(): readonly string[];
  /** Takes over what can change while sessions run. */
  reload(config: Config): void;
  drain(deadlineMs: number, giveUp: AbortSignal): Promise<void>;
  close(): Promise<void>;
};

export async function openMigrations(
  config: Config,
  metrics: Metrics,
  log: Logger,
): Promise<OpenMigrations> {
  const database = openEmbeddedDatabase(config.store.path);
  const all: Migration[] = [];
  const close = async (): Promise<void> => {
    for (const migration of all) migration.listener.stop();
    await Promise.allSettled(all.map((migration) => migration.close()));
    database.close();
  };
  try {
    const clock = systemClock;
    const control = await openControlStore(database, { clock });
    const analyser = await openLeanAnalyser();
    const loginSecret = storeSecret(database, "login", randomBytes);
    let session = 0;
    for (const migrationConfig of config.migrations) {
      const migration = await openMigration(migrationConfig, {
        clock,
        log,
        analyser,
        control,
        openRecord: (settings) =>
          openMigrationRecord(settings, { clock, database, control, log, analyser }),
        openReplicationRecord: (name) => openReplicationRecord(database, name),
        openVerificationRecord: (name) => openVerificationRecord(database, name),
        replicationFolder: join(config.store.path, "replication"),
        nextSession: () => ++session,
        loginSecret,
      });
      all.push(migration);
      showMigration(metrics, migration);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    all,
    close,
    notReady: () => all.flatMap(whyNotReady),
    reload(next) {
      for (const migration of all) {
        const changed = next.migrations.find(({ name }) => name === migration.name);
        if (changed !== undefined) migration.reload(changed);
      }
    },
    async drain(deadlineMs, giveUp) {
      await Promise.all(all.map((migration) => migration.drain(deadlineMs, giveUp)));
    },
  };
}

function whyNotReady(migration: Migration): readonly string[] {
  const { primary } = migration.conductor.route();
  const { reachable, detail } = migration.catalogues.reachable(primary);
  return reachable
    ? []
    : [`${migration.name}: the primary (${primary}) cannot be reached: ${detail}`];
}
