import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres } from "../src/cli/demo/embedded-postgres.ts";
import { serverAccount } from "../src/cli/demo/postgres-binaries.ts";
import type { Account } from "../src/cli/demo/postgres-binaries.ts";
import { startTwinwire } from "../test/twinwire.ts";
import { programPath } from "./program-path.ts";

/** One way from the client to the same server. */
export type Contender = {
  readonly name: ContenderName;
  readonly port: number;
  /** The proxy's process; undefined where there is none. */
  readonly pid: number | undefined;
  /** What the proxy itself says about the run, for the reader. */
  remark(): Promise<string | undefined>;
  stop(): Promise<void>;
};

export type ContenderName =
  | "direct"
  | "HAProxy, TCP"
  | "PgBouncer, session"
  | "bare Node relay"
  | "Twinwire, no shadow"
  | "Twinwire, all compared";

/** The one that everything is set in relation to. */
export const REFERENCE: ContenderName = "PgBouncer, session";

export type Servers = { readonly old: EmbeddedPostgres; readonly new: EmbeddedPostgres };

/** Starts all that this machine has; `missing` names the programs it lacks. `folder` is for their files. */
export async function startContenders(
  servers: Servers,
  folder: string,
  withRelay: boolean,
): Promise<{ readonly contenders: readonly Contender[]; readonly missing: string[] }> {
  const contenders: Contender[] = [direct(servers)];
  const missing: string[] = [];
  try {
    const haproxy = programPath("haproxy");
    if (haproxy === undefined) missing.push("haproxy");
    else contenders.push(await startHaproxy(haproxy, servers, folder));
    const pgbouncer = programPath("pgbouncer");
    if (pgbouncer === undefined) missing.push("pgbouncer");
    else contenders.push(await startPgbouncer(pgbouncer, servers, folder));
    if (withRelay) contenders.push(await startRelay(servers));
    contenders.push(await startTwinwireContender("Twinwire, no shadow", servers, false));
    contenders.push(await startTwinwireContender("Twinwire, all compared", servers, true));
    return { contenders, missing };
  } catch (error) {
    await stopContenders(contenders);
    throw error;
  }
}

export async function stopContenders(contenders: readonly Contender[]): Promise<void> {
  await Promise.all(contenders.map((each) => each.stop()));
}

function direct({ old }: Servers): Contender {
  return {
    name: "direct",
    port: old.port,
    pid: undefined,
    remark: async () => undefined,
    stop: async () => {},
  };
}

async function startHaproxy(program: string, { old }: Servers, folder: string): Promise<Contender> {
  const port = await freePort();
  const config = join(folder, "haproxy.cfg");
  writeFileSync(
    config,
    `global
  nbthread 1
  maxconn 200
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen postgres
  bind 127.0.0.1:${port}
  server old 127.0.0.1:${old.port}
`,
  );
  return startProgram("HAProxy, TCP", program, ["-db", "-q", "-f", config], { port });
}

async function startPgbouncer(
  program: string,
  { old }: Servers,
  folder: string,
): Promise<Contender> {
  const port = await freePort();
  const users = join(folder, "pgbouncer-users");
  const config = join(folder, "pgbouncer.ini");
  writeFileSync(users, '"postgres" ""\n');
  writeFileSync(
    config,
    `[databases]
postgres = host=127.0.0.1 port=${old.port} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = session
default_pool_size = 50
max_client_conn = 100
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
log_stats = 0
`,
  );
  // It refuses to run as root.
  return startProgram("PgBouncer, session", program, ["-q", config], {
    port,
    account: serverAccount(),
  });
}

async function startRelay({ old }: Servers): Promise<Contender> {
  const port = await freePort();
  const relay = fileURLToPath(new URL("./relay.js", import.meta.url));
  return startProgram(
    "bare Node relay",
    process.execPath,
    [relay, String(port), String(old.port)],
    { port },
  );
}

async function startProgram(
  name: ContenderName,
  program: string,
  args: readonly string[],
  where: { readonly port: number; readonly account?: Account },
): Promise<Contender> {
  const child = spawn(program, args, {
    cwd: "/",
    stdio: ["ignore", "ignore", "pipe"],
    ...where.account,
  });
  const end = (): boolean => child.kill("SIGKILL");
  process.once("exit", end);
  let said = "";
  child.stderr
    .setEncoding("utf8")
    .on("data", (text: string) => (said = (said + text).slice(-4000)));
  await once(child, "spawn");
  await accepting(child, where.port, () => said);
  return {
    name,
    port: where.port,
    pid: child.pid,
    remark: async () => undefined,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      process.off("exit", end);
      const ended = once(child, "exit");
      end(); // nothing of it is kept, and a graceful end would wait for pooled connections
      await ended;
    },
  };
}

async function accepting(child: ChildProcess, port: number, said: () => string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`${child.spawnfile} does not answer.\n${said()}`);
    }
    await delay(20);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket
      .once("connect", () => socket.destroy() && resolve(true))
      .once("error", () => resolve(false));
  });
}

/** With the queues it has by default: what does not fit is dropped, and its remark says how much that is. */
export function startOrdinaryTwinwire(servers: Servers): Promise<Contender> {
  return startTwinwireContender("Twinwire, all compared", servers, true, {});
}

/**
 * Room enough that a shadow sharing two cores with everything else need not be spared anything: what is dropped
 * would look cheap.
 */
const MUCH_ROOM: object = { exchanges: 65_536, bytes: "64MiB", total_bytes: "512MiB" };

async function startTwinwireContender(
  name: ContenderName,
  servers: Servers,
  shadow: boolean,
  queue = MUCH_ROOM,
): Promise<Contender> {
  const side = (server: EmbeddedPostgres): object => ({
    url: `postgres://postgres@127.0.0.1:${server.port}/postgres`,
    admin: server.url(),
  });
  const twinwire = await startTwinwire({
    migrations: [
      {
        name: "bench",
        listen: { protocol: "postgres", address: "127.0.0.1:0" },
        old: side(servers.old),
        new: side(servers.new),
        auth: { trust: true },
        shadow: { enabled: shadow, sample: 1, timeout: "60s", queue },
        replication: { managed: false },
      },
    ],
    log: { level: "warn" },
  });
  return {
    name,
    port: Number(new URL(twinwire.url("bench", "postgres", "", "postgres")).port),
    pid: twinwire.pid,
    remark: async () => (shadow ? coverage(twinwire.admin) : undefined),
    async stop() {
      await twinwire.stop();
    },
  };
}

type Status = {
  readonly exchanges: {
    readonly seen: number;
    readonly mirrored: number;
    readonly compared: number;
    readonly skipped: Readonly<Record<string, number>>;
  };
  readonly verdicts: Readonly<Record<string, number>>;
};

/** How much of the traffic was really compared: dropped work would look cheap. */
async function coverage(admin: string): Promise<string> {
  const response = await fetch(`${admin}/api/v1/migrations/bench`);
  const { exchanges, verdicts } = (await response.json()) as Status;
  const share = ((100 * exchanges.compared) / exchanges.seen).toFixed(2);
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ") || "none";
  return `${exchanges.compared} of ${exchanges.seen} exchanges compared (${share} %); verdicts: ${list(verdicts)}; not compared: ${list(exchanges.skipped)}`;
}
