/**
 * `npm run bench:replication [-- --quick]`: how fast Twinwire applies, how late and how fast it copies, beside a native subscription
 * (and a pipe of two psql) between the same two servers, who take turns within every round.
 */
import { cpus } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { startServers } from "../../test/replication/apply-pair.ts";
import { measureApplyRates } from "./apply-rate.ts";
import { measureCopies } from "./copy-rate.ts";
import { measureLags } from "./lag.ts";
import { report } from "./report.ts";

type Plan = {
  readonly rounds: number;
  /** Of every load's rows. */
  readonly share: number;
  readonly warmUpShare: number;
  readonly lagSeconds: number;
  readonly copiedRows: number;
};

const FULL: Plan = { rounds: 3, share: 1, warmUpShare: 0.2, lagSeconds: 6, copiedRows: 2_000_000 };
const QUICK: Plan = { rounds: 1, share: 0.3, warmUpShare: 0.1, lagSeconds: 3, copiedRows: 500_000 };

/** Nothing a server does on its own may fall into one's turn only. */
const SETTINGS: Readonly<Record<string, string>> = {
  shared_buffers: "512MB",
  max_wal_size: "16GB",
  checkpoint_timeout: "1h",
  autovacuum: "off",
};

async function main(plan: Plan): Promise<void> {
  const beganMs = performance.now();
  const servers = await startServers(16, 16, SETTINGS, SETTINGS);
  try {
    const apply = await measureApplyRates(servers, plan);
    const lags = await measureLags(servers, { rounds: plan.rounds, seconds: plan.lagSeconds });
    const copies = await measureCopies(servers, { rounds: plan.rounds, rows: plan.copiedRows });
    const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node}`;
    console.log(`\n## Replication beside a native subscription, PostgreSQL 16 (${machine})\n`);
    const minutes = ((performance.now() - beganMs) / 60_000).toFixed(1);
    const parentheses =
      plan.rounds === 1 ? "" : ": the median of them, in parentheses the least and the most";
    console.log(`Rounds: ${plan.rounds}${parentheses}. The whole took ${minutes} minutes.\n`);
    console.log(report({ apply, lags, copies }));
  } finally {
    await servers.stop();
  }
}

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
await main(values.quick ? QUICK : FULL);
