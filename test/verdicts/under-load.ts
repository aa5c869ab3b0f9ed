import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { DivergenceItem, MigrationStatus } from "../../src/admin/ports.ts";
import type { Mirrored } from "../mirror/mirrored.ts";
import { startMirrored, until } from "../mirror/mirrored.ts";
import { DATABASE, startTwoSides } from "../mirror/two-sides.ts";
import type { TwoSides } from "../mirror/two-sides.ts";
import { BANK_ROWS, BANK_TABLES, look, transfer } from "./bank.ts";
import { openLaggingRelay } from "./lagging-relay.ts";

const LAG_MS = 200;
const WRITERS = 3;
const READERS = 5;
const READS_AFTER_A_TRANSFER = 12;
const LOOK_MS = 100;
const SETTLE_MS = 60_000;

/** What Twinwire said of a load in the end. */
export type UnderLoad = {
  readonly status: MigrationStatus;
  readonly divergences: readonly DivergenceItem[];
  readonly transfers: number;
  readonly tookMs: number;
  /** Rows of OLD that NEW does not hold once it has caught up; there must be none, or the test proves nothing. */
  readonly apart: number;
};

/**
 * TPC-B and a mix of reads through Twinwire, until `mirrored` exchanges have run on both sides. NEW is fed by
 * PostgreSQL's own logical replication, which is 200 ms behind.
 */
export async function runUnderLoad(mirrored: number): Promise<UnderLoad> {
  const sides = await startTwoSides();
  try {
    await sides.both(BANK_TABLES);
    await sides.on("old", BANK_ROWS);
    const relay = await openLaggingRelay(sides.old.port, LAG_MS);
    try {
      await replicate(sides, relay.port);
      const twinwire = await startMirrored(sides, {
        migration: { compare: { recheck: { patience: "5s", concurrent: 8, per_minute: 6000 } } },
      });
      try {
        return await load(sides, twinwire, mirrored);
      } finally {
        await twinwire.stop();
      }
    } finally {
      await relay.close();
    }
  } finally {
    await sides.stop();
  }
}

async function replicate(sides: TwoSides, port: number): Promise<void> {
  const { superuser, password } = sides.old;
  const source = `host=127.0.0.1 port=${port} dbname=${DATABASE} user=${superuser} password=${password}`;
  await sides.on("old", "create publication bank for all tables");
  await sides.on("new", `create subscription bank connection '${source}' publication bank`);
  await until("the first copy of all tables", async () => {
    const [row] = await sides.on(
      "new",
      "select count(*) filter (where srsubstate = 'r') = 4 as ready from pg_subscription_rel",
    );
    return row?.["ready"] === true;
  });
}

async function load(sides: TwoSides, twinwire: Mirrored, mirrored: number): Promise<UnderLoad> {
  const startedMs = performance.now();
  const over = { is: false };
  let transfers = 0;
  const work = async (number: number): Promise<void> => {
    const client = await twinwire.client();
    const draw = drawing(number);
    while (!over.is) {
      if (number < WRITERS) {
        await settled(transfer(client, draw), client);
        transfers++;
      }
      for (let count = 0; count < READS_AFTER_A_TRANSFER && !over.is; count++)
        await look(client, draw);
    }
    await client.end();
  };
  const workers = Array.from({ length: WRITERS + READERS }, (_, number) => work(number));
  const watch = async (): Promise<void> => {
    while (!over.is && (await twinwire.status()).exchanges.mirrored < mirrored)
      await delay(LOOK_MS);
    over.is = true;
  };
  await Promise.all([...workers, watch()]).finally(() => (over.is = true));
  const tookMs = performance.now() - startedMs;
  const status = await settledStatus(twinwire);
  const divergences = await twinwire.divergences();
  return { status, divergences, transfers, tookMs, apart: await rowsApart(sides) };
}

/** Once nothing is in doubt any more: what waits to be asked again takes its time on a busy machine. */
async function settledStatus(twinwire: Mirrored): Promise<MigrationStatus> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const status = await twinwire.status();
    const { match, tolerated, divergent, incomparable } = status.verdicts;
    const judged = match + tolerated + divergent + incomparable;
    if (judged === status.exchanges.mirrored) return status;
    if (performance.now() > deadline) {
      throw new Error(`${status.exchanges.mirrored - judged} exchanges never got a verdict`);
    }
    await delay(LOOK_MS);
  }
}

/** A deadlock of two transfers ends one of them, as with pgbench. */
async function settled(work: Promise<void>, client: pg.Client): Promise<void> {
  await work.catch(async (error: unknown) => {
    if ((error as { code?: string }).code !== "40P01") throw error;
    await client.query("rollback");
  });
}

/** Numbers from 1 to `most`, the same in every run: a linear congruential generator. */
function drawing(seed: number): (most: number) => number {
  let state = seed * 7919 + 17;
  return (most) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 1 + Math.floor((state / 2 ** 32) * most);
  };
}

/** Waits for NEW to hold all that OLD has written, and compares the tables past Twinwire. */
async function rowsApart(sides: TwoSides): Promise<number> {
  const [now] = await sides.on("old", "select pg_current_wal_lsn()::text as lsn");
  await until("NEW to catch up", async () => {
    const [row] = await sides.on(
      "old",
      `select bool_and(confirmed_flush_lsn >= '${String(now?.["lsn"])}') as done from pg_replication_slots`,
    );
    return row?.["done"] === true;
  });
  const sums = `select (select md5(string_agg(t::text, ',' order by aid)) from pgbench_accounts t)
    || (select md5(string_agg(t::text, ',' order by tid)) from pgbench_tellers t)
    || (select count(*) from pgbench_history) as sums`;
  const [[ours], [theirs]] = await Promise.all([sides.on("old", sums), sides.on("new", sums)]);
  return ours?.["sums"] === theirs?.["sums"] ? 0 : 1;
}

/** The figures in lines, for whoever ran it. */
export function figures({ status, divergences, transfers, tookMs }: UnderLoad): readonly string[] {
  const { exchanges, verdicts, incomparable } = status;
  const seconds = tookMs / 1000;
  const reasons = new Map<string, number>();
  for (const { reason, count } of divergences)
    reasons.set(reason, (reasons.get(reason) ?? 0) + count);
  return [
    `${exchanges.mirrored} exchanges mirrored of ${exchanges.seen} seen, ${transfers} transfers, ${seconds.toFixed(0)} s`,
    `verdicts: ${JSON.stringify(verdicts)}`,
    `incomparable: ${JSON.stringify(incomparable)}`,
    `skipped: ${JSON.stringify(exchanges.skipped)}`,
    `divergences: ${JSON.stringify(Object.fromEntries(reasons))}`,
  ];
}
