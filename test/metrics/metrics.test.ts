import { readFile } from "node:fs/promises";
import tap from "tap";
import { METRICS } from "../../src/metrics/catalogue.ts";
import { openMetrics } from "../../src/metrics/metrics.ts";
import { showProcess } from "../../src/metrics/process-metrics.ts";

type Row = { readonly type: string; readonly labels: readonly string[]; readonly help: string };

void tap.test("METRICS.md and the catalogue name the same metrics alike", async (t) => {
  const documented = new Map<string, Row>();
  for (const line of (await readFile("METRICS.md", "utf8")).split("\n")) {
    const cells = line.split("|").map((cell) => cell.trim());
    const name = /^`(twinwire_\w+)`$/.exec(cells[1] ?? "")?.[1];
    if (name === undefined) continue;
    const labels = [...(cells[3] ?? "").matchAll(/`(\w+)`/g)].map(([, label]) => label ?? "");
    documented.set(name, { type: cells[2] ?? "", labels, help: cells[4] ?? "" });
  }
  const catalogue = new Map<string, Row>(Object.entries(METRICS));
  t.strictSame([...documented.keys()].toSorted(), [...catalogue.keys()].toSorted());
  for (const [name, row] of documented) t.match(catalogue.get(name), row, name);
});

void tap.test("names keep the rules of Prometheus", async (t) => {
  for (const [name, { type, help }] of Object.entries(METRICS)) {
    t.match(name, /^twinwire_[a-z_]+$/);
    t.equal(name.endsWith("_total"), type === "counter", `${name} is a ${type}`);
    t.notMatch(name, /_(ms|milliseconds|kb|mb|percent)(_|$)/, `${name} is in a base unit`);
    if (type === "histogram") t.match(name, /_seconds$/);
    t.match(help, /^[A-Z1].*\.$/);
  }
});

void tap.test("numbers are read when somebody looks, and not before", async (t) => {
  const metrics = openMetrics();
  let open = 3;
  let reads = 0;
  metrics.source("twinwire_connections_open", { migration: "orders" }, () => {
    reads++;
    return open;
  });
  t.equal(reads, 0);
  t.match(await metrics.text(), 'twinwire_connections_open{migration="orders"} 3\n');
  open = 4;
  const text = await metrics.text();
  t.match(text, 'twinwire_connections_open{migration="orders"} 4\n');
  t.match(text, "# TYPE twinwire_connections_open gauge\n");
  t.equal(reads, 2);
});

void tap.test("a family shows what there is at the time, and escapes it", async (t) => {
  const metrics = openMetrics();
  const skipped = new Map([["write", 2]]);
  metrics.family("twinwire_exchanges_total", () =>
    [...skipped].map(([reason, value]) => ({
      labels: { migration: 'a"b\\c\nd', route: "skipped", reason },
      value,
    })),
  );
  skipped.set("ddl", 1);
  const lines = (await metrics.text()).split("\n").filter((line) => !line.startsWith("#"));
  t.strictSame(lines.filter(Boolean), [
    String.raw`twinwire_exchanges_total{migration="a\"b\\c\nd",route="skipped",reason="write"} 2`,
    String.raw`twinwire_exchanges_total{migration="a\"b\\c\nd",route="skipped",reason="ddl"} 1`,
  ]);
});

void tap.test("a histogram is shown as Prometheus wants it", async (t) => {
  const metrics = openMetrics();
  const labels = { migration: "orders", side: "old" };
  metrics.histogram("twinwire_exchange_duration_seconds", labels, () => ({
    cumulative: [
      [0.001, 5],
      [0.1, 7],
    ],
    count: 8,
    sum: 1.5,
  }));
  const name = "twinwire_exchange_duration_seconds";
  t.match(
    await metrics.text(),
    [
      `# TYPE ${name} histogram`,
      `${name}_bucket{migration="orders",side="old",le="0.001"} 5`,
      `${name}_bucket{migration="orders",side="old",le="0.1"} 7`,
      `${name}_bucket{migration="orders",side="old",le="+Inf"} 8`,
      `${name}_sum{migration="orders",side="old"} 1.5`,
      `${name}_count{migration="orders",side="old"} 8`,
    ].join("\n"),
  );
});

void tap.test(
  "the same line is not shown twice, until its first owner lets go of it",
  async (t) => {
    const metrics = openMetrics();
    const show = (): (() => void) => metrics.source("twinwire_epoch", { migration: "a" }, () => 1);
    const remove = show();
    t.throws(show, /already shown/);
    remove();
    t.notMatch(await metrics.text(), "twinwire_epoch{");
    show();
    t.match(await metrics.text(), 'twinwire_epoch{migration="a"} 1');
  },
);

void tap.test("the process shows what it uses", async (t) => {
  const metrics = openMetrics();
  showProcess(metrics, "1.2.3");
  const text = await metrics.text();
  t.match(text, `twinwire_build_info{version="1.2.3",node="${process.versions.node}"} 1`);
  for (const [, name = "", value] of text.matchAll(/^(twinwire_process_\w+)(?:\{.*\})? (\S+)$/gm)) {
    t.ok(Number.isFinite(Number(value)), name);
  }
});
