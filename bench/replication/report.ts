import { median, quantile } from "../measurements.ts";
import type { ApplyRates, ApplyRound } from "./apply-rate.ts";
import type { CopierName, Copies, CopyRun } from "./copy-rate.ts";
import { LAG_ROWS_PER_SECOND } from "./lag.ts";
import type { Lags } from "./lag.ts";

/** Of the native subscription's rate. */
const APPLY_GOAL = 1;
const LAG_P50_GOAL_MS = 50;
/** Of the pipe's rate, by one stream. */
const COPY_GOAL = 0.9;
const ONE_STREAM: CopierName = "Twinwire, 1 stream";

export type Measured = {
  readonly apply: readonly ApplyRates[];
  readonly lags: Lags;
  readonly copies: Copies;
};

/** A Markdown table for each of the three, then what became of the goals. */
export function report({ apply, lags, copies }: Measured): string {
  return [
    "### Rows applied a second\n",
    applyTable(apply),
    `\n### Lag at ${count(LAG_ROWS_PER_SECOND)} rows a second\n`,
    lagTable(lags),
    `\n### Copying ${count(copies.rows)} rows\n`,
    copyTable(copies),
    "\n### Goals\n",
    goalTable([...apply.map(applyGoal), lagGoal(lags), copyGoal(copies)]),
    "",
  ].join("\n");
}

function applyTable(apply: readonly ApplyRates[]): string {
  const head = [
    "load",
    "rows",
    "Twinwire",
    "native subscription",
    "Twinwire ÷ native",
    "own CPU µs per row",
    "its backend's",
    "apply worker's",
  ];
  const rows = apply.map(({ load, rounds }) => [
    load,
    count(rounds[0]?.Twinwire.rows ?? 0),
    spread(
      rounds.map(({ Twinwire: run }) => perSecond(run.rows, run.tookMs)),
      count,
    ),
    spread(
      rounds.map(({ "native subscription": run }) => perSecond(run.rows, run.tookMs)),
      count,
    ),
    spread(rounds.map(applyRatio), ratio),
    spread(
      rounds.map(({ Twinwire: run }) => run.ownCpuUs / run.rows),
      micros,
    ),
    spread(
      rounds.map(({ Twinwire: run }) => cpuPerRow(run)),
      micros,
    ),
    spread(
      rounds.map(({ "native subscription": run }) => cpuPerRow(run)),
      micros,
    ),
  ]);
  return table(head, rows);
}

function lagTable(lags: Lags): string {
  const rows = Object.entries(lags).map(([name, rounds]) => [
    name,
    spread(
      rounds.map((each) => share(each, 0.5)),
      millis,
    ),
    spread(
      rounds.map((each) => share(each, 0.99)),
      millis,
    ),
  ]);
  return table(["", "p50 ms", "p99 ms"], rows);
}

function copyTable({ rows, runs, missing }: Copies): string {
  const pipe = runs.get("psql pipe");
  const lines = [...runs].map(([name, each]) => [
    name,
    spread(
      each.map(({ tookMs }) => perSecond(rows, tookMs)),
      count,
    ),
    pipe === undefined ? "–" : spread(copyRatios(pipe, each), ratio),
    spread(
      each.map(({ restMs }) => restMs),
      (ms) => ms.toFixed(0),
    ),
    name.startsWith("Twinwire")
      ? spread(
          each.map((run) => run.ownCpuUs / rows),
          micros,
        )
      : "–",
  ]);
  const head = ["", "rows a second", "÷ psql pipe", "then until ready, ms", "own CPU µs per row"];
  const without =
    missing.length === 0 ? "" : `\n\nNot on this machine, so left out: ${missing.join(", ")}.`;
  return table(head, lines) + without;
}

type Verdict = {
  readonly what: string;
  readonly measured: string;
  readonly goal: string;
  readonly word: "ok" | "**under**" | "**over**" | "–";
};

function applyGoal({ load, rounds }: ApplyRates): Verdict {
  const measured = median(rounds.map(applyRatio));
  return {
    what: `apply rate, ${load}`,
    measured: ratio(measured),
    goal: `≥ ${ratio(APPLY_GOAL)}`,
    word: measured >= APPLY_GOAL ? "ok" : "**under**",
  };
}

function lagGoal({ Twinwire: rounds }: Lags): Verdict {
  const measured = median(rounds.map((each) => share(each, 0.5)));
  return {
    what: `lag at ${count(LAG_ROWS_PER_SECOND)} rows a second, p50`,
    measured: `${millis(measured)} ms`,
    goal: `< ${LAG_P50_GOAL_MS} ms`,
    word: measured < LAG_P50_GOAL_MS ? "ok" : "**over**",
  };
}

function copyGoal({ runs }: Copies): Verdict {
  const [pipe, ours] = [runs.get("psql pipe"), runs.get(ONE_STREAM)];
  const about = { what: "copy by one stream, of the pipe's rate", goal: `≥ ${ratio(COPY_GOAL)}` };
  if (pipe === undefined || ours === undefined)
    return { ...about, measured: "not measured", word: "–" };
  const measured = median(copyRatios(pipe, ours));
  return {
    ...about,
    measured: ratio(measured),
    word: measured >= COPY_GOAL ? "ok" : "**under**",
  };
}

function goalTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ what, measured, goal, word }) => [what, measured, goal, word]);
  return table(["what", "measured", "goal", ""], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_none, column) => (column === 0 ? "---" : "---:"));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function applyRatio({ Twinwire: ours, "native subscription": native }: ApplyRound): number {
  return native.tookMs / ours.tookMs;
}

/** Round by round: what else the machine did then hit both. */
function copyRatios(pipe: readonly CopyRun[], runs: readonly CopyRun[]): number[] {
  return runs.map(({ tookMs }, round) => (pipe[round]?.tookMs ?? Number.NaN) / tookMs);
}

function cpuPerRow(run: {
  readonly targetCpuUs: number | undefined;
  readonly rows: number;
}): number {
  return run.targetCpuUs === undefined ? Number.NaN : run.targetCpuUs / run.rows;
}

/** The median round, and the least and the most of all. */
function spread(values: readonly number[], format: (value: number) => string): string {
  if (values.some((value) => Number.isNaN(value))) return "–";
  if (values.length === 1) return format(median(values));
  return `${format(median(values))} (${format(Math.min(...values))}..${format(Math.max(...values))})`;
}

function share(values: readonly number[], part: number): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    part,
  );
}

const perSecond = (rows: number, tookMs: number): number => (rows / tookMs) * 1000;
const count = (value: number): string => Math.round(value).toLocaleString("en");
const ratio = (value: number): string => `${value.toFixed(2)}×`;
const micros = (value: number): string => value.toFixed(1);
const millis = (value: number): string => value.toFixed(1);
