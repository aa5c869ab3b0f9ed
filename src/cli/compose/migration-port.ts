import type { AttemptItem, MigrationPort, VerbOutcome } from "../../admin/ports.ts";
import type { Clock } from "../../base/clock.ts";
import type { VerbOutcome as ConductorOutcome } from "../../cutover/conductor.ts";
import { readiness } from "../../cutover/readiness.ts";
import { migrationReport } from "./migration-report.ts";
import { readinessFacts, shadowState, statusOf } from "./migration-status.ts";
import type { Migration } from "./open-migration.ts";

/** One migration as the admin API sees it. */
export function migrationPort(migration: Migration, clock: Clock): MigrationPort {
  const { name, conductor, record, settings } = migration;
  return {
    name,
    status: () => statusOf(migration),
    switchTo: async (primary, verb) => inApiShape(await conductor.switchTo(primary, verb)),
    abort: async () => inApiShape(await conductor.abort()),
    setShadow(change) {
      settings.setShadow(change);
      const { enabled, sample } = settings.shadow();
      const status = { enabled, sample, state: shadowState(migration) };
      record.publish({
        at: new Date(clock.nowMs()).toISOString(),
        type: "shadow",
        detail: status,
      });
      return status;
    },
    divergences: (page) => record.verdicts.divergences(page),
    divergence: (id) => record.verdicts.divergence(id),
    fingerprints: (page) => record.verdicts.fingerprints(page),
    readiness: () => readiness(readinessFacts(migration)),
    attempts: () => conductor.attempts(),
    attempt: (id): AttemptItem | undefined => conductor.attempt(id),
    report: (format) => migrationReport(migration, clock, format),
    watch: (listener, signal) => record.watch(listener, signal),
  };
}

function inApiShape(outcome: ConductorOutcome): VerbOutcome {
  return outcome;
}
