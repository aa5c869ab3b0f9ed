/** Real PostgreSQL servers for the demo, the tests and the bench, gone without a trace when their owner is. */
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { appendFile, chmod, chown, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { clearAwayWithThisProcess } from "./clear-away.ts";
import { canEnter, postgresPrograms, serverAccount } from "./postgres-binaries.ts";
import type { Account, PostgresMajor } from "./postgres-binaries.ts";

/** How to start a server. `hba` lines come before the default ones, so they win; `tls` holds PEM texts. */
export type PostgresOptions = {
  readonly major: PostgresMajor;
  readonly settings?: Readonly<Record<string, string>>;
  readonly hba?: string;
  readonly tls?: { readonly cert: string; readonly key: string };
};

/** A running server on 127.0.0.1. `pid` is the postmaster's and changes with `restart`. */
export type EmbeddedPostgres = {
  readonly major: PostgresMajor;
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly pid: number;
  readonly superuser: "postgres";
  readonly password: string;
  /** A connection string; database and user are `postgres` unless said otherwise. */
  url(database?: string, user?: string, password?: string): string;
  /** Ends it as `pg_ctl stop -m fast` does and removes its files. Doing it twice is fine. */
  stop(): Promise<void>;
  /** SIGKILL to the postmaster and all its children, as if the machine had died; the files stay. */
  kill(): void;
  /** Starts it again on the same files and the same port, after `kill` or while it runs. */
  restart(): Promise<void>;
  /** Stops it for a moment, and starts it again with a hot standby of it beside it. */
  standby(): Promise<EmbeddedPostgres>;
};

/** What stays the same over restarts of one server. */
type Site = {
  readonly major: PostgresMajor;
  readonly folder: string;
  readonly data: string;
  readonly programs: string;
  readonly account: Account;
};

type Launch =
  | { readonly kind: "ready"; readonly postmaster: ChildProcess; readonly pid: number }
  | { readonly kind: "ended"; readonly log: string };

const READY_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 30_000;

const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  fsync: "off",
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "300",
  wal_level: "logical",
  max_wal_senders: "20",
  max_replication_slots: "20",
};

/**
 * Starts a new, empty server with SCRAM passwords, UTF-8 and the C locale on a port the system gives.
 * It ends with this process, however that ends.
 * @throws when the package is missing or the server does not come up; the message ends with its log.
 */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const account = serverAccount();
  const folder = newFolder(options.major, account);
  const clearAway = clearAwayWithThisProcess(folder);
  try {
    const programs = await postgresPrograms(options.major, account, folder);
    await chown(folder, account.uid, account.gid);
    const site = { major: options.major, folder, data: join(folder, "data"), programs, account };
    const password = randomBytes(12).toString("hex");
    await createCluster(site, options, password);
    const { port, launch } = await launchOnFreePort(site);
    return runningServer({ site, password, port, clearAway }, launch);
  } catch (error) {
    await clearAway();
    throw error;
  }
}

type Running = {
  readonly site: Site;
  readonly password: string;
  readonly port: number;
  readonly clearAway: () => Promise<void>;
};

function runningServer(
  running: Running,
  first: Extract<Launch, { kind: "ready" }>,
): EmbeddedPostgres {
  const { site, port } = running;
  let launch = first;
  return {
    major: site.major,
    host: "127.0.0.1",
    port,
    get pid(): number {
      return launch.pid;
    },
    superuser: "postgres",
    password: running.password,
    url(database = "postgres", user = "postgres", password = running.password): string {
      const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
      return `postgres://${login}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
    },
    async stop(): Promise<void> {
      await shutDown(launch.postmaster);
      await running.clearAway();
    },
    kill(): void {
      // Neither may see the other die: children would say goodbye, and the postmaster would have them say so.
      signal(launch.pid, "SIGSTOP");
      for (const pid of childrenOf(launch.pid)) signal(pid, "SIGKILL");
      signal(launch.pid, "SIGKILL");
    },
    async restart(): Promise<void> {
      await shutDown(launch.postmaster);
      launch = await launchAgain(site, port);
    },
    async standby(): Promise<EmbeddedPostgres> {
      await shutDown(launch.postmaster);
      const copy = await copyForStandby(running);
      launch = await launchAgain(site, port);
      const started = await launchOnFreePort(copy.site);
      return runningServer({ ...running, ...copy, port: started.port }, started.launch);
    },
  };
}

/** The files of a server that is stopped, told to follow it. */
async function copyForStandby({
  site,
  password,
  port,
}: Running): Promise<Pick<Running, "site" | "clearAway">> {
  const folder = newFolder(site.major, site.account);
  const clearAway = clearAwayWithThisProcess(folder);
  const copy = { ...site, folder, data: join(folder, "data") };
  await chown(folder, site.account.uid, site.account.gid);
  await promisify(execFile)("cp", ["-a", site.data, copy.data]);
  await appendFile(
    join(copy.data, "postgresql.conf"),
    `primary_conninfo = 'host=127.0.0.1 port=${port} user=postgres password=${password}'\n`,
  );
  await ownedFile(copy, join("data", "standby.signal"), "");
  return { site: copy, clearAway };
}

/** A folder that the server's account can reach; root's own temporary folder may be closed to it. */
function newFolder(major: PostgresMajor, account: Account): string {
  const parent = [tmpdir(), "/tmp", "/var/tmp"].find(
    (path) => existsSync(path) && canEnter(path, account),
  );
  if (parent === undefined)
    throw new Error("No temporary folder can be entered by the user of the server.");
  return mkdtempSync(join(parent, `twinwire-pg${major}-`));
}

function childrenOf(pid: number): number[] {
  try {
    const list = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return list === "" ? [] : list.split(" ").map(Number);
  } catch {
    return []; // it ended in between
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it ended in between
  }
}

async function createCluster(
  site: Site,
  options: PostgresOptions,
  password: string,
): Promise<void> {
  const passwordFile = await ownedFile(site, "password", password);
  const args = ["-D", site.data, "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "-N"];
  args.push("--locale=C", "--no-instructions", `--pwfile=${passwordFile}`);
  const initdb = run(site, "initdb", args);
  const [code] = (await once(initdb, "close")) as [number | null];
  if (code !== 0)
    throw new Error(`initdb of PostgreSQL ${site.major} failed.\n${await logEnd(site)}`);
  await rm(passwordFile);
  const settings: Record<string, string> = { ...DEFAULT_SETTINGS };
  if (options.tls !== undefined) {
    settings["ssl"] = "on";
    settings["ssl_cert_file"] = await ownedFile(site, "server.crt", options.tls.cert);
    settings["ssl_key_file"] = await ownedFile(site, "server.key", options.tls.key);
  }
  const lines = Object.entries({ ...settings, ...options.settings }).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  );
  await appendFile(join(site.data, "postgresql.conf"), lines.join(""));
  await writeFile(join(site.data, "pg_hba.conf"), hbaFile(options));
}

function hbaFile(options: PostgresOptions): string {
  const kinds = options.tls === undefined ? ["host"] : ["hostssl", "host"];
  const lines = kinds.flatMap((kind) =>
    ["all", "replication"].map((database) => `${kind} ${database} all 127.0.0.1/32 scram-sha-256`),
  );
  return [options.hba ?? "", ...lines, ""].join("\n");
}

/** A file only the server's account can read. */
async function ownedFile(site: Site, name: string, text: string): Promise<string> {
  const path = join(site.folder, name);
  await writeFile(path, text, { mode: 0o600 });
  await chmod(path, 0o600);
  await chown(path, site.account.uid, site.account.gid);
  return path;
}

/** Runs one of the programs as the server's account, in a session of its own so that Ctrl-C does not reach it. */
function run(site: Site, program: "initdb" | "postgres", args: readonly string[]): ChildProcess {
  const log = openSync(join(site.folder, "log"), "a");
  try {
    return spawn(join(site.programs, "bin", program), args, {
      uid: site.account.uid,
      gid: site.account.gid,
      cwd: site.folder,
      // Nothing of the caller's PG* variables, locale or time zone may change how the server behaves.
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
      detached: true,
      stdio: ["ignore", log, log],
    });
  } finally {
    closeSync(log);
  }
}

async function launchOnFreePort(
  site: Site,
): Promise<{ readonly port: number; readonly launch: Extract<Launch, { kind: "ready" }> }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const launch = await launchServer(site, port);
    if (launch.kind === "ready") return { port, launch };
    // Somebody may have taken the port since it was free; anything else will not get better.
    if (attempt === 5 || !launch.log.includes("could not bind"))
      throw failedToStart(site, launch.log);
  }
}

async function launchAgain(site: Site, port: number): Promise<Extract<Launch, { kind: "ready" }>> {
  const deadline = Date.now() + READY_DEADLINE_MS;
  for (;;) {
    const launch = await launchServer(site, port);
    if (launch.kind === "ready") return launch;
    // Children of the killed server may hold its shared memory or port for a moment.
    const mayPass = /could not bind|still in use/.test(launch.log);
    if (!mayPass || Date.now() > deadline) throw failedToStart(site, launch.log);
    await delay(20);
  }
}

async function launchServer(site: Site, port: number): Promise<Launch> {
  await writeFile(join(site.folder, "log"), "");
  const postmaster = run(site, "postgres", ["-D", site.data, "-p", String(port)]);
  postmaster.unref(); // a server nobody stops must not keep its owner alive
  const deadline = Date.now() + READY_DEADLINE_MS;
  for (;;) {
    if (
      postmaster.exitCode !== null ||
      postmaster.signalCode !== null ||
      postmaster.pid === undefined
    ) {
      return { kind: "ended", log: await logEnd(site) };
    }
    if (await isReady(site, postmaster.pid))
      return { kind: "ready", postmaster, pid: postmaster.pid };
    if (Date.now() > deadline) {
      postmaster.kill("SIGKILL");
      return { kind: "ended", log: `not ready in time\n${await logEnd(site)}` };
    }
    await delay(10);
  }
}

/** Line 8 of postmaster.pid is the server's own word on whether it takes connections. */
async function isReady(site: Site, pid: number): Promise<boolean> {
  try {
    const lines = (await readFile(join(site.data, "postmaster.pid"), "utf8")).split("\n");
    return Number(lines[0]) === pid && lines[7]?.trim() === "ready";
  } catch {
    return false; // not written yet
  }
}

async function shutDown(postmaster: ChildProcess): Promise<void> {
  if (postmaster.exitCode !== null || postmaster.signalCode !== null) return;
  postmaster.ref(); // its end is now what we wait for
  const closed = once(postmaster, "exit");
  postmaster.kill("SIGINT");
  const late = setTimeout(() => postmaster.kill("SIGQUIT"), STOP_DEADLINE_MS);
  await closed;
  clearTimeout(late);
}

/** A port of 127.0.0.1 that nobody uses right now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function logEnd(site: Site): Promise<string> {
  return (await readFile(join(site.folder, "log"), "utf8"))
    .trim()
    .split("\n")
    .slice(-20)
    .join("\n");
}

function failedToStart(site: Site, log: string): Error {
  return new Error(`PostgreSQL ${site.major} did not start.\n${log}`);
}
