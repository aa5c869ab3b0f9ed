import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { leftovers, pidsOf } from "./leftovers.ts";
import { tapTotals } from "./tap-totals.ts";
import type { TapTotals } from "./tap-totals.ts";

/** How one test file ended. `troubles` are failures of the file itself, each a sentence. */
export type FileResult = {
  readonly name: string;
  readonly tookMs: number;
  readonly totals: TapTotals;
  readonly troubles: readonly string[];
  readonly output: string;
};

const LIMIT_MS = 120_000;
const OUTPUT_LIMIT = 4_000_000;

/**
 * Runs one compiled test file in a plain Node process of its own, with `folder` (made here, removed after) as its
 * temporary folder, and ends whatever it leaves. `signal` ends it early.
 */
export async function runTestFile(
  path: string,
  name: string,
  folder: string,
  signal: AbortSignal,
): Promise<FileResult> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755); // servers may run as another user
  const startedMs = performance.now();
  const child = spawn(process.execPath, ["--enable-source-maps", path], {
    env: testEnvironment(folder),
    detached: true, // a process group of its own, so that all of it can be ended
    stdio: ["ignore", "pipe", "pipe"],
  });
  const watched = await watch(child, signal);
  const tookMs = performance.now() - startedMs;
  endGroup(child, "SIGKILL");
  const left = await leftovers(folder);
  for (const pid of pidsOf(folder)) end(pid, "SIGKILL");
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  const totals = tapTotals(watched.output);
  const troubles = [...watched.troubles, ...left.map((what) => `left behind: ${what}`)];
  if (!totals.complete) troubles.push("ended without a plan");
  else if (watched.exitCode !== 0 && totals.failed === 0 && watched.troubles.length === 0) {
    troubles.push(
      `ended with ${watched.exitCode === null ? "a signal" : `code ${watched.exitCode}`}`,
    );
  }
  return { name, tookMs, totals, troubles, output: watched.output };
}

type Watched = {
  readonly output: string;
  readonly exitCode: number | null;
  readonly troubles: readonly string[];
};

async function watch(child: ChildProcess, signal: AbortSignal): Promise<Watched> {
  let output = "";
  const troubles: string[] = [];
  const stop = (trouble: string): void => {
    troubles.push(trouble);
    child.kill("SIGALRM"); // tap answers with what still runs and what is open
    setTimeout(() => endGroup(child, "SIGKILL"), 2000).unref();
  };
  const limit = setTimeout(() => stop(`took longer than ${LIMIT_MS / 1000} s`), LIMIT_MS);
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      if (output.length < OUTPUT_LIMIT) output += text;
    });
  }
  const interrupt = (): void => stop("was interrupted");
  signal.addEventListener("abort", interrupt, { once: true });
  // "exit" rather than "close": a child left behind may hold the pipes open.
  const [exitCode] = (await once(child, "exit")) as [number | null];
  await drained(child);
  signal.removeEventListener("abort", interrupt);
  clearTimeout(limit);
  return { output, exitCode, troubles };
}

/** What is still in the pipes after the end, however long a process left behind keeps them open. */
async function drained(child: ChildProcess): Promise<void> {
  const open = [child.stdout, child.stderr].flatMap((stream) =>
    stream === null || stream.closed ? [] : [stream],
  );
  const timer = setTimeout(() => {
    for (const stream of open) stream.destroy();
  }, 1000);
  await Promise.all(open.map((stream) => once(stream, "close")));
  clearTimeout(timer);
}

function testEnvironment(folder: string): NodeJS.ProcessEnv {
  // PGHOST and its like would change where psql and every driver connect to.
  const kept = Object.entries(process.env).filter(([name]) => !/^PG[A-Z]/.test(name));
  return {
    ...Object.fromEntries(kept),
    TMPDIR: folder,
    // Also for a file whose tests have ended but that holds something open: tap then names what.
    TAP_TIMEOUT: String(LIMIT_MS / 1000 - 10),
    LC_ALL: "C.UTF-8",
    TZ: "UTC",
    HOME: process.env["HOME"] ?? join(folder, "home"),
  };
}

function endGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid !== undefined) end(-child.pid, name);
}

function end(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended already
  }
}
