import t from "tap";
import type { DivergenceItem, FingerprintItem } from "../../src/divergence/items.ts";
import { renderReport } from "../../src/divergence/report.ts";
import type { ReportData } from "../../src/divergence/report-data.ts";

const AT = "2026-03-01T10:00:00.000Z";

const NOTHING: ReportData = {
  migration: "orders",
  generatedAt: AT,
  route: { phase: "in_sync", primary: "old", epoch: 0 },
  shadow: { enabled: true, sample: 1, state: "on" },
  totals: {
    fingerprints: 0,
    seen: 0,
    compared: 0,
    match: 0,
    tolerated: 0,
    divergent: 0,
    skipped: {},
    incomparable: {},
    toleratedReasons: {},
  },
  divergences: [],
  unsettled: [],
  setAside: [],
  rules: [],
  fingerprints: [],
  drifted: [],
  attempts: [],
  verification: {
    phase: "none",
    detail: "",
    startedAt: null,
    endedAt: null,
    tables: [],
  },
  skipReasons: { write: "it writes, and writes are skipped on the shadow" },
};

const DIVERGENCE: DivergenceItem = {
  id: "0123456789",
  state: "confirmed",
  settled: "The primary agreed with itself, and the shadow still differed.",
  repeatable: { ok: true, reason: "its last request is kept in memory" },
  positions: { primary: null, shadow: null },
  fingerprint: "a",
  statement: 'SELECT `odd` | $1 AS "<b>" -- ```',
  reason: "column_name",
  explanation: "A column has another name.",
  column: "x1f",
  count: 1234,
  firstSeen: AT,
  lastSeen: AT,
  samples: [{ at: AT, primary: "‹text 3 chars #0a1b2c3d›", shadow: null, row: 0 }],
};

const FINGERPRINT: FingerprintItem = {
  fingerprint: "a",
  statement: "SELECT $1",
  seen: 12_000,
  compared: 11_999,
  skipped: { write: 1 },
  incomparable: {},
  verdicts: { match: 10_000, tolerated: 765, divergent: 1234, incomparable: 0 },
  advice: [],
  latency: {
    verdict: "degraded",
    old: { p50Ms: 0.5123, p99Ms: 12.4 },
    new: { p50Ms: 1.5, p99Ms: null },
  },
  askedTwice: 3,
  varies: { total: 1 },
};

const MUCH: ReportData = {
  ...NOTHING,
  route: { phase: "on_new", primary: "new", epoch: 2 },
  totals: {
    fingerprints: 2,
    seen: 12_345,
    compared: 12_344,
    match: 10_345,
    tolerated: 765,
    divergent: 1234,
    skipped: { write: 1, unheard_of: 1 },
    incomparable: { clock: 7 },
    toleratedReasons: { numeric_scale: 765 },
  },
  divergences: [DIVERGENCE],
  fingerprints: [FINGERPRINT],
  drifted: [{ table: "orders", since: AT, reason: "the write timed out" }],
  attempts: [
    { id: "1", verb: "cutover", to: "new", state: "succeeded", startedAt: AT, pauseMs: 31.5 },
  ],
};

await t.test("the first sentences say what a person wants to know", async (test) => {
  const rows: readonly { data: ReportData; says: string; why: string }[] = [
    {
      data: NOTHING,
      says: "Traffic is answered by old. No statement has been seen yet.",
      why: "nothing happened",
    },
    {
      data: MUCH,
      says: "Traffic is answered by new. Of 12,345 statements seen, 12,344 (99.9 %) were compared with old: 10,345 matched, 765 differed in a tolerated way and 1,234 diverged, in 1 way. 1 was not compared, most often because it depends on the clock (7).",
      why: "all there is; not 100 %, since not all",
    },
    {
      data: { ...NOTHING, totals: { ...NOTHING.totals, seen: 5, skipped: { write: 5 } } },
      says: "Traffic is answered by old. Of 5 statements seen, 0 (0 %) were compared with new: nothing is known yet. 5 were not compared, most often because it writes, and writes are skipped on the shadow (5).",
      why: "nothing compared is not a success",
    },
    {
      data: { ...NOTHING, totals: { ...NOTHING.totals, seen: 1_000_000, compared: 1, match: 1 } },
      says: "Traffic is answered by old. Of 1,000,000 statements seen, 1 (less than 0.1 %) were compared with new: 1 matched, 0 differed in a tolerated way and none diverged.",
      why: "one is not none",
    },
    {
      data: { ...MUCH, divergences: [], unsettled: [DIVERGENCE] },
      says: "Traffic is answered by new. Of 12,345 statements seen, 12,344 (99.9 %) were compared with old: 10,345 matched, 765 differed in a tolerated way and 1,234 diverged, in ways that are closed or covered by a rule. 1 difference could be neither confirmed nor dispelled. 1 was not compared, most often because it depends on the clock (7).",
      why: "what is not open was there all the same",
    },
  ];
  for (const { data, says, why } of rows) {
    const { summary } = JSON.parse(renderReport(data, "json")) as { summary: string };
    test.equal(summary, says, why);
    test.match(renderReport(data, "md"), says.slice(0, 40).trim());
  }
});

await t.test(
  "the report tells what is open from what is not, and shows rules and plans",
  async (test) => {
    const unsettled: DivergenceItem = {
      ...DIVERGENCE,
      id: "u1",
      state: "unsettled",
      settled: "The data changed all the time.",
    };
    const ruled: DivergenceItem = {
      ...DIVERGENCE,
      id: "r1",
      state: "ruled",
      settled: 'Covered by the rule "a cent" since then.',
    };
    const data: ReportData = {
      ...MUCH,
      unsettled: [unsettled],
      setAside: [ruled],
      rules: [
        {
          name: "a cent",
          match: { column: "total", table: undefined },
          action: { kind: "tolerate" },
          source: "api",
          madeAt: AT,
          applied: 1200,
          warnings: ["never applies: neither side has a table x"],
        },
      ],
      fingerprints: [
        {
          ...FINGERPRINT,
          plans: { at: AT, old: "Index Scan on orders", new: "Seq Scan on orders" },
        },
      ],
    };
    const report = renderReport(data, "md");
    const places = [
      "## Divergences (1)",
      "The primary agreed with itself, and the shadow still differed.",
      "## Neither confirmed nor dispelled (1)",
      "The data changed all the time.",
      "## Covered by a rule, or closed (1)",
      'Covered by the rule "a cent" since then.',
      "## Rules",
      `| a cent | tolerate | column total | made ${AT} | 1,200 | never applies: neither side has a table x |`,
      "## Slower on new (1)",
      "old 0.51 / 12",
      "-- old\nIndex Scan on orders",
      "-- new\nSeq Scan on orders",
    ].map((text) => [report.indexOf(text), text] as const);
    for (const [place, text] of places) test.ok(place >= 0, text);
    test.strictSame(
      places,
      [...places].sort(([a], [b]) => a - b),
      "in this order",
    );
    const json = JSON.parse(renderReport(data, "json")) as Record<string, unknown>;
    test.match(json, { comparedShare: 12_344 / 12_345, unsettled: [unsettled], setAside: [ruled] });
    test.equal(
      (JSON.parse(renderReport(NOTHING, "json")) as { comparedShare: unknown }).comparedShare,
      null,
    );
  },
);

await t.test("the JSON report holds everything, sentences included", async (test) => {
  const report = JSON.parse(renderReport(MUCH, "json")) as Record<string, unknown>;
  for (const key of ["migration", "route", "shadow", "totals", "drifted", "attempts"] as const) {
    test.strictSame(report[key], MUCH[key], key);
  }
  test.strictSame(report["divergences"], [DIVERGENCE]);
  test.strictSame(report["notCompared"], [
    {
      reason: "clock",
      explanation: "it depends on the clock",
      kind: "incomparable",
      count: 7,
    },
    { reason: "unheard_of", explanation: "unheard_of", kind: "skipped", count: 1 },
    {
      reason: "write",
      explanation: "it writes, and writes are skipped on the shadow",
      kind: "skipped",
      count: 1,
    },
  ]);
});

await t.test(
  "the Markdown report shows statements as they are, and cannot be broken by them",
  async (test) => {
    const report = renderReport(MUCH, "md");
    for (const line of [
      "# Twinwire report: orders",
      "## Divergences (1)",
      "### 1. a column has another name in column x1f",
      `\`\`\`\`sql\n${DIVERGENCE.statement}\n\`\`\`\``,
      "Seen 1,234 times from",
      "| reason | why | count | share |",
      "| numeric_scale | the same number, written with another scale | 765 |",
      "| SELECT $1 | 12,000 | 99.9 % | 10,000 | 765 | 1,234 | write (1) | 0.51 / 12 |  | degraded |",
      "| orders | " + AT + " | the write timed out |",
      "| " + AT + " | cutover to new | succeeded | 31.5 |  |",
    ]) {
      test.ok(report.includes(line), line);
    }
    const odd = {
      ...FINGERPRINT,
      statement: "SELECT a | b,\n <i> `c` FROM _x_ WHERE order_id = $1",
    };
    const escaped = renderReport({ ...MUCH, fingerprints: [odd] }, "md");
    test.ok(
      escaped.includes("| SELECT a \\| b, \\<i\\> \\`c\\` FROM \\_x\\_ WHERE order_id = $1 |"),
      "one line, one cell",
    );
  },
);

await t.test("the HTML report is one page without anything active", async (test) => {
  const odd = { ...DIVERGENCE, statement: "<script>alert('x')</script> & \"y\"" };
  const report = renderReport({ ...MUCH, migration: "<b>", divergences: [odd] }, "html");
  test.notMatch(report, /<script/);
  test.match(report, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;");
  test.match(report, "<title>Twinwire report: &lt;b&gt;</title>");
  test.notMatch(report, /https?:|src=/);
});

await t.test("long lists are cut for people and whole in JSON", async (test) => {
  const many = {
    ...MUCH,
    divergences: Array.from({ length: 120 }, () => DIVERGENCE),
    fingerprints: Array.from({ length: 70 }, () => FINGERPRINT),
  };
  const report = renderReport(many, "md");
  test.match(report, "20 more are in the JSON report.");
  test.equal(report.split("| SELECT $1 |").length - 1, 50);
  const json = JSON.parse(renderReport(many, "json")) as { divergences: readonly unknown[] };
  test.equal(json.divergences.length, 120);
});

await t.test("rows of both sides are in it once they have been compared", async (test) => {
  test.notMatch(renderReport(NOTHING, "md"), /Rows of both sides/);
  const verification: ReportData["verification"] = {
    phase: "done",
    detail: "12 rows compared, 2 rows differ.",
    startedAt: AT,
    endedAt: AT,
    tables: [
      {
        name: "public.orders",
        state: "verified",
        chunks: 3,
        verified: 2,
        rows: 12,
        mismatches: 2,
        causes: { "what: spaces at the end": 1, "the row is not in NEW": 1 },
        detail: "",
      },
    ],
  };
  const text = renderReport({ ...NOTHING, verification }, "md");
  test.match(text, /## Rows of both sides/);
  test.match(text, /public\.orders \| verified \| 2 of 3 \| 12 \| 2/);
  test.match(text, /1 \| public\.orders \| what: spaces at the end/);
  test.match(renderReport({ ...NOTHING, verification }, "html"), /Rows of both sides/);
  test.match(JSON.parse(renderReport({ ...NOTHING, verification }, "json")), { verification });
});
