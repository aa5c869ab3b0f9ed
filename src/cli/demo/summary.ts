/** What the demo says at its end: facts in, text and judgement out. */
import pc from "picocolors";
import type { AttemptItem, MigrationStatus } from "../../admin/ports.ts";
import { INCOMPARABLE_REASONS } from "../../compare/verdict.ts";
import { SKIP_REASONS } from "../../routing/skip-reason.ts";
import type { ApplicationStats } from "./application.ts";
import { DIFFERENCES } from "./differences.ts";
import type { Findings, Found } from "./findings.ts";

export type DemoFacts = {
  readonly status: MigrationStatus;
  readonly findings: Findings;
  readonly application: ApplicationStats;
  /** To new, and back to old. */
  readonly toggles: readonly AttemptItem[];
  readonly databases: {
    readonly tables: number;
    readonly rows: number;
    /** Tables that are not the same on both sides. */
    readonly differing: readonly string[];
    /** Orders the application placed that a side does not hold, or holds twice. */
    readonly missingOrders: number;
  };
};

/** At least so many known differences must have been found for the demo to have shown anything. */
const ENOUGH_FOUND = 6;

/** Why the demo did not succeed; empty when all is as it must be. */
export function failuresOf(facts: DemoFacts): string[] {
  const { application, findings, databases, status } = facts;
  const failures: string[] = [];
  if (application.errors > 0) {
    failures.push(`the application saw ${application.errors} errors`);
    failures.push(...application.firstErrors);
  }
  if (findings.found.length < ENOUGH_FOUND) {
    failures.push(`only ${findings.found.length} of the known differences were found`);
  }
  for (const item of findings.unexplained) {
    failures.push(`a divergence nobody expected, ${item.reason}: ${oneLine(item.statement)}`);
  }
  if (facts.toggles.length !== 2) failures.push("the traffic was not moved both ways");
  for (const attempt of facts.toggles) {
    if (attempt.state === "succeeded") continue;
    failures.push(`a toggle ${attempt.state}: ${attempt.outcome ?? "no reason given"}`);
  }
  if (databases.differing.length > 0) {
    failures.push(`tables differ between the two databases: ${databases.differing.join(", ")}`);
  }
  if (databases.missingOrders !== 0) {
    failures.push(`${databases.missingOrders} orders are missing or doubled on one side`);
  }
  if (status.drifted.length > 0) {
    failures.push(`writes were lost on the shadow in ${status.drifted.join(", ")}`);
  }
  return failures;
}

/** The whole report, ready to print. */
export function summaryText(facts: DemoFacts): string {
  const failures = failuresOf(facts);
  const end =
    failures.length === 0
      ? pc.green("Everything went as it should.")
      : [
          pc.red("Not everything went as it should:"),
          ...failures.map((each) => `  ${pc.red("✗")} ${each}`),
        ].join("\n");
  return ["", ...differenceLines(facts.findings), ...numberLines(facts), "", end, ""].join("\n");
}

function differenceLines(findings: Findings): string[] {
  return [
    pc.bold(
      `Found by comparing: ${findings.found.length} of ${DIFFERENCES.length} known differences between PostgreSQL 14 and 16`,
    ),
    ...findings.found.flatMap(foundLines),
    "",
    findings.unexplained.length === 0
      ? "Besides these, no answer differed."
      : `Besides these, ${findings.unexplained.length} divergences that no known difference explains.`,
    "",
  ];
}

function foundLines({ difference, items }: Found): string[] {
  const reasons = [...new Set(items.map((item) => item.reason))].join(", ");
  const times = items.reduce((sum, item) => sum + item.count, 0);
  return [
    "",
    `${pc.bold(difference.name)}  ${pc.yellow(reasons)}  ${pc.dim(`seen ${times}×`)}`,
    `  ${oneLine(difference.statement)}${difference.values === undefined ? "" : pc.dim(`  $1 = ${difference.values.join(", ")}`)}`,
    `  14: ${difference.old}   16: ${difference.new}`,
    `  ${difference.why}`,
  ];
}

function numberLines({ status, application, toggles, databases }: DemoFacts): string[] {
  const { seen, compared, skipped } = status.exchanges;
  const { match, tolerated, divergent, incomparable } = status.verdicts;
  const [there, back] = toggles;
  const rows: (readonly [string, string])[] = [
    ["exchanges", `${number(seen)} seen, ${number(compared)} compared (${share(compared, seen)})`],
    ...notComparedRows({ ...skipped, ...status.incomparable }),
    [
      "verdicts",
      `${number(match)} match, ${number(tolerated)} tolerated, ${number(divergent)} divergent, ${number(incomparable)} incomparable`,
    ],
    ["toggle to 16", toggleText(there)],
    ["toggle back", toggleText(back)],
    [
      "application",
      `${application.clients} clients, ${number(application.answers)} answers, ${number(application.orders)} orders placed, ${number(application.cancelled)} cancelled, ${application.errors} errors`,
    ],
    [
      "answer times",
      `median ${millis(application.p50Ms)}, 99 of 100 within ${millis(application.p99Ms)}, longest ${millis(application.maxMs)}`,
    ],
    [
      "data",
      databases.differing.length === 0
        ? `${databases.tables} tables, ${number(databases.rows)} rows, the same on both sides`
        : `not the same in ${databases.differing.join(", ")}`,
    ],
  ];
  return [
    pc.bold("In numbers"),
    ...rows.map(([name, text]) => `  ${name.padEnd(14)}${text}`),
    "",
    "Both databases began with the same rows, and Twinwire runs every write on both (writes: apply); nothing replicates here.",
  ];
}

function toggleText(attempt: AttemptItem | undefined): string {
  if (attempt === undefined) return "not done";
  const pause =
    attempt.pauseMs === undefined ? "" : `, new transactions waited ${millis(attempt.pauseMs)}`;
  const moved = attempt.timeline.find((each) => each.step === "move")?.detail ?? "";
  return `${attempt.state}${pause}${moved === "" ? "" : `; ${moved}`}`;
}

/** One row a reason, with the sentence for it, the most frequent first. */
function notComparedRows(reasons: Readonly<Record<string, number>>): (readonly [string, string])[] {
  const sentences: Readonly<Record<string, string>> = { ...INCOMPARABLE_REASONS, ...SKIP_REASONS };
  const counted = Object.entries(reasons).filter(([, count]) => count > 0);
  if (counted.length === 0) return [["not compared", "nothing"]];
  return counted
    .sort(([, one], [, other]) => other - one)
    .map(([reason, count], index) => [
      index === 0 ? "not compared" : "",
      `${number(count)} ${reason}: ${sentences[reason] ?? ""}`,
    ]);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

function number(count: number): string {
  return count.toLocaleString("en-US");
}

/** Of a share that is not whole, never the whole: 99.96 % is not 100.0 %. */
function share(part: number, whole: number): string {
  return whole === 0 ? "–" : `${(Math.floor((part / whole) * 1000) / 10).toFixed(1)} %`;
}

function millis(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms).toString()} ms`;
}
