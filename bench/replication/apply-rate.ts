/** Rows a second that are applied, beside a native subscription of the same servers: `node dist/bench/replication/apply-rate.js`. */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { lsn, startServers } from "../../test/replication/apply-pair.ts";
import type { ApplyPair, Servers } from "../../test/replication/apply-pair.ts";

const DDL =
  "CREATE TABLE a (id int PRIMARY KEY, customer int, name text, amount numeric(12,2), at timestamptz, note text); CREATE TABLE b (id int PRIMARY KEY, n int, v text); CREATE PROCEDURE many(text, int) LANGUAGE plpgsql AS 'BEGIN FOR i IN 1..$2 LOOP EXECUTE $1 USING i; COMMIT; END LOOP; END'";
const ROW =
  "i, i % 1000, 'name of ' || i, i / 7.0, '2026-01-01'::timestamptz + i * interval '1 s', repeat('n', 40)";

/** `fill` is there on both sides before; the slot begins behind it. */
type Load = {
  readonly name: string;
  readonly rows: number;
  readonly fill: string;
  readonly work: readonly string[];
};

const FILL_A = `INSERT INTO a SELECT ${ROW} FROM generate_series(1, 300000) i`;
const FILL_B = "INSERT INTO b SELECT i, i, 'value' || i FROM generate_series(1, 40000) i";

const LOADS: readonly Load[] = [
  {
    name: "inserts, 1,000 a transaction",
    fill: "",
    rows: 300_000,
    work: Array.from(
      { length: 300 },
      (_, i) =>
        `INSERT INTO a SELECT ${ROW} FROM generate_series(${i * 1000 + 1}, ${(i + 1) * 1000}) i`,
    ),
  },
  {
    name: "updates, 1,000 a transaction",
    fill: FILL_A,
    rows: 150_000,
    work: Array.from(
      { length: 150 },
      (_, i) =>
        `UPDATE a SET amount = amount + 1, note = 'updated' WHERE id BETWEEN ${i * 1000 + 1} AND ${(i + 1) * 1000}`,
    ),
  },
  {
    name: "inserts, one a transaction",
    fill: "",
    rows: 40_000,
    work: ["CALL many('INSERT INTO b SELECT $1, $1, ''value'' || $1', 40000)"],
  },
  {
    name: "updates, one a transaction",
    fill: FILL_B,
    rows: 40_000,
    work: ["CALL many('UPDATE b SET n = n + 1 WHERE id = $1 % 40000 + 1', 40000)"],
  },
  {
    name: "mixed: two updates, an insert and a delete a transaction",
    fill: `${FILL_A}; ${FILL_B}`,
    rows: 80_000,
    work: [
      "CALL many('WITH x AS (UPDATE a SET amount = amount - 1 WHERE id = ($1 * 7919) % 300000 + 1), y AS (UPDATE b SET n = n + 1 WHERE id = $1 % 10 + 30001), z AS (DELETE FROM b WHERE id = $1) INSERT INTO a SELECT i, i % 1000, ''n'', 1, now(), ''m'' FROM (SELECT $1 + 1000000 AS i) s', 20000)",
    ],
  },
];

const servers = await startServers(16, 16);
try {
  for (const load of LOADS) {
    const [ours, native] = [await servers.pair(), await servers.pair()];
    for (const pair of [ours, native]) {
      await pair.both(`${DDL}; ${load.fill}`);
      await pair.both("VACUUM ANALYZE");
      await pair.prepare(["a", "b"]);
      for (const sql of load.work) await pair.source.sql(sql);
    }
    const before = process.cpuUsage();
    const first = await timeOurs(ours);
    const { user, system } = process.cpuUsage(before);
    const second = await timeNative(servers, native);
    const rate = (ms: number): string => Math.round((load.rows / ms) * 1000).toLocaleString("en");
    console.log(
      `${load.name}: ${rate(first)} rows/s, native ${rate(second)} rows/s, ratio ${(second / first).toFixed(2)}, own CPU ${((user + system) / load.rows).toFixed(1)} us/row`,
    );
    for (const table of ["a", "b"])
      if ((await ours.rows(table)).join() !== (await ours.rows(table, "source")).join())
        throw new Error(`${table} differs`);
    if (load === LOADS.at(-1)) console.log(await lag(ours));
    await ours.stop();
    await native.target.sql("ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub");
    await native.stop();
  }
} finally {
  await servers.stop();
}

async function timeOurs(pair: ApplyPair): Promise<number> {
  const until = await pair.end();
  const began = performance.now();
  const run = await pair.start();
  while ((run.applier.state.position ?? 0n) < until) {
    await sleep(2);
  }
  const took = performance.now() - began;
  await run.stop();
  return took;
}

async function timeNative(both: Servers, pair: ApplyPair): Promise<number> {
  const { slot, publication } = pair.stream.names;
  const [exists] = await pair.target.sql("SELECT 1 FROM pg_subscription");
  if (exists === undefined) {
    const url = new URL(pair.source.url);
    await pair.target.sql(
      `CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=${both.source.port} dbname=${url.pathname.slice(1)} user=postgres password=${both.source.password}' PUBLICATION ${publication} WITH (slot_name = ${slot}, create_slot = false, enabled = false, copy_data = false)`,
    );
  }
  const until = await pair.end();
  const began = performance.now();
  await pair.target.sql("ALTER SUBSCRIPTION sub ENABLE");
  for (;;) {
    const [row] = await pair.target.sql(
      "SELECT latest_end_lsn::text AS at FROM pg_stat_subscription WHERE pid IS NOT NULL",
    );
    if (typeof row?.["at"] === "string" && lsn(row["at"]) >= until) break;
    await sleep(2);
  }
  const took = performance.now() - began;
  await pair.target.sql("ALTER SUBSCRIPTION sub DISABLE");
  await sleep(500);
  return took;
}

/** Of 2,000 rows a second in transactions of 10, from the source's commit to the target's. */
async function lag(pair: ApplyPair): Promise<string> {
  const run = await pair.start();
  const samples: number[] = [];
  let last = 0;
  const timer = setInterval(() => {
    const commit = run.applier.state.lastCommit;
    if (commit === undefined || commit.appliedAtMs === last) return;
    last = commit.appliedAtMs;
    samples.push(commit.appliedAtMs - commit.sourceMs);
  }, 1);
  const began = performance.now();
  for (let i = 0; i < 1600; i++) {
    await pair.source.sql(
      `INSERT INTO b SELECT ${2_000_000 + i * 10} + i, 1, 'lag' FROM generate_series(1, 10) i`,
    );
    const due = began + i * 5;
    if (due > performance.now()) await sleep(due - performance.now());
  }
  await run.caughtUp();
  clearInterval(timer);
  await run.stop();
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1);
  const took = (performance.now() - began) / 1000;
  return `lag at ${Math.round(16_000 / took)} rows/s: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${sorted.length} groups`;
}

process.exitCode = 0;
