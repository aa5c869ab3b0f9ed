import type {
  DivergenceItem,
  FingerprintItem,
  MigrationStatus,
  Page,
  Readiness,
} from "../admin/ports.ts";
import type { AdminClient } from "./admin-client.ts";
import { printJson } from "./command.ts";
import type { Session } from "./command.ts";
import { EXIT } from "./exit.ts";
import { table, wrap } from "./table.ts";
import { count, instant, milliseconds, percent, reasons } from "./words.ts";

export async function printStatus({ terminal, client, json, migration }: Session): Promise<number> {
  const status = await client.get<MigrationStatus>(migration);
  if (json) printJson(terminal, status);
  else terminal.out(statusText(status, terminal.columns));
  return EXIT.fine;
}

/** @returns 4 when there are divergences, so that a pipeline can stop at them. */
export async function printDivergences(
  { terminal, client, json, migration }: Session,
  id: string | undefined,
): Promise<number> {
  if (id !== undefined) {
    const item = await client.get<DivergenceItem>(
      `${migration}/divergences/${encodeURIComponent(id)}`,
    );
    if (json) printJson(terminal, item);
    else terminal.out(divergenceText(item, terminal.columns));
    return EXIT.fine;
  }
  const items = await allPages<DivergenceItem>(client, `${migration}/divergences`);
  if (json) printJson(terminal, { items, next: null });
  else terminal.out(divergencesText(items, terminal.columns));
  return items.length === 0 ? EXIT.fine : EXIT.divergent;
}

export async function printFingerprints(session: Session): Promise<number> {
  const { terminal, client, json, migration } = session;
  const items = await allPages<FingerprintItem>(client, `${migration}/fingerprints`);
  if (json) printJson(terminal, { items, next: null });
  else terminal.out(fingerprintsText(items, terminal.columns));
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

async function allPages<T>(client: AdminClient, path: string): Promise<T[]> {
  const items: T[] = [];
  let after: string | null = null;
  do {
    const query: string = after === null ? "" : `&after=${encodeURIComponent(after)}`;
    const page: Page<T> = await client.get<Page<T>>(`${path}?limit=1000${query}`);
    items.push(...page.items);
    after = page.next;
  } while (after !== null);
  return items;
}

function statusText(status: MigrationStatus, width: number): string {
  const { primary, shadow } = status.route;
  const { seen, mirrored, compared, skipped } = status.exchanges;
  const { match, tolerated, divergent, incomparable } = status.verdicts;
  const other = primary === "old" ? "NEW" : "OLD";
  const goBack = status.canGoBack;
  return lines(width, [
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
    ["drifted", status.drifted.join(", ") || "–"],
    ["go back", goBack.ok ? "yes" : `no: ${goBack.reasons.join("; ")}`],
  ]);
}

function divergencesText(items: readonly DivergenceItem[], width: number): string {
  if (items.length === 0) {
    return "No divergences. What was not compared: `twinwire fingerprints`.\n";
  }
  const rows = items.map((item) => [
    item.id,
    count(item.count),
    item.column === undefined ? item.reason : `${item.reason} in ${item.column}`,
    item.statement,
  ]);
  return table(
    [
      { head: "id" },
      { head: "times", align: "right" },
      { head: "what differs" },
      { head: "statement", stretch: true },
    ],
    rows,
    width,
  );
}

function divergenceText(item: DivergenceItem, width: number): string {
  const samples = item.samples.map((sample) => [
    instant(sample.at),
    sample.primary ?? "NULL",
    sample.shadow ?? "NULL",
  ]);
  const facts = lines(width, [
    ["id", item.id],
    ["reason", item.reason],
    ["column", item.column ?? "–"],
    ["explanation", item.explanation],
    ["times", count(item.count)],
    ["first seen", instant(item.firstSeen)],
    ["last seen", instant(item.lastSeen)],
    ["fingerprint", item.fingerprint],
    ["statement", item.statement],
  ]);
  const columns = [
    { head: "at" },
    { head: "primary", stretch: true },
    { head: "shadow", stretch: true },
  ];
  return samples.length === 0 ? facts : `${facts}\n${table(columns, samples, width)}`;
}

function fingerprintsText(items: readonly FingerprintItem[], width: number): string {
  const rows = items.map((item) => [
    count(item.seen),
    percent(item.compared, item.seen),
    count(item.verdicts.divergent),
    `${milliseconds(item.latency.old.p50Ms)}/${milliseconds(item.latency.new.p50Ms)}`,
    item.statement,
    reasons({ ...item.skipped, ...item.incomparable }),
  ]);
  return table(
    [
      { head: "seen", align: "right" },
      { head: "compared", align: "right" },
      { head: "div.", align: "right" },
      { head: "old/new ms", align: "right" },
      { head: "statement", stretch: true },
      { head: "not compared", stretch: true },
    ],
    rows,
    width,
  );
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

function lines(width: number, facts: readonly (readonly [name: string, text: string])[]): string {
  const indent = Math.max(...facts.map(([name]) => name.length)) + 2;
  return facts
    .map(([name, text]) => {
      const wrapped = wrap(text, width - indent, 20).join(`\n${" ".repeat(indent)}`);
      return `${name.padEnd(indent)}${wrapped}\n`;
    })
    .join("");
}
