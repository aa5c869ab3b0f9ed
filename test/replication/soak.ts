/**
 * `npm run soak:replication [-- both|large|idle [minutes]]`: what takes too long for a test. Ends with 1 when something is not as it must be.
 * - both: clients write on OLD and on NEW, other rows on each, for an hour unless told otherwise; no loop, no growth, equal at the end.
 * - large: one transaction of 2 GB; the replication process stays under 300 MB.
 * - idle: 1,000 segments of log that is not the migration's; nothing is kept for it.
 */
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { writeWithoutRest } from "../mirror/restless-writer.ts";
import { DATABASE, startTwoSides } from "../mirror/two-sides.ts";
import type { TwoSides } from "../mirror/two-sides.ts";
import { inStep, startReplicating } from "./replicating.ts";
import type { Replicating } from "./replicating.ts";

const MB = 1e6;
const MOST_MB = 300;
const LOOK_MS = 200;

const [what = "", minutes = "60"] = process.argv.slice(2);
const failures: string[] = [];

/** Says what was seen, and remembers what must not be. */
function expect(isRight: boolean, sentence: string): void {
  console.log(`${isRight ? "ok" : "NOT OK"}: ${sentence}`);
  if (!isRight) failures.push(sentence);
}

async function running(
  schema: string,
  work: (sides: TwoSides, twinwire: Replicating) => Promise<void>,
): Promise<void> {
  const sides = await startTwoSides();
  try {
    await sides.both(`${schema}; grant all on all tables in schema public to app`);
    const twinwire = await startReplicating(sides);
    try {
      await twinwire.startReplication();
      await work(sides, twinwire);
    } finally {
      await twinwire.stop();
    }
  } finally {
    await sides.stop();
  }
}

/** Resident memory of the process that replicates, in MB: the only child of Twinwire. */
function residentMb({ pid }: Replicating): number {
  for (const each of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${each}/status`, "utf8");
      if (!status.includes(`PPid:\t${pid}\n`)) continue;
      return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024) / MB;
    } catch {
      // It has ended meanwhile.
    }
  }
  return 0;
}

async function number(sides: TwoSides, side: "old" | "new", sql: string): Promise<number> {
  const [row] = await sides.on(side, `select (${sql})::text as n`);
  return Number(row?.["n"]);
}

const RETAINED =
  "select coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0) from pg_replication_slots";
const ORIGINS = "select count(*) from pg_replication_origin";

async function both(forMinutes: number): Promise<void> {
  const schema =
    "create table a (id bigint primary key, n bigint, v text); create table b (id bigserial primary key, v text); create table c (x int, y int, v text, primary key (x, y))";
  await running(schema, async (sides, twinwire) => {
    const pause = "; select pg_sleep(0.005)";
    const work = (from: number): string[] => [
      `insert into a values (${from} + floor(random() * 100000), 1, 'v') on conflict (id) do update set n = a.n + 1${pause}`,
      `delete from a where id = ${from} + floor(random() * 100000)${pause}`,
      `insert into c select ${from}, floor(random() * 1000), 'w' on conflict (x, y) do update set v = c.v || '.' where length(c.v) < 100${pause}`,
    ];
    const stops = [];
    for (const sql of work(0)) stops.push(await writeWithoutRest(sides.old.url(DATABASE), sql));
    for (const sql of work(1_000_000))
      stops.push(await writeWithoutRest(sides.new.url(DATABASE), sql));
    const origins = [await number(sides, "old", ORIGINS), await number(sides, "new", ORIGINS)];
    const samples: { mb: number; old: number; fresh: number }[] = [];
    const until = Date.now() + forMinutes * 60_000;
    while (Date.now() < until) {
      await sleep(10_000);
      samples.push({
        mb: residentMb(twinwire),
        old: (await number(sides, "old", RETAINED)) / MB,
        fresh: (await number(sides, "new", RETAINED)) / MB,
      });
      const { phase, detail } = await twinwire.replication();
      if (phase !== "streaming") expect(false, `it is ${phase}: ${detail}`);
    }
    await Promise.all(stops.map((stop) => stop()));
    await inStep(sides, ["a", "b", "c"]);
    const { forward, reverse, canGoBack } = await twinwire.replication();
    // What one side's clients wrote is applied on the other once; what is applied does not come back.
    const written = (stream: typeof forward): number =>
      stream.rows.insert + stream.rows.update + stream.rows.delete;
    const [toNew, toOld] = [written(forward), written(reverse)];
    expect(toNew > 1000 && toOld > 1000, `${toNew} rows to NEW, ${toOld} rows to OLD`);
    expect(
      toNew < toOld * 3 && toOld < toNew * 3,
      "both writers did alike, so neither stream carried the other's",
    );
    expect(canGoBack.ok, `can go back: ${canGoBack.reasons.join("; ")}`);
    const third = Math.ceil(samples.length / 3);
    const most = (part: typeof samples, key: "mb" | "old" | "fresh"): number =>
      Math.max(...part.map((sample) => sample[key]));
    for (const key of ["mb", "old", "fresh"] as const) {
      const [first, last] = [most(samples.slice(0, third), key), most(samples.slice(-third), key)];
      const names = { mb: "memory", old: "log kept by OLD", fresh: "log kept by NEW" };
      expect(
        last < first * 1.5 + 40,
        `${names[key]}: at most ${first.toFixed(0)} MB in the first third, ${last.toFixed(0)} MB in the last`,
      );
    }
    const after = [await number(sides, "old", ORIGINS), await number(sides, "new", ORIGINS)];
    expect(after.join() === origins.join(), `replication origins: ${after.join(" and ")}`);
  });
}

async function large(): Promise<void> {
  await running("create table big (id int primary key, v text)", async (sides, twinwire) => {
    let peak = 0;
    const looking = setInterval(() => (peak = Math.max(peak, residentMb(twinwire))), LOOK_MS);
    const began = Date.now();
    await sides.on(
      "old",
      "insert into big select i, repeat(md5(i::text), 32) from generate_series(1, 2000000) i",
    );
    const committed = Date.now();
    while ((await number(sides, "new", "select count(*) from big")) < 2_000_000) {
      await sleep(1000);
      const { phase, detail } = await twinwire.replication();
      if (phase !== "streaming") expect(false, `it is ${phase}: ${detail}`);
    }
    clearInterval(looking);
    const seconds = (from: number): string => ((Date.now() - from) / 1000).toFixed(0);
    console.log(
      `written in ${((committed - began) / 1000).toFixed(0)} s, there ${seconds(committed)} s later`,
    );
    expect(peak > 0 && peak < MOST_MB, `at most ${peak.toFixed(0)} MB for a transaction of 2 GB`);
    const sum = "select sum(hashtext(v)::bigint)::text from big";
    const [one, other] = [await number(sides, "old", sum), await number(sides, "new", sum)];
    expect(one === other, "both sides hold the same");
  });
}

async function idle(): Promise<void> {
  const schema = "create table quiet (id int primary key)";
  await running(schema, async (sides, twinwire) => {
    await sides.on("old", "create schema other; create table other.busy (id serial, v text)");
    for (let segment = 0; segment < 1000; segment++)
      await sides.on(
        "old",
        "insert into other.busy (v) select repeat('x', 100) from generate_series(1, 10); select pg_switch_wal()",
      );
    await sleep(10_000);
    const kept = await number(sides, "old", RETAINED);
    expect(kept < 64 * MB, `${(kept / MB).toFixed(1)} MB of log are kept after 1,000 segments`);
    const { forward, phase } = await twinwire.replication();
    expect(phase === "streaming", `it is ${phase}, ${String(forward.lagBytes)} bytes behind`);
  });
}

if (what === "" || what === "idle") await idle();
if (what === "" || what === "large") await large();
if (what === "" || what === "both") await both(Number(minutes));
process.exitCode = failures.length === 0 ? 0 : 1;
