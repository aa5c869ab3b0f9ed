import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { ReplicationRecord } from "../../control/replication-record.ts";
import type { VerificationRecord } from "../../control/verification-record.ts";
import { BudgetGuard } from "../replication/budget-guard.ts";
import { openReplicator } from "../replication/supervisor.ts";
import type { Replicator } from "../replication/supervisor.ts";
import type { MigrationRecord } from "./migration-record.ts";
import type { MigrationSettings } from "./migration-settings.ts";
import type { Upstreams } from "./upstreams.ts";

/** Replication that Twinwire does itself, and what watches over it. */
export type ManagedReplication = {
  readonly replicator: Replicator;
  close(): Promise<void>;
};

type ReplicationParts = {
  readonly log: Logger;
  readonly clock: Clock;
  readonly openReplicationRecord: (migration: string) => ReplicationRecord;
  readonly openVerificationRecord: (migration: string) => VerificationRecord;
  /** Where it keeps what does not fit in memory. */
  readonly replicationFolder: string;
};

/** @returns undefined where someone else replicates */
export function openReplication(
  settings: MigrationSettings,
  {
    log,
    clock,
    openReplicationRecord,
    openVerificationRecord,
    replicationFolder,
  }: ReplicationParts,
  {
    record: events,
    upstreams,
  }: { readonly record: MigrationRecord; readonly upstreams: Upstreams },
): ManagedReplication | undefined {
  const { name, replication } = settings.config();
  if (!replication.managed) return undefined;
  const record = openReplicationRecord(name);
  const replicator = openReplicator({
    record,
    verified: openVerificationRecord(name),
    log,
    clock,
    random: Math.random,
    begin: (epoch) => ({
      kind: "begin",
      config: settings.config(),
      epoch,
      folder: join(replicationFolder, name),
    }),
    warnings: () => guard.warnings,
    onEvent: (detail) =>
      events.publish({ at: new Date(clock.nowMs()).toISOString(), type: "replication", detail }),
  });
  const guard = new BudgetGuard({
    migration: name,
    clock,
    log,
    record,
    ask: (side) => (sql, values) => upstreams.ask(side, sql, values ?? []),
    budgetBytes: () => settings.config().replication.walBudgetBytes,
    isRunning: () => RUNNING.has(replicator.state.phase),
    fail: (reason) => replicator.fail(reason),
  });
  return {
    replicator,
    close: async () => {
      guard.close();
      await replicator.close();
    },
  };
}

/** In other phases a slot may be missing because it is about to be made; the run itself sees when it is not. */
const RUNNING: ReadonlySet<string> = new Set(["copying", "catching_up", "streaming"]);
