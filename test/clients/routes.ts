import pg from "pg";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { startTwinwire } from "../twinwire.ts";
import type { RunningTwinwire } from "../twinwire.ts";

const USER = "app";
const PASSWORD = "of the application";
const DATABASE = "orders";

/** A way to the same server twice: straight, and through Twinwire in front of it. */
export type Route = {
  readonly name: string;
  readonly direct: string;
  readonly throughTwinwire: string;
  /** Base URL of the migration in the admin API. */
  readonly api: string;
};

export type Routes = {
  readonly routes: readonly Route[];
  /** Twinwire's log, for a failure that the client cannot explain. */
  readonly log: () => string;
  readonly stop: () => Promise<void>;
};

/** PostgreSQL 16 mirrored to another 16, and 14 mirrored to 16; every write goes to both sides. */
export async function openRoutes(): Promise<Routes> {
  const [old16, old14, new16, other16] = await Promise.all([
    server(16),
    server(14),
    server(16),
    server(16),
  ]);
  const twinwire = await startTwinwire({
    migrations: [migration("same", old16, new16), migration("upgrade", old14, other16)],
  });
  const route = (name: string, old: EmbeddedPostgres): Route => ({
    name,
    direct: old.url(DATABASE, USER, PASSWORD),
    throughTwinwire: twinwire.url(routeKey(old), USER, PASSWORD, DATABASE),
    api: `${twinwire.admin}/api/v1/migrations/${routeKey(old)}`,
  });
  const routeKey = (old: EmbeddedPostgres): string => (old === old16 ? "same" : "upgrade");
  return {
    routes: [route("16 mirrored to 16", old16), route("14 mirrored to 16", old14)],
    log: () => twinwire.log(),
    stop: () => stopAll(twinwire, [old16, old14, new16, other16]),
  };
}

async function stopAll(
  twinwire: RunningTwinwire,
  servers: readonly EmbeddedPostgres[],
): Promise<void> {
  await twinwire.stop();
  await Promise.all(servers.map((each) => each.stop()));
}

async function server(major: 14 | 16): Promise<EmbeddedPostgres> {
  const started = await startPostgres({ major });
  const client = new pg.Client(started.url());
  await client.connect();
  await client.query(`create role ${USER} login password '${PASSWORD}'`);
  await client.query(`create database ${DATABASE} owner ${USER}`);
  await client.end();
  return started;
}

function migration(
  name: string,
  old: EmbeddedPostgres,
  fresh: EmbeddedPostgres,
): Record<string, unknown> {
  const side = (of: EmbeddedPostgres): Record<string, string> => ({
    url: of.url(DATABASE, USER, PASSWORD),
    admin: of.url(DATABASE),
  });
  return {
    name,
    listen: { protocol: "postgres", address: "127.0.0.1:0" },
    old: side(old),
    new: side(fresh),
    users: [{ name: USER, password: PASSWORD }],
    shadow: {
      enabled: true,
      sample: 1,
      writes: "apply",
      timeout: "10s",
      queue: { exchanges: 4096, bytes: "16MiB" },
    },
    replication: { managed: false },
  };
}
