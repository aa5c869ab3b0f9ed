import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/main.js", import.meta.url));
const READY_DEADLINE_MS = 30_000;
const DRAIN_DEADLINE_MS = 20_000;

/** `twinwire serve` in a process of its own, as a user runs it. */
export type RunningTwinwire = {
  readonly pid: number;
  /** Base URL of the admin API. */
  readonly admin: string;
  readonly configPath: string;
  /** What it has logged so far, as text. */
  log(): string;
  /** A connection string to a migration's listener. */
  url(migration: string, user: string, password: string, database: string): string;
  /**
   * SIGTERM; resolves to the exit code once it is gone and its files are removed. Doing it twice is fine.
   * A process that was told to stop before is only waited for: a signal that meets it in its very last
   * moment, its handlers gone, would be its end.
   */
  stop(asked?: "before"): Promise<number | null>;
  /** SIGKILL, its files stay until `stop`. */
  kill(): Promise<void>;
};

/**
 * Starts Twinwire on a configuration as the YAML file would hold it. Without `admin` and `store` it listens on a
 * free port of 127.0.0.1 and keeps its state in a temporary folder.
 * @throws when it does not come up; the message ends with its log.
 */
export async function startTwinwire(
  config: Readonly<Record<string, unknown>>,
): Promise<RunningTwinwire> {
  const folder = mkdtempSync(join(tmpdir(), "twinwire-serve-"));
  const configPath = join(folder, "twinwire.yaml");
  const defaults = { admin: { address: "127.0.0.1:0" }, store: { path: join(folder, "data") } };
  // JSON is YAML too.
  writeFileSync(configPath, JSON.stringify({ ...defaults, ...config }), { mode: 0o600 });
  const child = spawn(process.execPath, ["--enable-source-maps", MAIN, "serve", "-c", configPath], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  // A test that dies takes it along; an orderly end goes through `stop`.
  const endNow = (): void => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", endNow);
  const logged: string[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => logged.push(text));
  const log = (): string => logged.join("");
  const ready = await readyLine(child);
  if (ready === undefined) {
    await ended(child);
    endNow();
    throw new Error(`Twinwire did not start.\n${log()}`);
  }
  return {
    pid: child.pid ?? -1,
    admin: `http://${ready.admin}`,
    configPath,
    log,
    url(migration, user, password, database) {
      const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
      return `postgres://${login}@${ready.migrations[migration]}/${database}`;
    },
    async stop(asked) {
      if (asked === undefined) child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), DRAIN_DEADLINE_MS);
      await ended(child);
      clearTimeout(late);
      process.off("exit", endNow);
      endNow();
      return child.exitCode;
    },
    async kill() {
      child.kill("SIGKILL");
      await ended(child);
    },
  };
}

type ReadyLine = {
  readonly event: "listening";
  /** host:port */
  readonly admin: string;
  /** host:port of each migration's listener, by name. */
  readonly migrations: Readonly<Record<string, string>>;
};

/** The line that `serve` prints once clients may come; undefined when it ends before. */
async function readyLine(child: ChildProcess): Promise<ReadyLine | undefined> {
  if (child.stdout === null) return undefined;
  const late = setTimeout(() => child.kill("SIGKILL"), READY_DEADLINE_MS);
  const lines = createInterface({ input: child.stdout });
  try {
    for await (const line of lines) {
      const said = JSON.parse(line) as Partial<ReadyLine>;
      if (said.event === "listening") return said as ReadyLine;
    }
    return undefined;
  } finally {
    clearTimeout(late);
    child.stdout.resume(); // whatever it prints later must not fill the pipe
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}
