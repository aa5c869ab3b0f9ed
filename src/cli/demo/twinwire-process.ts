/** Twinwire as its user runs it: `twinwire serve -c FILE` in a process of its own, with its files in one folder. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { DEMO_DATABASE, DEMO_USER } from "./databases.ts";
import type { DemoDatabases } from "./databases.ts";
import { watchThisProcess } from "./clear-away.ts";

export const DEMO_MIGRATION = "orders";

/** The program, beside this file's folder once compiled. */
export const TWINWIRE_MAIN: URL = new URL("../../main.js", import.meta.url);

/** A running Twinwire. `listen` is the application's host and port, `admin` the base URL of the admin API. */
export type TwinwireProcess = {
  readonly listen: string;
  readonly admin: string;
  /** The configuration file it runs with. */
  readonly configPath: string;
  /** The last lines of its log. */
  logEnd(): Promise<string>;
  /** Lets it drain, waits for its end and removes its files. Doing it twice is fine. */
  stop(): Promise<void>;
};

const READY_DEADLINE_MS = 30_000;
const DRAIN_DEADLINE_MS = 15_000;
const LOG_LINES = 15;

/** @throws when it does not come up; the message ends with its log. Nothing is left then. */
export async function startTwinwire(databases: DemoDatabases): Promise<TwinwireProcess> {
  const folder = mkdtempSync(join(tmpdir(), "twinwire-demo-"));
  const configPath = join(folder, "twinwire.yaml");
  writeFileSync(configPath, configText(databases, folder), { mode: 0o600 });
  const child = spawnServe(configPath, join(folder, "log"), databases);
  const end = endWithThisProcess(child, folder);
  const logEnd = async (): Promise<string> =>
    (await readFile(join(folder, "log"), "utf8")).trim().split("\n").slice(-LOG_LINES).join("\n");
  try {
    const ready = await readyLine(child);
    return {
      listen: ready.migrations[DEMO_MIGRATION] ?? "",
      admin: `http://${ready.admin}`,
      configPath,
      logEnd,
      stop: async () => {
        await drain(child);
        end();
      },
    };
  } catch (error) {
    const log = await logEnd();
    end();
    throw new Error(`Twinwire did not start.\n${log}`, { cause: error });
  }
}

function configText(databases: DemoDatabases, folder: string): string {
  const side = (name: "old" | "new"): string => {
    const at = `127.0.0.1:${databases[name].port}/${DEMO_DATABASE}`;
    const user = `postgres://${DEMO_USER}:\${DEMO_APP_PASSWORD}@${at}`;
    const admin = `postgres://postgres:\${DEMO_${name.toUpperCase()}_ADMIN_PASSWORD}@${at}`;
    return `{ url: "${user}", admin: "${admin}" }`;
  };
  return `migrations:
  - name: ${DEMO_MIGRATION}
    listen: { protocol: postgres, address: "127.0.0.1:0" }
    old: ${side("old")}
    new: ${side("new")}
    users: [{ name: ${DEMO_USER}, password: "\${DEMO_APP_PASSWORD}" }]
    # Nothing replicates between the demo's databases: every write goes to both.
    shadow: { enabled: true, sample: 1.0, writes: apply, timeout: 10s, queue: { exchanges: 4096, bytes: 16MiB } }
    # What is written on one side is on the other within milliseconds, so a difference need not last long to be one.
    compare: { recheck: { patience: 100ms, per_minute: 600 } }
    replication: { managed: false }
    cutover: { max_pause: 5s }
admin: { address: "127.0.0.1:0" }
store: { path: ${JSON.stringify(join(folder, "data"))} }
log: { level: warn }
`;
}

/** In a session of its own: Ctrl-C is for the demo, which then ends everything in the right order. */
function spawnServe(configPath: string, logPath: string, databases: DemoDatabases): ChildProcess {
  const log = openSync(logPath, "a", 0o600);
  try {
    return spawn(process.execPath, [fileURLToPath(TWINWIRE_MAIN), "serve", "-c", configPath], {
      detached: true,
      stdio: ["ignore", "pipe", log],
      env: {
        ...process.env,
        DEMO_APP_PASSWORD: databases.password,
        DEMO_OLD_ADMIN_PASSWORD: databases.old.password,
        DEMO_NEW_ADMIN_PASSWORD: databases.new.password,
      },
    });
  } finally {
    closeSync(log);
  }
}

type ReadyLine = {
  readonly event: "listening";
  readonly admin: string;
  readonly migrations: Readonly<Record<string, string>>;
};

/** Waits for the one line that `serve` prints when clients may come. */
async function readyLine(child: ChildProcess): Promise<ReadyLine> {
  if (child.stdout === null) throw new Error("Its output cannot be read.");
  const late = setTimeout(() => child.kill("SIGKILL"), READY_DEADLINE_MS);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const said = JSON.parse(line) as Partial<ReadyLine>;
      if (said.event === "listening") return said as ReadyLine;
    }
    throw new Error("It ended before it listened.");
  } finally {
    clearTimeout(late);
    child.stdout.resume(); // whatever it says later must not fill the pipe
  }
}

async function drain(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), DRAIN_DEADLINE_MS);
  await ended;
  clearTimeout(late);
}

/**
 * Ends the child and removes the folder when this process is gone: on a normal exit at once, after SIGKILL
 * through a shell that sees its input close. The returned function does it now.
 */
function endWithThisProcess(child: ChildProcess, folder: string): () => void {
  // The folder in its command line proves that the pid has not been given to another process since.
  const script = `
    read -r nothing
    if tr '\\0' ' ' < "/proc/$2/cmdline" 2>/dev/null | grep -qF "$1"; then kill -KILL "$2"; fi
    rm -rf "$1"`;
  const watcher = watchThisProcess(script, "twinwire-demo", folder, String(child.pid));
  const end = (): void => {
    process.off("exit", end);
    child.kill("SIGKILL");
    watcher.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", end);
  return end;
}
