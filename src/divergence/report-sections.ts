import { DIFFERENCE_REASONS, INCOMPARABLE_REASONS } from "../compare/verdict.ts";
import type { DivergenceItem, FingerprintItem, Quantiles } from "./items.ts";
import { leftOpen } from "./left-open.ts";
import type { NotCompared, ReportData } from "./report-data.ts";
import type { Block } from "./report-block.ts";
import { code, heading, paragraph, table } from "./report-block.ts";
import { rowBlocks } from "./report-rows.ts";

/** More are in the JSON report. */
const STATEMENTS_SHOWN = 50;
const DIVERGENCES_SHOWN = 100;
const PLANS_SHOWN = 20;

export function reportBlocks(data: ReportData): readonly Block[] {
  const { route, shadow } = data;
  return [
    heading(1, `Twinwire report: ${data.migration}`),
    paragraph(summarySentence(data)),
    table(
      ["", ""],
      [
        ["Generated", data.generatedAt],
        ["Traffic is answered by", route.primary],
        ["Phase", `${route.phase}, epoch ${route.epoch}`],
        ["Shadow", `${shadow.enabled ? shadow.state : "off"}, sample ${shadow.sample}`],
        ["Share compared", share(data.totals.compared, data.totals.seen)],
      ],
    ),
    ...rowBlocks(data.verification),
    ...divergenceBlocks(data),
    ...unsettledBlocks(data),
    ...setAsideBlocks(data),
    ...toleratedBlocks(data),
    ...ruleBlocks(data),
    ...notComparedBlocks(data),
    ...leftOpenBlocks(data),
    ...driftedBlocks(data),
    ...statementBlocks(data),
    ...degradedBlocks(data),
    ...attemptBlocks(data),
  ];
}

/** What a person wants to know first, in two or three sentences. */
export function summarySentence(data: ReportData): string {
  const { totals, route, divergences, unsettled } = data;
  const shadowSide = route.primary === "old" ? "new" : "old";
  const start = `Traffic is answered by ${route.primary}.`;
  if (totals.seen === 0) return `${start} No statement has been seen yet.`;
  const of = `Of ${number(totals.seen)} statements seen, ${number(totals.compared)} (${share(totals.compared, totals.seen)}) were compared with ${shadowSide}`;
  if (totals.compared === 0)
    return `${start} ${of}: nothing is known yet. ${notComparedSentence(data)}`;
  const kinds =
    totals.divergent === 0
      ? "none diverged"
      : `${number(totals.divergent)} diverged, in ${waysOpen(divergences.length)}`;
  const verdicts = `${number(totals.match)} matched, ${number(totals.tolerated)} differed in a tolerated way and ${kinds}.`;
  const open =
    unsettled.length === 0
      ? ""
      : `${plural(unsettled.length, "difference")} could be neither confirmed nor dispelled. `;
  return `${start} ${of}: ${verdicts} ${open}${notComparedSentence(data)}`.trimEnd();
}

function waysOpen(count: number): string {
  return count === 0 ? "ways that are closed or covered by a rule" : plural(count, "way");
}

function notComparedSentence(data: ReportData): string {
  const [first] = notCompared(data);
  const missing = data.totals.seen - data.totals.compared;
  if (first === undefined || missing <= 0) return "";
  return `${number(missing)} ${missing === 1 ? "was" : "were"} not compared, most often because ${first.explanation} (${number(first.count)}).`;
}

/** Both kinds together, the most frequent first. */
export function notCompared({ totals, skipReasons }: ReportData): readonly NotCompared[] {
  const incomparable: Readonly<Record<string, string>> = INCOMPARABLE_REASONS;
  const list = (
    counts: Readonly<Record<string, number>>,
    kind: NotCompared["kind"],
    sentences: Readonly<Record<string, string>>,
  ): NotCompared[] =>
    Object.entries(counts).map(([reason, count]) => {
      return { reason, explanation: sentences[reason] ?? reason, kind, count };
    });
  return [
    ...list(totals.skipped, "skipped", skipReasons),
    ...list(totals.incomparable, "incomparable", incomparable),
  ].sort((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1));
}

function divergenceBlocks({ divergences }: ReportData): readonly Block[] {
  const title = heading(2, `Divergences (${divergences.length})`);
  if (divergences.length === 0) return [title, paragraph("None is open.")];
  return [title, ...itemBlocks(divergences)];
}

function unsettledBlocks({ unsettled }: ReportData): readonly Block[] {
  if (unsettled.length === 0) return [];
  return [
    heading(2, `Neither confirmed nor dispelled (${unsettled.length})`),
    paragraph("These differences were seen, and asking both sides again could not tell."),
    ...itemBlocks(unsettled),
  ];
}

function itemBlocks(items: readonly DivergenceItem[]): readonly Block[] {
  const shown = items.slice(0, DIVERGENCES_SHOWN);
  return [
    ...shown.flatMap((item, index) => divergenceBlock(item, index + 1)),
    ...moreThan(items.length, shown.length),
  ];
}

function setAsideBlocks({ setAside }: ReportData): readonly Block[] {
  if (setAside.length === 0) return [];
  const shown = setAside.slice(0, DIVERGENCES_SHOWN);
  const rows = shown.map(({ id, reason, column, count, settled }) => [
    id,
    column === undefined ? reason : `${reason} in ${column}`,
    number(count),
    settled,
  ]);
  return [
    heading(2, `Covered by a rule, or closed (${setAside.length})`),
    table(["id", "what differed", "count", "why it is not open"], rows),
    ...moreThan(setAside.length, shown.length),
  ];
}

function ruleBlocks({ rules }: ReportData): readonly Block[] {
  if (rules.length === 0) return [];
  const rows = rules.map(({ name, match, action, source, madeAt, applied, warnings }) => [
    name,
    action.kind,
    Object.entries(match)
      .flatMap(([key, value]) => (value === undefined ? [] : [`${key} ${value}`]))
      .join(", "),
    source === "file" ? "configuration" : `made ${madeAt ?? ""}`.trim(),
    number(applied),
    warnings.join("; "),
  ]);
  return [
    heading(2, "Rules"),
    table(["rule", "does", "where", "from", "applied", "warning"], rows),
  ];
}

/** Plans are long, so they stand apart from the table of statements. */
function degradedBlocks({ fingerprints }: ReportData): readonly Block[] {
  const slower = fingerprints.filter(({ latency }) => latency.verdict === "degraded");
  if (slower.length === 0) return [];
  const shown = slower.slice(0, PLANS_SHOWN);
  return [
    heading(2, `Slower on new (${slower.length})`),
    ...shown.flatMap(({ statement, latency, plans }) => [
      code(statement),
      paragraph(
        `p50 / p99 in ms: old ${quantiles(latency.old)}, new ${quantiles(latency.new)}.${plans === undefined ? " Its plans were not asked for yet." : ` Plans of ${plans.at}:`}`,
      ),
      ...(plans === undefined ? [] : [code(`-- old\n${plans.old}`), code(`-- new\n${plans.new}`)]),
    ]),
    ...moreThan(slower.length, shown.length),
  ];
}

function divergenceBlock(item: DivergenceItem, position: number): readonly Block[] {
  const sentences: Readonly<Record<string, string>> = DIFFERENCE_REASONS;
  const where = item.column === undefined ? "" : ` in column ${item.column}`;
  const what = sentences[item.reason] ?? item.reason;
  const seen = `Seen ${plural(item.count, "time")} from ${item.firstSeen} to ${item.lastSeen}. Reason ${item.reason}, id ${item.id}.`;
  const samples = item.samples.map((sample) => [
    sample.at,
    sample.row === null ? "" : String(sample.row),
    sample.primary ?? "",
    sample.shadow ?? "",
  ]);
  return [
    heading(3, `${position}. ${what}${where}`),
    paragraph(item.explanation),
    code(item.statement),
    paragraph(seen),
    ...(item.settled === "" ? [] : [paragraph(item.settled)]),
    ...(samples.length === 0 ? [] : [table(["at", "row", "primary", "shadow"], samples)]),
  ];
}

function toleratedBlocks({ totals }: ReportData): readonly Block[] {
  const sentences: Readonly<Record<string, string>> = DIFFERENCE_REASONS;
  const rows = Object.entries(totals.toleratedReasons)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => [reason, sentences[reason] ?? reason, number(count)]);
  if (rows.length === 0) return [];
  return [heading(2, "Tolerated differences"), table(["reason", "what", "count"], rows)];
}

function notComparedBlocks(data: ReportData): readonly Block[] {
  const list = notCompared(data);
  if (list.length === 0) return [];
  const rows = list.map(({ reason, explanation, kind, count }) => [
    reason,
    kind === "skipped" ? `not run on the shadow: ${explanation}` : explanation,
    number(count),
    share(count, data.totals.seen),
  ]);
  return [heading(2, "Not compared, and why"), table(["reason", "why", "count", "share"], rows)];
}

function leftOpenBlocks({ fingerprints }: ReportData): readonly Block[] {
  const rows = leftOpen(fingerprints).map(({ statement, why, seen, differed }) => {
    return [statement, why, number(seen), number(differed)];
  });
  if (rows.length === 0) return [];
  return [
    heading(2, "Answers that the statement leaves open"),
    table(["statement", "why", "seen", "differed"], rows.slice(0, STATEMENTS_SHOWN)),
    ...moreThan(rows.length, Math.min(rows.length, STATEMENTS_SHOWN)),
  ];
}

function driftedBlocks({ drifted }: ReportData): readonly Block[] {
  if (drifted.length === 0) return [];
  return [
    heading(2, "Drifted tables"),
    paragraph(
      "A write was lost in these tables on the shadow. Reads of them are not compared until they are in step again.",
    ),
    table(
      ["table", "since", "reason"],
      drifted.map(({ table: name, since, reason }) => [name, since, reason]),
    ),
  ];
}

function statementBlocks({ fingerprints }: ReportData): readonly Block[] {
  if (fingerprints.length === 0) return [];
  const shown = fingerprints.slice(0, STATEMENTS_SHOWN);
  const columns = [
    "statement",
    "seen",
    "compared",
    "match",
    "tolerated",
    "divergent",
    "mostly not compared because",
    "old p50 / p99 ms",
    "new p50 / p99 ms",
    "speed of new",
  ];
  return [
    heading(2, "Statements"),
    table(columns, shown.map(statementRow)),
    ...moreThan(fingerprints.length, shown.length),
  ];
}

function statementRow(item: FingerprintItem): readonly string[] {
  const { verdicts, latency } = item;
  const reasons = Object.entries({ ...item.skipped, ...item.incomparable });
  const [most] = reasons.sort(([, a], [, b]) => b - a);
  return [
    item.statement.length > 120 ? `${item.statement.slice(0, 119)}…` : item.statement,
    number(item.seen),
    share(item.compared, item.seen),
    number(verdicts.match),
    number(verdicts.tolerated),
    number(verdicts.divergent),
    most === undefined ? "" : `${most[0]} (${number(most[1])})`,
    quantiles(latency.old),
    quantiles(latency.new),
    latency.verdict,
  ];
}

function quantiles({ p50Ms, p99Ms }: Quantiles): string {
  return p50Ms === null || p99Ms === null ? "" : `${round(p50Ms)} / ${round(p99Ms)}`;
}

function attemptBlocks({ attempts }: ReportData): readonly Block[] {
  if (attempts.length === 0) return [];
  const rows = attempts.map(({ startedAt, verb, to, state, pauseMs, outcome }) => [
    startedAt,
    `${verb} to ${to}`,
    state,
    pauseMs === undefined ? "" : String(pauseMs),
    outcome ?? "",
  ]);
  return [heading(2, "Switches"), table(["started", "verb", "state", "pause ms", "outcome"], rows)];
}

function moreThan(total: number, shown: number): readonly Block[] {
  if (total <= shown) return [];
  return [paragraph(`${number(total - shown)} more are in the JSON report.`)];
}

/** Rounded down, so that 100 % means all. */
function share(part: number, whole: number): string {
  if (whole === 0) return "0 %";
  const percent = Math.floor((part / whole) * 1000) / 10;
  return part > 0 && percent === 0 ? "less than 0.1 %" : `${Math.min(100, percent)} %`;
}

function number(value: number): string {
  return String(value).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

function plural(count: number, noun: string): string {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function round(ms: number): string {
  return ms >= 10 ? String(Math.round(ms)) : String(Number(ms.toPrecision(2)));
}
