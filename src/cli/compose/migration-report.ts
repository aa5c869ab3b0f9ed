import type { Clock } from "../../base/clock.ts";
import type { ReportData } from "../../divergence/report-data.ts";
import { renderReport } from "../../divergence/report.ts";
import { SKIP_REASONS } from "../../routing/skip-reason.ts";
import { shadowState } from "./migration-status.ts";
import type { Migration } from "./open-migration.ts";
import { verificationItem } from "./verification-port.ts";

const MOST_ITEMS = 10_000;

/** All that is known of a migration, as a document. */
export function migrationReport(
  migration: Migration,
  clock: Clock,
  format: "json" | "md" | "html",
): string {
  const { name, conductor, record, rules, settings } = migration;
  const { phase, primary, epoch } = conductor.route();
  const { enabled, sample } = settings.shadow();
  const everything = { after: undefined, limit: MOST_ITEMS };
  const { differences: _rows, ...verification } = verificationItem(migration.replicator);
  const data: ReportData = {
    migration: name,
    generatedAt: new Date(clock.nowMs()).toISOString(),
    route: { phase, primary, epoch },
    shadow: { enabled, sample, state: shadowState(migration) },
    totals: record.verdicts.totals(),
    divergences: record.verdicts.divergences(everything).items,
    unsettled: record.verdicts.divergences(everything, "unsettled").items,
    setAside: [
      ...record.verdicts.divergences(everything, "ruled").items,
      ...record.verdicts.divergences(everything, "closed").items,
    ],
    rules: rules.list(),
    fingerprints: record.verdicts.fingerprints(everything).items,
    drifted: record.verdicts.drifted(),
    attempts: conductor.attempts(),
    verification,
    skipReasons: SKIP_REASONS,
  };
  return renderReport(data, format);
}
