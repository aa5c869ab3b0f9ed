import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { ApplyPair, Servers } from "../../test/replication/apply-pair.ts";
import { openCopying } from "../../test/replication/copying.ts";
import { programPath } from "../program-path.ts";
import { progress, rotated } from "../rounds.ts";
import { createSubscription, dropSubscription } from "./native-subscription.ts";
import { verify } from "./trial.ts";
import { until } from "./until.ts";

export type CopierName =
  | "psql pipe"
  | "native subscription"
  | "Twinwire, 1 stream"
  | "Twinwire, 2 streams";

export type CopyRun = {
  /** From slot and publication being there (ours), or from the command, until all rows were committed in the target. */
  readonly tookMs: number;
  /** What came after it until changes may follow: catching up, and ANALYZE where it is ours. */
  readonly restMs: number;
  readonly ownCpuUs: number;
};

export type Copies = {
  readonly rows: number;
  readonly runs: ReadonlyMap<CopierName, readonly CopyRun[]>;
  readonly missing: readonly string[];
};

type Copier = {
  readonly name: CopierName;
  /** Fills the empty table in the target. */
  copy(table: string): Promise<Omit<CopyRun, "ownCpuUs">>;
  /** Takes away what it has made beside the rows. */
  clear(): Promise<void>;
};

const MEASURED = "copied";
const WARM_UP = "warming_up";
const WARM_UP_ROWS = 300_000;
/** The default of `copy.chunk`. */
const CHUNK_BYTES = 16 * 1024 * 1024;

const ddl = (table: string): string =>
  `CREATE TABLE ${table} (id int PRIMARY KEY, customer int, name text, amount numeric(12,2), at timestamptz, note text);`;
const fill = (table: string, rows: number): string =>
  `INSERT INTO ${table} SELECT i, i % 1000, 'name of ' || i, i / 7.0, '2026-01-01'::timestamptz + i * interval '1 s',
     repeat('n', 40) FROM generate_series(1, ${rows}) i;`;

/** How fast one table is copied by each; they take turns within every round. A smaller copy by each goes before, uncounted. */
export async function measureCopies(
  servers: Servers,
  { rounds, rows }: { rounds: number; rows: number },
): Promise<Copies> {
  const pair = await servers.pair();
  const folder = mkdtempSync(join(tmpdir(), "twinwire-bench-copy-"));
  try {
    await pair.both(ddl(MEASURED) + ddl(WARM_UP));
    await pair.source.sql(fill(MEASURED, rows) + fill(WARM_UP, WARM_UP_ROWS));
    await pair.source.sql("VACUUM ANALYZE");
    const psql = programPath("psql");
    const copiers = [
      ...(psql === undefined ? [] : [pipe(pair, psql)]),
      native(pair),
      twinwire(pair, 1, folder),
      twinwire(pair, 2, folder),
    ];
    const runs = new Map<CopierName, CopyRun[]>();
    for (const copier of copiers) {
      progress(`warming up: copy, ${copier.name}`);
      await copyRun(pair, copier, WARM_UP);
    }
    for (let round = 0; round < rounds; round++) {
      for (const copier of rotated(copiers, round)) {
        progress(`round ${round + 1} of ${rounds}: copy, ${copier.name}`);
        const run = await copyRun(pair, copier, MEASURED);
        runs.set(copier.name, [...(runs.get(copier.name) ?? []), run]);
      }
    }
    return { rows, runs, missing: psql === undefined ? ["psql"] : [] };
  } finally {
    await pair.stop();
    rmSync(folder, { recursive: true });
  }
}

async function copyRun(pair: ApplyPair, copier: Copier, table: string): Promise<CopyRun> {
  await pair.both("CHECKPOINT"); // one copy does not pay for another's pages
  const own = process.cpuUsage();
  const run = await copier.copy(table);
  const { user, system } = process.cpuUsage(own);
  await verify(pair.source, pair.target, [table], copier.name);
  await copier.clear();
  await pair.target.sql(`TRUNCATE ${table}`);
  return { ...run, ownCpuUs: user + system };
}

/** A real pipe: nothing of it passes through this process. */
function pipe({ source, target }: ApplyPair, psql: string): Copier {
  const script = `"$0" "$1" -qc "COPY $3 TO STDOUT" | "$0" "$2" -qc "COPY $3 FROM STDIN"`;
  return {
    name: "psql pipe",
    copy: async (table) => {
      const beganMs = performance.now();
      const args = ["-c", script, psql, source.url, target.url, table];
      const shell = spawn("sh", args, { stdio: ["ignore", "ignore", "inherit"] });
      const [code] = (await once(shell, "close")) as [number | null];
      if (code !== 0) throw new Error(`psql ended with ${code}`);
      return { tookMs: performance.now() - beganMs, restMs: 0 };
    },
    clear: async () => {},
  };
}

function native({ source, target }: ApplyPair): Copier {
  const reached = (states: string): Promise<void> =>
    until(async () => {
      const sql = `SELECT 1 FROM pg_subscription_rel WHERE srsubstate IN (${states})`;
      return (await target.sql(sql)).length > 0;
    });
  return {
    name: "native subscription",
    copy: async (table) => {
      await source.sql(`CREATE PUBLICATION native FOR TABLE ${table}`);
      const beganMs = performance.now();
      await createSubscription(target, source, "native", "copy_data = true");
      await reached("'f', 's', 'r'");
      const copiedMs = performance.now();
      await reached("'r'");
      return { tookMs: copiedMs - beganMs, restMs: performance.now() - copiedMs };
    },
    clear: async () => {
      await dropSubscription(target);
      await source.sql("DROP PUBLICATION native");
    },
  };
}

function twinwire(pair: ApplyPair, streams: 1 | 2, folder: string): Copier {
  const { source, target } = pair;
  return {
    name: streams === 1 ? "Twinwire, 1 stream" : "Twinwire, 2 streams",
    copy: async (table) => {
      const [counted] = await source.sql(`SELECT count(*) AS rows FROM ${table}`);
      const copying = await openCopying({
        source: source.url,
        target: target.url,
        folder,
        patterns: [`public.${table}`],
        copiers: streams,
        chunkBytes: CHUNK_BYTES,
      });
      const beganMs = performance.now();
      const settled = copying.settle();
      settled.catch(() => {}); // told below
      const isCopied = (): boolean => copying.copy.progress().rows === Number(counted?.["rows"]);
      await Promise.race([settled, until(() => Promise.resolve(isCopied()))]);
      const copiedMs = performance.now();
      await settled;
      const readyMs = performance.now();
      await copying.close();
      return { tookMs: copiedMs - beganMs, restMs: readyMs - copiedMs };
    },
    clear: async () => {
      const mine = "slot_name LIKE 'twinwire%' AND database = current_database()";
      await source.sql(
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE ${mine}`,
      );
      await pair.both("DROP SCHEMA twinwire CASCADE");
      await source.sql("DROP PUBLICATION twinwire_m_forward");
    },
  };
}
