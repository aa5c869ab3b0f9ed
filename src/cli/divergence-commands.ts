import type { DivergenceItem, Recheck, RuleItem } from "../admin/ports.ts";
import { allPages } from "./admin-client.ts";
import { printJson } from "./command.ts";
import type { Session } from "./command.ts";
import { CommandError, EXIT } from "./exit.ts";
import { facts, table } from "./table.ts";
import { count, instant } from "./words.ts";

/** @returns 4 when there are confirmed ones, so that a pipeline can stop at them. */
export async function printDivergences(
  { terminal, client, json, migration }: Session,
  id: string | undefined,
  { state = "confirmed" }: { readonly state?: string },
): Promise<number> {
  if (id !== undefined) {
    const item = await client.get<DivergenceItem>(
      `${migration}/divergences/${encodeURIComponent(id)}`,
    );
    if (json) printJson(terminal, item);
    else terminal.out(divergenceText(item, terminal.columns));
    return EXIT.fine;
  }
  const items = await allPages<DivergenceItem>(client, `${migration}/divergences?state=${state}`);
  if (json) printJson(terminal, { items, next: null });
  else terminal.out(divergencesText(items, state, terminal.columns));
  return items.some((item) => item.state === "confirmed") ? EXIT.divergent : EXIT.fine;
}

/** Asks both sides again. @returns 4 when they still differ. */
export async function recheckDivergence(session: Session, id: string | undefined): Promise<number> {
  const { terminal, client, json } = session;
  const recheck = await client.post<Recheck>(`${pathOf(session, id)}/recheck`);
  if (json) {
    printJson(terminal, recheck);
  } else {
    const where = recheck.column === undefined ? "" : ` in ${recheck.column}`;
    const times = recheck.attempts === 1 ? "once" : `${count(recheck.attempts)} times`;
    terminal.out(
      `${recheck.outcome}${where}: ${recheck.detail}\nasked ${times} in ${recheck.tookMs.toFixed(0)} ms\n`,
    );
  }
  return recheck.outcome === "divergent" ? EXIT.divergent : EXIT.fine;
}

export async function closeDivergence(session: Session, id: string | undefined): Promise<number> {
  const { terminal, client, json } = session;
  const item = await client.post<DivergenceItem>(`${pathOf(session, id)}/close`);
  if (json) printJson(terminal, item);
  else terminal.out(`closed ${item.id}; seen again, it is open again\n`);
  return EXIT.fine;
}

export function ignoreDivergence(session: Session, id: string | undefined): Promise<number> {
  return makeRule(session, id, { ignore: true });
}

export async function tolerateDivergence(
  session: Session,
  id: string | undefined,
  { absolute, relative }: { readonly absolute?: number; readonly relative?: number },
): Promise<number> {
  if (absolute === undefined && relative === undefined) {
    throw new CommandError("say how much: --absolute, --relative or both", EXIT.usage);
  }
  return makeRule(session, id, {
    tolerate: {
      ...(absolute === undefined ? {} : { absolute }),
      ...(relative === undefined ? {} : { relative }),
    },
  });
}

export function cleanDivergence(
  session: Session,
  id: string | undefined,
  { with: cleanings }: { readonly with: readonly string[] },
): Promise<number> {
  return makeRule(session, id, { clean: cleanings });
}

async function makeRule(
  { terminal, client, json, migration }: Session,
  id: string | undefined,
  action: object,
): Promise<number> {
  const rule = await client.post<RuleItem>(`${migration}/rules`, { divergence: id, ...action });
  if (json) printJson(terminal, rule);
  else terminal.out(`made the rule "${rule.name}", in force now\n`);
  return EXIT.fine;
}

function pathOf({ migration }: Session, id: string | undefined): string {
  return `${migration}/divergences/${encodeURIComponent(id ?? "")}`;
}

function divergencesText(items: readonly DivergenceItem[], state: string, width: number): string {
  if (items.length === 0) {
    return state === "confirmed"
      ? "No divergences. What was not compared: `twinwire fingerprints`.\n"
      : "None.\n";
  }
  const mixed = state === "all";
  const rows = items.map((item) => [
    item.id,
    ...(mixed ? [item.state] : []),
    count(item.count),
    item.column === undefined ? item.reason : `${item.reason} in ${item.column}`,
    item.statement,
  ]);
  return table(
    [
      { head: "id" },
      ...(mixed ? [{ head: "state" }] : []),
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
  const about = facts(width, [
    ["id", item.id],
    ["state", item.state],
    ["reason", item.reason],
    ["column", item.column ?? "–"],
    ["explanation", item.explanation],
    ["settled", item.settled || "–"],
    ["times", count(item.count)],
    ["first seen", instant(item.firstSeen)],
    ["last seen", instant(item.lastSeen)],
    [
      "positions",
      `primary ${item.positions.primary ?? "–"}, shadow ${item.positions.shadow ?? "–"}`,
    ],
    ["recheck", `${item.repeatable.ok ? "possible" : "impossible"}: ${item.repeatable.reason}`],
    ["fingerprint", item.fingerprint],
    ["statement", item.statement],
  ]);
  const columns = [
    { head: "at" },
    { head: "primary", stretch: true },
    { head: "shadow", stretch: true },
  ];
  return samples.length === 0 ? about : `${about}\n${table(columns, samples, width)}`;
}
