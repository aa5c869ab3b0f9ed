import { REFERENCE } from "./contenders.ts";
import type { ContenderName } from "./contenders.ts";
import { largeFigures, smallFigures } from "./measurements.ts";
import type { Figures, Large, Small } from "./measurements.ts";

/** What each contender may cost, in multiples of PgBouncer's CPU per query. */
const CPU_BUDGET: Readonly<Partial<Record<ContenderName, number>>> = {
  "Twinwire, no shadow": 1.6,
  "Twinwire, all compared": 2.8,
};
const LARGE_RESULT_BUDGET_MB = 64;

type Line = { readonly contender: ContenderName; readonly figures: Figures };

/** One Markdown table per setting, largest last, then what became of the budgets. */
export function report(small: readonly Small[], large: readonly Large[]): string {
  const parts: string[] = [];
  const verdicts: string[] = [];
  const settings = new Map(
    small.map(({ setting }) => [`${setting.mode}, ${clients(setting.clients)}`, setting]),
  );
  for (const [title, { mode, clients: count }] of settings) {
    const lines = small
      .filter(({ setting }) => setting.mode === mode && setting.clients === count)
      .map((each) => ({ contender: each.contender, figures: smallFigures(each) }));
    parts.push(`### pgbench select-only, ${title}\n`, table(lines, SMALL_COLUMNS), "");
    verdicts.push(...cpuVerdicts(title, lines));
  }
  const lines = large.map((each) => ({ contender: each.contender, figures: largeFigures(each) }));
  const megabytes = Math.round((large[0]?.rounds[0]?.bytes ?? 0) / 1e6);
  if (lines.length > 0) {
    parts.push(`### One result of ${megabytes} MB\n`, table(lines, LARGE_COLUMNS), "");
    verdicts.push(...memoryVerdicts(megabytes, lines));
  }
  const headed = [
    "### Budgets\n",
    "| what | measured | budget | |",
    "|---|---:|---:|---|",
    ...verdicts,
  ];
  return [...parts, ...headed, ""].join("\n");
}

function clients(count: number): string {
  return count === 1 ? "1 client" : `${count} clients`;
}

type Column = {
  readonly title: string;
  readonly digits: number;
  readonly of: (figures: Figures) => number | undefined;
};

const SMALL_COLUMNS: readonly Column[] = [
  { title: "per second", digits: 0, of: (f) => f.throughput },
  { title: "p50 ms", digits: 3, of: (f) => f.p50Ms },
  { title: "p99 ms", digits: 3, of: (f) => f.p99Ms },
  { title: "proxy CPU µs per query", digits: 1, of: (f) => f.cpu },
  { title: "peak MB", digits: 1, of: (f) => f.peakMegabytes },
];

const LARGE_COLUMNS: readonly Column[] = [
  { title: "MB per second", digits: 0, of: (f) => f.throughput },
  { title: "proxy CPU ms per 100 MB", digits: 1, of: (f) => f.cpu },
  { title: "peak MB", digits: 1, of: (f) => f.peakMegabytes },
  { title: "added MB", digits: 1, of: (f) => f.addedMegabytes },
];

function table(lines: readonly Line[], columns: readonly Column[]): string {
  const reference = lines.find(({ contender }) => contender === REFERENCE)?.figures;
  const rows = lines.map(({ contender, figures }) => [
    contender,
    ...columns.map(({ digits, of }) => cell(of(figures), reference && of(reference), digits)),
  ]);
  const head = ["", ...columns.map(({ title }) => title)];
  const rule = ["---", ...columns.map(() => "---:")];
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** The number and how many times PgBouncer's it is. */
function cell(value: number | undefined, reference: number | undefined, digits: number): string {
  if (value === undefined) return "–";
  const text = value.toFixed(digits);
  return reference === undefined || reference === 0 ? text : `${text} (${ratio(value, reference)})`;
}

function ratio(value: number, reference: number): string {
  return `${(value / reference).toFixed(2)}×`;
}

function cpuVerdicts(title: string, lines: readonly Line[]): string[] {
  const reference = lines.find(({ contender }) => contender === REFERENCE)?.figures.cpu;
  return lines.flatMap(({ contender, figures }) => {
    const budget = CPU_BUDGET[contender];
    if (budget === undefined) return [];
    const what = `${contender}: CPU per query, ${title}`;
    if (reference === undefined || figures.cpu === undefined)
      return [`| ${what} | not measured | ${budget}× | – |`];
    const verdict = figures.cpu / reference <= budget ? "ok" : "**over**";
    return [`| ${what} | ${ratio(figures.cpu, reference)} | ${budget}× | ${verdict} |`];
  });
}

function memoryVerdicts(megabytes: number, lines: readonly Line[]): string[] {
  return lines.flatMap(({ contender, figures: { addedMegabytes } }) => {
    if (CPU_BUDGET[contender] === undefined || addedMegabytes === undefined) return [];
    const verdict = addedMegabytes <= LARGE_RESULT_BUDGET_MB ? "ok" : "**over**";
    const what = `${contender}: memory added by a result of ${megabytes} MB`;
    return [
      `| ${what} | ${addedMegabytes.toFixed(0)} MB | ${LARGE_RESULT_BUDGET_MB} MB | ${verdict} |`,
    ];
  });
}
