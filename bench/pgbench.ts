import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

export type QueryMode = "simple" | "extended" | "prepared";

/** One way of asking: `pgbench -S -M mode -c clients`. */
export type Setting = { readonly mode: QueryMode; readonly clients: 1 | 8 };

/** What one run of pgbench did. `latenciesUs` holds one entry per transaction. */
export type PgbenchRun = {
  readonly transactions: number;
  readonly perSecond: number;
  readonly latenciesUs: readonly number[];
};

export type Pgbench = {
  readonly program: string;
  /** For its log files; empty between runs. */
  readonly folder: string;
  readonly signal: AbortSignal;
};

/** Fills a database with pgbench's tables; the same rows whenever the scale is the same. */
export async function fill(pgbench: Pgbench, port: number, scale: number): Promise<void> {
  await run(pgbench, ["-i", "-q", "-s", String(scale), ...target(port)]);
}

/** Reads single rows by key for `seconds`. @throws when pgbench saw an error: a broken proxy is not fast. */
export async function selectOnly(
  pgbench: Pgbench,
  port: number,
  setting: Setting,
  seconds: number,
): Promise<PgbenchRun> {
  const args = [
    "-S",
    "-n",
    "-M",
    setting.mode,
    "-c",
    String(setting.clients),
    "-j",
    "1",
    "-T",
    String(seconds),
  ];
  const output = await run(pgbench, [
    ...args,
    "-l",
    `--log-prefix=${join(pgbench.folder, "log")}`,
    ...target(port),
  ]);
  const transactions = Number(/transactions actually processed: (\d+)/.exec(output)?.[1]);
  const perSecond = Number(/tps = ([\d.]+)/.exec(output)?.[1]);
  return { transactions, perSecond, latenciesUs: takeLatencies(pgbench.folder) };
}

function target(port: number): string[] {
  return ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "postgres"];
}

async function run(pgbench: Pgbench, args: readonly string[]): Promise<string> {
  const child = spawn(pgbench.program, args, {
    env: { PATH: process.env["PATH"], PGCONNECT_TIMEOUT: "10" },
    stdio: ["ignore", "pipe", "pipe"],
    signal: pgbench.signal,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`pgbench ${args.join(" ")} ended with ${code}.\n${output}`);
  return output;
}

/** Third column of each line of the logs: the transaction's time in microseconds. */
function takeLatencies(folder: string): number[] {
  const latencies: number[] = [];
  for (const name of readdirSync(folder).filter((each) => each.startsWith("log."))) {
    for (const line of readFileSync(join(folder, name), "utf8").split("\n")) {
      const time = line.split(" ", 3)[2];
      if (time !== undefined) latencies.push(Number(time));
    }
    rmSync(join(folder, name));
  }
  return latencies;
}
