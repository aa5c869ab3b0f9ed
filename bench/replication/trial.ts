import pg from "pg";
import type { ApplySide, Running, Servers } from "../../test/replication/apply-pair.ts";
import { cpuMicroseconds } from "../process-usage.ts";
import {
  createSubscription,
  dropSubscription,
  startSubscription,
  stopSubscription,
} from "./native-subscription.ts";

export type FollowerName = "Twinwire" | "native subscription";

/** Who brings the source's changes to a target of its own. */
export type Follower = {
  readonly name: FollowerName;
  readonly target: ApplySide;
  /** Applies what has been written since the trial was opened. Once only. */
  start(): Promise<void>;
  /** CPU time, since the start, of what writes in the target: our session's backend, or the apply worker. */
  targetCpuUs(): Promise<number | undefined>;
  /** Afterwards it uses no CPU. */
  stop(): Promise<void>;
};

/** New databases: a source, and a target for each of the two, who read the same log. */
export type Trial = {
  readonly source: ApplySide;
  readonly followers: readonly Follower[];
  /** @throws when a target does not hold what the source does: who loses rows is not fast */
  verify(tables: readonly string[]): Promise<void>;
  close(): Promise<void>;
};

/** @param setup run on the source and both targets; what follows it in the source is followed */
export async function openTrial(
  servers: Servers,
  setup: string,
  tables: readonly string[],
): Promise<Trial> {
  const pair = await servers.pair();
  const beside = await servers.pair(); // its target is the subscription's
  const sides = [pair.source, pair.target, beside.target];
  await Promise.all(
    sides.map(async (side) => {
      await side.sql(setup);
      await side.sql("VACUUM ANALYZE");
    }),
  );
  await pair.prepare(tables);
  const { publication } = pair.stream.names;
  const idle = "enabled = false, copy_data = false";
  await createSubscription(beside.target, pair.source, publication, idle);
  let running: Running | undefined;
  const twinwire: Follower = {
    name: "Twinwire",
    target: pair.target,
    start: async () => {
      const run = await pair.start();
      running = run;
      void run.ended.then((error) => {
        if (running === run && error instanceof Error) throw error; // ends the benchmark
      });
    },
    targetCpuUs: () => backendCpuUs(pair.target, "application_name = 'test'"),
    stop: async () => {
      const run = running;
      running = undefined;
      await run?.stop();
    },
  };
  const native: Follower = {
    name: "native subscription",
    target: beside.target,
    start: () => startSubscription(beside.target),
    targetCpuUs: () =>
      backendCpuUs(beside.target, "backend_type LIKE 'logical replication%worker'"),
    stop: () => stopSubscription(beside.target),
  };
  return {
    source: pair.source,
    followers: [twinwire, native],
    verify: async (names) => {
      for (const { name, target } of [twinwire, native])
        await verify(pair.source, target, names, name);
    },
    close: async () => {
      await dropSubscription(beside.target);
      await pair.stop();
      await beside.stop();
      await dropDatabases([pair.source, pair.target, beside.source, beside.target]);
    },
  };
}

/** @throws when they differ */
export async function verify(
  source: ApplySide,
  target: ApplySide,
  tables: readonly string[],
  name: string,
): Promise<void> {
  for (const table of tables) {
    const sql = `SELECT count(*) || ' ' || coalesce(sum(hashtextextended(x::text, 0)), 0) AS digest FROM ${table} x`;
    const [[there], [here]] = await Promise.all([source.sql(sql), target.sql(sql)]);
    if (there?.["digest"] !== here?.["digest"]) throw new Error(`${name}: ${table} differs`);
  }
}

/** Of the backends of one database; undefined where there is no /proc. */
async function backendCpuUs(side: ApplySide, which: string): Promise<number | undefined> {
  const rows = await side.sql(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND ${which}`,
  );
  try {
    return rows.reduce((sum, { pid }) => sum + cpuMicroseconds(Number(pid)), 0);
  } catch {
    return undefined;
  }
}

/** What is left of many rounds would fill the disk. */
async function dropDatabases(sides: readonly ApplySide[]): Promise<void> {
  for (const { url } of sides) {
    const maintenance = new URL(url);
    const database = maintenance.pathname.slice(1);
    maintenance.pathname = "/postgres";
    const client = new pg.Client(maintenance.href);
    await client.connect();
    await client.query(`DROP DATABASE ${database} WITH (FORCE)`);
    await client.end();
  }
}
