/** What comparing itself costs, on real answers of a real server and without anything around it. */
import { Buffer } from "node:buffer";
import process from "node:process";
import { setImmediate as turn } from "node:timers/promises";
import { openComparer } from "../src/compare/compare.ts";
import type { CompareContext } from "../src/compare/context.ts";
import type { Observation } from "../src/compare/observation.ts";
import { openReplyDigester } from "../src/compare/reply-digester.ts";
import { openAnalyser } from "../src/sql/analyser.ts";
import { openRawClient } from "../test/compare/raw-client.ts";

/** CPU of one comparison, and of what it is made of. */
export type CompareCost = {
  readonly rows: number;
  readonly bytes: number;
  /** In words: `equal`, `another spelling`, … */
  readonly how: string;
  readonly verdict: string;
  readonly us: number;
};

const ROWS = [1, 100, 5_000] as const;
const DIGESTED_ROWS = 200_000;
/** CPU time is counted in steps of a microsecond at best, so many comparisons make one measurement. */
const MEASURED_US = 300_000;

const SELECT = (rows: number, order: string): string =>
  `select id, 'name ' || id as name, id * 1.25 as price, '2024-01-01 00:00+00'::timestamptz + id * interval '1 min' as at
    from generate_series(1, ${rows}) as id ${order}`;

/** @param port of a server that trusts `postgres` */
export async function measureComparing(port: number, signal: AbortSignal): Promise<CompareCost[]> {
  const [here, elsewhere] = await Promise.all([
    openRawClient(port, { TimeZone: "UTC" }),
    openRawClient(port, { TimeZone: "Asia/Tokyo" }),
  ]);
  try {
    const costs: CompareCost[] = [];
    for (const rows of ROWS) {
      const plain = SELECT(rows, "");
      const answer = await here.simple(plain);
      const shadows: readonly (readonly [how: string, frames: Buffer])[] = [
        ["equal", Buffer.from(answer)],
        ["another spelling of the time", await elsewhere.simple(plain)],
        ["another order", await here.simple(SELECT(rows, "order by md5(id::text)"))],
        ["another value in the last row", await here.simple(lastChanged(rows))],
      ];
      for (const [how, frames] of shadows) {
        signal.throwIfAborted();
        if (rows === 1 && how === "another order") continue;
        const { verdict, us } = await costOf(plain, answer, frames);
        costs.push({ rows, bytes: answer.length, how, verdict, us });
        await turn();
      }
    }
    costs.push(costOfDigesting(await here.simple(SELECT(1000, ""))));
    return costs;
  } finally {
    await Promise.all([here.close(), elsewhere.close()]);
  }
}

function lastChanged(rows: number): string {
  return `select id, name, case when id = ${rows} then price + 1 else price end as price, at
    from (${SELECT(rows, "")}) as t`;
}

async function costOf(
  sql: string,
  primary: Buffer,
  shadow: Buffer,
): Promise<{ readonly verdict: string; readonly us: number }> {
  const analyser = await openAnalyser();
  const text = Buffer.from(sql);
  const { statements } = analyser.analyse(text, 0, text.length);
  const nothing = (): undefined => undefined;
  const context: CompareContext = {
    statements,
    rules: [],
    primaryTypes: nothing,
    shadowTypes: nothing,
  };
  const compare = openComparer();
  const seen = (frames: Buffer): Observation => ({ kind: "answered", elapsedMs: 0, frames });
  const [ours, theirs] = [seen(primary), seen(shadow)];
  const verdict = compare(ours, theirs, context);
  const us = cpuOf(() => compare(ours, theirs, context));
  const reason =
    verdict.kind === "match"
      ? ""
      : ` ${verdict.kind === "incomparable" ? verdict.reason : verdict.finding.reason}`;
  return { verdict: `${verdict.kind}${reason}`, us };
}

/** What is too large to keep is digested as it comes, on each side. */
function costOfDigesting(answer: Buffer): CompareCost {
  const description = 1 + answer.readUInt32BE(1);
  // Behind the rows: CommandComplete `SELECT 1000` and ReadyForQuery.
  const end = answer.length - (5 + "SELECT 1000".length + 1) - 6;
  const rows = answer.subarray(description, end);
  const us = cpuOf(() => {
    const digester = openReplyDigester();
    digester.push(answer, 0, description);
    for (let block = 0; block < DIGESTED_ROWS / 1000; block++) digester.push(rows, 0, rows.length);
    digester.push(answer, end, answer.length);
    if (digester.results()[0] === undefined) throw new Error("nothing was digested");
  });
  const bytes = (rows.length * DIGESTED_ROWS) / 1000;
  return { rows: DIGESTED_ROWS, bytes, how: "digested, one side", verdict: "–", us };
}

/** CPU time of one run in microseconds, the mean of many after some to warm up. */
function cpuOf(run: () => void): number {
  for (let count = 0; count < 3; count++) run();
  const started = process.cpuUsage();
  let runs = 0;
  for (;;) {
    run();
    runs++;
    // Asking the clock costs as much as comparing one row.
    if (runs % 8 !== 0 && runs > 1) continue;
    const { user, system } = process.cpuUsage(started);
    if (user + system >= MEASURED_US) return (user + system) / runs;
  }
}

/** One Markdown table. */
export function comparingReport(costs: readonly CompareCost[]): string {
  const lines = costs.map(({ rows, bytes, how, verdict, us }) => {
    const cells = [
      String(rows),
      (bytes / 1e6).toPrecision(2),
      how,
      verdict,
      us.toPrecision(3),
      (us / rows).toPrecision(3),
      (us / (bytes / 1e6)).toFixed(0),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "### The cost of comparing\n",
    "| rows | MB | the shadow's answer | verdict | CPU µs | µs per row | µs per MB |",
    "|---:|---:|---|---|---:|---:|---:|",
    ...lines,
    "",
  ].join("\n");
}
