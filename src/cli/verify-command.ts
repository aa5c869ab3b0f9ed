import { setTimeout as sleep } from "node:timers/promises";
import type { VerificationItem } from "../admin/ports.ts";
import { causesOf } from "../divergence/report-rows.ts";
import { printJson } from "./command.ts";
import type { Session } from "./command.ts";
import { EXIT } from "./exit.ts";
import { facts, table } from "./table.ts";
import { count } from "./words.ts";

const POLL_MS = 200;
/** In the text for people; all of them are in the JSON. */
const SHOWN = 20;

type VerifyOptions = {
  readonly wait?: boolean;
  readonly repair?: boolean;
  readonly yes?: boolean;
};

/** Verifies tables, all where none are named, and follows it to its end. @returns 4 where rows differ */
export async function verifyTables(
  session: Session,
  _argument: string | undefined,
  { wait = true, repair = false, yes = false }: VerifyOptions,
): Promise<number> {
  const { terminal, client, json, migration, words } = session;
  let item = await client.post<VerificationItem>(`${migration}/verify`, {
    tables: words,
    repair: repair && yes,
  });
  while (wait && item.phase === "running") {
    if (terminal.interactive)
      terminal.err(
        `\r\u001B[K${terminal.colors.dim(progressLine(item).slice(0, terminal.columns - 1))}`,
      );
    await sleep(POLL_MS);
    item = await client.get<VerificationItem>(`${migration}/verify`);
  }
  if (terminal.interactive) terminal.err("\r\u001B[K");
  if (json) printJson(terminal, item);
  else
    terminal.out(verificationText(item, terminal.columns) + (repair ? repairText(item, yes) : ""));
  return exitCode(item);
}

function repairText({ tables }: VerificationItem, isDone: boolean): string {
  const sum = (what: "mismatches" | "repaired"): string =>
    count(tables.reduce((total, each) => total + each[what], 0));
  return isDone
    ? `\n${sum("repaired")} rows repaired\n`
    : `\nnothing was changed; --yes would make ${sum("mismatches")} rows of NEW what they are in OLD\n`;
}

function exitCode({ phase, tables }: VerificationItem): number {
  if (phase === "failed" || tables.some(({ state }) => state === "failed")) return EXIT.failed;
  return tables.some(({ mismatches }) => mismatches > 0) ? EXIT.divergent : EXIT.fine;
}

function progressLine({ detail, tables }: VerificationItem): string {
  const now = tables.find(({ state }) => state === "verifying");
  return now === undefined ? detail : `${now.name}: ${count(now.rows)} rows. In all ${detail}`;
}

function verificationText(
  { phase, detail, startedAt, endedAt, tables, differences }: VerificationItem,
  width: number,
): string {
  const times = [startedAt, endedAt].filter((time) => time !== null).join(" to ");
  const head = facts(width, [
    ["verification", `${phase}: ${detail}`],
    ["time", times],
  ]);
  const rows = tables.map((each) => [
    each.name,
    each.state,
    `${each.verified}/${each.chunks}`,
    count(each.rows),
    count(each.mismatches),
    each.detail,
  ]);
  const columns = [
    { head: "table", stretch: true },
    { head: "state" },
    { head: "chunks", align: "right" },
    { head: "rows", align: "right" },
    { head: "differ", align: "right" },
    { head: "", stretch: true },
  ] as const;
  const list = rows.length === 0 ? "" : `\n${table(columns, rows, width)}`;
  return `${head}${list}${causesText(tables)}${differencesText(differences)}`;
}

function causesText(tables: VerificationItem["tables"]): string {
  const causes = causesOf(tables);
  if (causes.length === 0) return "";
  const sum = causes.reduce((total, each) => total + each.count, 0);
  const lines = causes.map((each) => `  ${count(each.count)} in ${each.name}: ${each.cause}\n`);
  const verb = causes.length === 1 ? "cause explains" : "causes explain";
  return `\n${causes.length} ${verb} ${count(sum)} rows\n${lines.join("")}`;
}

function differencesText(differences: VerificationItem["differences"]): string {
  if (differences.length === 0) return "";
  const lines = differences.slice(0, SHOWN).map(({ table: name, key, cause }) => {
    const which = Object.entries(key).map(([column, value]) => `${column} = ${value ?? "NULL"}`);
    return `  ${name} ${which.join(", ")}: ${cause}\n`;
  });
  const more = differences.length > SHOWN ? `  and more: see --json\n` : "";
  return `\nrows that differ\n${lines.join("")}${more}`;
}
