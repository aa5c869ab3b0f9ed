import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import t from "tap";
import { DIFFERENCES } from "../../src/cli/demo/differences.ts";

const MAIN = fileURLToPath(new URL("../../src/main.js", import.meta.url));

t.setTimeout(120_000); // four runs of the demo, each with servers of its own

type Run = {
  readonly child: ChildProcess;
  /** Everything it puts into the temporary folder lands here. */
  readonly folder: string;
  readonly output: () => string;
};

function runDemo(args: readonly string[]): Run {
  const folder = mkdtempSync(join(tmpdir(), "demo-test-"));
  chmodSync(folder, 0o755); // run as root, the servers belong to another user
  const child = spawn(process.execPath, [MAIN, "demo", ...args], {
    env: { ...process.env, TMPDIR: folder, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  t.teardown(() => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  return { child, folder, output: () => output };
}

async function eventually(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 45_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`This never came true: ${what}`);
    await delay(50);
  }
}

/** Processes whose command line names the folder. */
function processesOf(folder: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder);
    } catch {
      return false; // it ended in between
    }
  });
}

function nothingIsLeft(folder: string): boolean {
  return readdirSync(folder).length === 0 && processesOf(folder).length === 0;
}

await t.test("shows comparing and both toggles, sums up, and exits with 0", async (tt) => {
  const { child, folder, output } = runDemo(["--exit", "--seconds", "8"]);
  const [code] = (await once(child, "close")) as [number | null];
  tt.equal(code, 0, output());
  const named = DIFFERENCES.filter(({ name }) => output().includes(`\n${name}  `));
  tt.ok(named.length >= 6, `${named.length} differences are named`);
  for (const line of [
    /^  toggle to 16 +succeeded/m,
    /^  toggle back +succeeded/m,
    /^  application .* 0 errors$/m,
    /^  data .* the same on both sides$/m,
    /^Besides these, no answer differed\.$/m,
  ]) {
    tt.match(output(), line);
  }
  tt.ok(nothingIsLeft(folder), "no file and no process is left");
});

await t.test("stays up after the summary until Ctrl-C, which leaves nothing behind", async (tt) => {
  const { child, folder, output } = runDemo(["--seconds", "3"]);
  await eventually("it says how to look around", () => output().includes("status page   http"));
  tt.equal(child.exitCode, null, output());
  child.kill("SIGINT");
  const [code] = (await once(child, "close")) as [number | null];
  tt.equal(code, 0, output());
  await eventually("no file and no process is left", () => nothingIsLeft(folder));
});

await t.test("Ctrl-C and kill -9 while the application works leave nothing behind", async (tt) => {
  const endBy = async (signal: "SIGINT" | "SIGKILL"): Promise<number | null> => {
    const { child, folder, output } = runDemo(["--exit", "--seconds", "60"]);
    await eventually("the application works", () => output().includes("are at work"));
    tt.ok(processesOf(folder).length > 0);
    child.kill(signal);
    const [code] = (await once(child, "exit")) as [number | null];
    await eventually("no file and no process is left", () => nothingIsLeft(folder));
    return code;
  };
  tt.same(await Promise.all([endBy("SIGINT"), endBy("SIGKILL")]), [130, null]);
});
