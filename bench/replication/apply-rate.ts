import process from "node:process";
import type { Servers } from "../../test/replication/apply-pair.ts";
import { progress, rotated } from "../rounds.ts";
import { DDL, LOADS, TABLES } from "./loads.ts";
import type { Load } from "./loads.ts";
import { openTrial } from "./trial.ts";
import type { Follower, FollowerName } from "./trial.ts";
import { until } from "./until.ts";

export type ApplyRun = {
  readonly rows: number;
  readonly tookMs: number;
  /** Of this process; it waits only while the subscription works. */
  readonly ownCpuUs: number;
  /** Of our session's backend or of the apply worker; undefined where it cannot be read. */
  readonly targetCpuUs: number | undefined;
};

export type ApplyRound = Readonly<Record<FollowerName, ApplyRun>>;

export type ApplyRates = { readonly load: string; readonly rounds: readonly ApplyRound[] };

/**
 * How fast a log that is there already is applied, from the first connection to the last change seen in the target. A round of
 * smaller loads goes before and is not counted: a process that lives for days is compiled, and its servers have their caches.
 * @param share of each load's rows
 */
export async function measureApplyRates(
  servers: Servers,
  { rounds, share, warmUpShare }: { rounds: number; share: number; warmUpShare: number },
): Promise<ApplyRates[]> {
  const measured = LOADS.map((load) => ({ load, rounds: [] as ApplyRound[] }));
  for (const { load } of measured) {
    progress(`warming up: ${load.name}`);
    await applyRound(servers, load, warmUpShare, 0);
  }
  for (let round = 0; round < rounds; round++) {
    for (const { load, rounds: done } of measured) {
      progress(`round ${round + 1} of ${rounds}: ${load.name}`);
      done.push(await applyRound(servers, load, share, round));
    }
  }
  return measured.map(({ load, rounds: done }) => ({ load: load.name, rounds: done }));
}

async function applyRound(
  servers: Servers,
  load: Load,
  share: number,
  round: number,
): Promise<ApplyRound> {
  const trial = await openTrial(servers, `${DDL} ${load.fill}`, TABLES);
  const rows = Math.round((load.rows * share) / 4000) * 4000;
  await trial.source.sql("SET synchronous_commit = off"); // nobody waits for this work
  for (const sql of load.work(rows)) await trial.source.sql(sql);
  await trial.source.sql("INSERT INTO finish VALUES (1)");
  const runs: Partial<Record<FollowerName, ApplyRun>> = {};
  for (const follower of rotated(trial.followers, round))
    runs[follower.name] = await applyRun(follower, rows);
  await trial.verify(TABLES);
  await trial.close();
  return runs as ApplyRound;
}

async function applyRun(follower: Follower, rows: number): Promise<ApplyRun> {
  const own = process.cpuUsage();
  const beganMs = performance.now();
  await follower.start();
  await until(async () => (await follower.target.sql("SELECT 1 FROM finish")).length > 0);
  const tookMs = performance.now() - beganMs;
  const { user, system } = process.cpuUsage(own);
  const targetCpuUs = await follower.targetCpuUs();
  await follower.stop();
  return { rows, tookMs, ownCpuUs: user + system, targetCpuUs };
}
