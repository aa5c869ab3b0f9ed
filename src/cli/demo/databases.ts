/** The two databases of the demo: a PostgreSQL 14 (old) and a 16 (new) with the same order system in both. */
import { Client } from "pg";
import { startPostgres } from "./embedded-postgres.ts";
import type { EmbeddedPostgres } from "./embedded-postgres.ts";
import { DEMO_SCHEMA, DEMO_TABLES } from "./schema.ts";

export const DEMO_DATABASE = "orders";
export const DEMO_USER = "app";

/** Both servers and the password of the application's user, which is the same on both. */
export type DemoDatabases = {
  readonly old: EmbeddedPostgres;
  readonly new: EmbeddedPostgres;
  readonly password: string;
  stop(): Promise<void>;
};

/** What a table holds: the number of rows and a checksum over all of them. */
export type TableContents = { readonly rows: number; readonly checksum: string };

/** Contents by table name. */
export type DatabaseContents = ReadonlyMap<string, TableContents>;

/** Starts both servers, empty. @throws when one does not come up; then none is left running. */
export async function startDatabases(password: string): Promise<DemoDatabases> {
  const started = await Promise.allSettled([
    startPostgres({ major: 14 }),
    startPostgres({ major: 16 }),
  ]);
  const [first, second] = started;
  if (first.status === "fulfilled" && second.status === "fulfilled") {
    const servers = [first.value, second.value];
    return {
      old: first.value,
      new: second.value,
      password,
      stop: async () => void (await Promise.all(servers.map((server) => server.stop()))),
    };
  }
  for (const each of started) if (each.status === "fulfilled") await each.value.stop();
  throw started.find((each) => each.status === "rejected")?.reason;
}

/** Creates the application's user and database and loads the order system, the same on both sides. */
export async function loadDatabases(databases: DemoDatabases): Promise<void> {
  await Promise.all([
    load(databases.old, databases.password),
    load(databases.new, databases.password),
  ]);
}

async function load(server: EmbeddedPostgres, password: string): Promise<void> {
  await withClient(server.url(), async (client) => {
    await client.query(`CREATE ROLE ${DEMO_USER} LOGIN PASSWORD ${client.escapeLiteral(password)}`);
    await client.query(`CREATE DATABASE ${DEMO_DATABASE}`);
  });
  await withClient(server.url(DEMO_DATABASE), async (client) => {
    for (const statement of DEMO_SCHEMA) await client.query(statement);
  });
}

/** Reads every table of one side, past Twinwire, in one snapshot. */
export async function readContents(server: EmbeddedPostgres): Promise<DatabaseContents> {
  return withClient(server.url(DEMO_DATABASE), async (client) => {
    const contents = new Map<string, TableContents>();
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    for (const { name, key } of DEMO_TABLES) {
      const answer = await client.query<{ rows: string; checksum: string | null }>(
        `SELECT count(*) AS rows, md5(string_agg(md5(t::text), '' ORDER BY ${key})) AS checksum FROM ${name} t`,
      );
      const row = answer.rows[0];
      contents.set(name, { rows: Number(row?.rows), checksum: row?.checksum ?? "" });
    }
    await client.query("COMMIT");
    return contents;
  });
}

/** Names of the tables whose contents are not the same. */
export function differingTables(one: DatabaseContents, other: DatabaseContents): string[] {
  return DEMO_TABLES.map((table) => table.name).filter((name) => {
    const [a, b] = [one.get(name), other.get(name)];
    return a === undefined || a.rows !== b?.rows || a.checksum !== b.checksum;
  });
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, application_name: "twinwire demo" });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
