import pg from "pg";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { Side } from "../../src/routing/side.ts";

/** The role and database that applications use on both sides. */
export const USER = "app";
export const PASSWORD = "app-password";
export const DATABASE = "shop";

export type Row = Readonly<Record<string, unknown>>;

/** PostgreSQL 14 as OLD and 16 as NEW, with the same role and an empty database on each. */
export type TwoSides = Readonly<Record<Side, EmbeddedPostgres>> & {
  /** Runs SQL as the superuser in the application's database, past Twinwire. @returns the last statement's rows */
  on(side: Side, sql: string): Promise<Row[]>;
  /** The same on both sides. */
  both(sql: string): Promise<void>;
  stop(): Promise<void>;
};

export async function startTwoSides(): Promise<TwoSides> {
  const started = await Promise.allSettled([
    startPostgres({ major: 14 }),
    startPostgres({ major: 16 }),
  ]);
  const servers = started.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  const [old, fresh] = servers;
  if (old === undefined || fresh === undefined) {
    await stop();
    throw new Error("the two servers did not start", { cause: started });
  }
  const sides = { old, new: fresh };
  const on = (side: Side, sql: string): Promise<Row[]> => runSql(sides[side].url(DATABASE), sql);
  const both = async (sql: string): Promise<void> => {
    await Promise.all([on("old", sql), on("new", sql)]);
  };
  await Promise.all(servers.map(createDatabase));
  return { ...sides, on, both, stop };
}

async function createDatabase(server: EmbeddedPostgres): Promise<void> {
  await runSql(server.url(), `create role ${USER} login password '${PASSWORD}'`);
  await runSql(server.url(), `create database ${DATABASE} owner ${USER}`);
  await runSql(
    server.url(DATABASE),
    `grant all on schema public to ${USER};
     alter default privileges grant all on tables to ${USER};
     alter default privileges grant all on sequences to ${USER}`,
  );
}

async function runSql(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const results = [await client.query<Record<string, unknown>>(sql)].flat();
    return results.at(-1)?.rows ?? [];
  } finally {
    await client.end();
  }
}
