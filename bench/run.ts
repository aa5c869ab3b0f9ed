/**
 * `npm run bench [-- --quick] [--relay] [--comparing]`: what Twinwire costs beside no proxy, HAProxy and PgBouncer, all from one run on one
 * machine. The contenders take turns within every round, so that whatever else the machine does hits them alike.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { startPostgres } from "../src/cli/demo/embedded-postgres.ts";
import { comparingReport, measureComparing } from "./comparing.ts";
import { startContenders, startOrdinaryTwinwire, stopContenders } from "./contenders.ts";
import type { Contender, Servers } from "./contenders.ts";
import { readLargeResult } from "./large-result.ts";
import type { Large, LargeRound, Small, SmallRound } from "./measurements.ts";
import { fill, selectOnly } from "./pgbench.ts";
import type { Pgbench, Setting } from "./pgbench.ts";
import { cpuMicroseconds, idle, peakBytes, residentBytes, resetPeak } from "./process-usage.ts";
import { programPath } from "./program-path.ts";
import { report } from "./report.ts";
import { progress, rotated } from "./rounds.ts";

type Plan = {
  readonly rounds: number;
  readonly seconds: number;
  readonly largeRounds: number;
  readonly largeMegabytes: number;
  /** Also the least a proxy in Node can be, as a floor. */
  readonly relay: boolean;
  /** Only what comparing costs and how much of the traffic is compared. */
  readonly comparing: boolean;
};

const PLAIN = { relay: false, comparing: false };
const FULL: Plan = { rounds: 3, seconds: 3, largeRounds: 2, largeMegabytes: 1000, ...PLAIN };
const QUICK: Plan = { rounds: 1, seconds: 2, largeRounds: 1, largeMegabytes: 200, ...PLAIN };
const SCALE = 5;

const SETTINGS: readonly Setting[] = (["simple", "extended", "prepared"] as const).flatMap(
  (mode) => [
    { mode, clients: 1 },
    { mode, clients: 8 },
  ],
);

async function main(plan: Plan, signal: AbortSignal): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "twinwire-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755); // PgBouncer runs as another user
  const servers = await startServers();
  try {
    const program = programPath("pgbench");
    const logs = join(folder, "pgbench");
    mkdirSync(logs);
    const pgbench = program === undefined ? undefined : { program, folder: logs, signal };
    if (pgbench !== undefined) {
      await Promise.all(
        [servers.old, servers.new].map((server) => fill(pgbench, server.port, SCALE)),
      );
    }
    const { contenders, missing } = await startContenders(servers, folder, plan.relay);
    if (pgbench === undefined) missing.push("pgbench");
    try {
      if (!plan.comparing) await compete(plan, contenders, missing, pgbench, signal);
    } finally {
      await stopContenders(contenders);
    }
    progress("comparing");
    console.log(comparingReport(await measureComparing(servers.old.port, signal)));
    if (pgbench !== undefined) await fullLoad(plan, servers, pgbench);
  } finally {
    await Promise.all([servers.old.stop(), servers.new.stop()]);
  }
}

async function startServers(): Promise<Servers> {
  // Logins are not what is measured, so nobody has to prove anything.
  const options = {
    major: 16,
    hba: "host all postgres 127.0.0.1/32 trust",
    settings: { shared_buffers: "256MB", max_wal_size: "4GB" },
  } as const;
  const [old, fresh] = await Promise.all([startPostgres(options), startPostgres(options)]);
  return { old, new: fresh };
}

async function compete(
  plan: Plan,
  contenders: readonly Contender[],
  missing: readonly string[],
  pgbench: Pgbench | undefined,
  signal: AbortSignal,
): Promise<void> {
  const small = pgbench === undefined ? [] : await manySmall(plan, contenders, pgbench);
  const large = await fewLarge(plan, contenders, signal);
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node}`;
  console.log(`\n## Twinwire's cost, PostgreSQL 16 (${machine})\n`);
  console.log(
    `In parentheses: how many times PgBouncer's figure. Rounds: ${plan.rounds} of ${plan.seconds} s.\n`,
  );
  console.log(report(small, large));
  for (const contender of contenders) {
    const remark = await contender.remark();
    if (remark !== undefined) console.log(`${contender.name}: ${remark}`);
  }
  if (missing.length > 0) console.log(`Not on this machine, so left out: ${missing.join(", ")}.`);
}

/** How much of the traffic is compared when clients ask as fast as they can and the queues are as they come. */
async function fullLoad(plan: Plan, servers: Servers, pgbench: Pgbench): Promise<void> {
  progress("full load");
  const twinwire = await startOrdinaryTwinwire(servers);
  try {
    const setting = { mode: "prepared", clients: 8 } as const;
    const { perSecond } = await selectOnly(pgbench, twinwire.port, setting, plan.seconds * 2);
    if (twinwire.pid !== undefined) await idle(twinwire.pid);
    console.log("### The share compared at full load\n");
    console.log(`8 clients, ${perSecond.toFixed(0)} queries a second: ${await twinwire.remark()}`);
  } finally {
    await twinwire.stop();
  }
}

async function manySmall(
  plan: Plan,
  contenders: readonly Contender[],
  pgbench: Pgbench,
): Promise<Small[]> {
  progress("warming up");
  for (const { port } of contenders) {
    for (const setting of SETTINGS.filter(({ clients }) => clients === 8)) {
      await selectOnly(pgbench, port, setting, 1);
    }
  }
  const cells = SETTINGS.flatMap((setting) =>
    contenders.map((contender) => ({ contender, setting, rounds: [] as SmallRound[] })),
  );
  for (let round = 0; round < plan.rounds; round++) {
    for (const setting of SETTINGS) {
      progress(
        `round ${round + 1} of ${plan.rounds}: ${setting.mode}, ${setting.clients} at a time`,
      );
      const row = cells.filter((cell) => cell.setting === setting);
      for (const { contender, rounds } of rotated(row, round)) {
        rounds.push(await smallRound(contender, setting, pgbench, plan.seconds));
      }
    }
  }
  return cells.map(({ contender, ...rest }) => ({ ...rest, contender: contender.name }));
}

async function smallRound(
  { port, pid }: Contender,
  setting: Setting,
  pgbench: Pgbench,
  seconds: number,
): Promise<SmallRound> {
  if (pid !== undefined) {
    await idle(pid);
    resetPeak(pid);
  }
  const before = pid === undefined ? 0 : cpuMicroseconds(pid);
  const run = await selectOnly(pgbench, port, setting, seconds);
  if (pid !== undefined) await idle(pid);
  return {
    ...run,
    cpuUs: pid === undefined ? undefined : cpuMicroseconds(pid) - before,
    peakBytes: pid === undefined ? undefined : peakBytes(pid),
  };
}

async function fewLarge(
  plan: Plan,
  contenders: readonly Contender[],
  signal: AbortSignal,
): Promise<Large[]> {
  const cells = contenders.map((contender) => ({ contender, rounds: [] as LargeRound[] }));
  for (let round = 0; round < plan.largeRounds; round++) {
    for (const { contender, rounds } of rotated(cells, round)) {
      progress(`a result of ${plan.largeMegabytes} MB: ${contender.name}`);
      rounds.push(await largeRound(contender, plan.largeMegabytes, signal));
    }
  }
  return cells.map(({ contender, rounds }) => ({ contender: contender.name, rounds }));
}

async function largeRound(
  { port, pid }: Contender,
  megabytes: number,
  signal: AbortSignal,
): Promise<LargeRound> {
  if (pid === undefined) {
    const { bytes, tookMs } = await readLargeResult(port, megabytes, signal);
    return { bytes, tookMs, cpuUs: undefined, peakBytes: undefined, addedBytes: undefined };
  }
  await idle(pid);
  resetPeak(pid);
  const resident = residentBytes(pid);
  const before = cpuMicroseconds(pid);
  const { bytes, tookMs } = await readLargeResult(port, megabytes, signal);
  await idle(pid);
  const peak = peakBytes(pid);
  return {
    bytes,
    tookMs,
    cpuUs: cpuMicroseconds(pid) - before,
    peakBytes: peak,
    addedBytes: peak - resident,
  };
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    relay: { type: "boolean", default: false },
    comparing: { type: "boolean", default: false },
  },
});
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
try {
  const { relay, comparing } = values;
  await main({ ...(values.quick ? QUICK : FULL), relay, comparing }, stop.signal);
} catch (error) {
  if (!stop.signal.aborted) throw error;
  process.exitCode = 130;
}
