import type {
  CoverageTotals,
  FingerprintItem,
  MigrationStatus,
  Readiness,
} from "../admin/ports.ts";
import { allPages } from "./admin-client.ts";
import { printJson } from "./command.ts";
import type { Session } from "./command.ts";
import { EXIT } from "./exit.ts";
import { facts, table } from "./table.ts";
import { count, milliseconds, percent, reasons } from "./words.ts";

export async function printStatus({ terminal, client, json, migration }: Session): Promise<number> {
  const status = await client.get<MigrationStatus>(migration);
  if (json) printJson(terminal, status);
  else terminal.out(statusText(status, terminal.columns));
  return EXIT.fine;
}

export async function printFingerprints(session: Session): Promise<number> {
  const { terminal, client, json, migration } = session;
  const path = `${migration}/fingerprints`;
  const items = await allPages<FingerprintItem>(client, path);
  const { totals } = await client.get<{ readonly totals: CoverageTotals }>(`${path}?limit=1`);
  if (json) printJson(terminal, { items, next: null, totals });
  else terminal.out(`${fingerprintsText(items, terminal.columns)}\n${totalsText(totals)}`);
  return EXIT.fine;
}

/** @returns 3 when a guard would refuse a cutover. */
export async function printReadiness(session: Session): Promise<number> {
  const { terminal, client, json, migration } = session;
  const readiness = await client.get<Readiness>(`${migration}/readiness`);
  if (json) printJson(terminal, readiness);
  else terminal.out(readinessText(readiness, terminal.columns));
  return readiness.ready ? EXIT.fine : EXIT.refused;
}

export async function printReport(
  { terminal, client, json, migration }: Session,
  _argument: string | undefined,
  { format }: { readonly format?: string },
): Promise<number> {
  const wanted = format ?? (json ? "json" : "md");
  const report = await client.getText(`${migration}/report?format=${wanted}`);
  terminal.out(report.endsWith("\n") ? report : `${report}\n`);
  return EXIT.fine;
}

function statusText(status: MigrationStatus, width: number): string {
  const { primary, shadow } = status.route;
  const { seen, mirrored, compared, skipped } = status.exchanges;
  const { match, tolerated, divergent, incomparable } = status.verdicts;
  const other = primary === "old" ? "NEW" : "OLD";
  const goBack = status.canGoBack;
  return facts(width, [
    ["migration", status.name],
    ["route", `${primary.toUpperCase()} answers, phase ${status.phase}, epoch ${status.epoch}`],
    ["sessions", count(status.sessions)],
    [
      "shadow",
      shadow.enabled
        ? `${other}, ${shadow.state}, ${percent(shadow.sample, 1)} of the transactions`
        : "switched off",
    ],
    ["exchanges", `${count(seen)} seen, ${count(mirrored)} mirrored, ${count(compared)} compared`],
    ["coverage", `${percent(compared, seen)} compared`],
    ["skipped", reasons(skipped)],
    [
      "verdicts",
      reasons({ match, tolerated, divergent, incomparable }).replaceAll(/, \w+ 0(?=,|$)/g, ""),
    ],
    ["incomparable", reasons(status.incomparable)],
    ["differences", reasons(status.divergences)],
    ["replication", streams(status.replication)],
    ["drifted", status.drifted.join(", ") || "–"],
    ["go back", goBack.ok ? "yes" : `no: ${goBack.reasons.join("; ")}`],
  ]);
}

function streams({ forward, reverse }: MigrationStatus["replication"]): string {
  const one = ({ state, lagMs }: MigrationStatus["replication"]["forward"]): string =>
    lagMs === null ? state : `${state}, ${milliseconds(lagMs)} ms late`;
  return `OLD to NEW ${one(forward)}; NEW to OLD ${one(reverse)}`;
}

function fingerprintsText(items: readonly FingerprintItem[], width: number): string {
  const rows = items.map((item) => [
    count(item.seen),
    percent(item.compared, item.seen),
    count(item.verdicts.divergent),
    `${milliseconds(item.latency.old.p50Ms)}/${milliseconds(item.latency.new.p50Ms)}`,
    item.latency.verdict === "indeterminate" ? "–" : item.latency.verdict,
    item.statement,
    reasons({ ...item.skipped, ...item.incomparable }),
  ]);
  return table(
    [
      { head: "seen", align: "right" },
      { head: "compared", align: "right" },
      { head: "div.", align: "right" },
      { head: "old/new ms", align: "right" },
      { head: "new is" },
      { head: "statement", stretch: true },
      { head: "not compared", stretch: true },
    ],
    rows,
    width,
  );
}

function totalsText({ seen, compared }: CoverageTotals): string {
  return `${percent(compared, seen)} of all ${count(seen)} statements were compared.\n`;
}

function readinessText({ ready, guards }: Readiness, width: number): string {
  const rows = guards.map((guard) => [
    guard.ok ? "ok" : "FAILS",
    guard.name,
    guard.value,
    guard.limit,
    guard.ok ? "" : guard.cure,
  ]);
  const columns = [
    { head: "" },
    { head: "guard" },
    { head: "value", stretch: true },
    { head: "limit" },
    { head: "cure", stretch: true },
  ];
  return `${ready ? "Ready for a cutover." : "Not ready for a cutover."}\n\n${table(columns, rows, width)}`;
}
