import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres, PostgresOptions } from "../../src/cli/demo/embedded-postgres.ts";
import { examine } from "../../src/replication/doctor/examine.ts";
import type { ExamineDeps, ReplicationLogin } from "../../src/replication/doctor/exam.ts";
import type { DoctorReport, Finding } from "../../src/replication/doctor/finding.ts";
import type { Ask } from "../../src/replication/read-shapes.ts";
import { expandTables } from "../../src/replication/table-patterns.ts";
import { AdminQueryError, openAdminClient } from "../../src/upstream/admin-client.ts";
import type { AdminClient } from "../../src/upstream/admin-client.ts";
import { dial } from "../../src/upstream/dial.ts";
import { errorFields } from "../../src/wire/postgres/error-response.ts";
import { NO_TLS } from "../upstream/no-tls.ts";

export type Side = "old" | "new";
export const DATABASE = "shop";

/** Two real servers, each with a database `shop`, and an admin client for any role. */
export type Pair = Readonly<Record<Side, EmbeddedPostgres>> & {
  /** As the superuser, statement by statement. */
  run(side: Side, ...statements: readonly string[]): Promise<void>;
  admin(side: Side, role?: string, password?: string): AdminClient;
  replicationLogin(side: Side, role?: string, password?: string): Promise<ReplicationLogin>;
  stop(): Promise<void>;
};

export async function startPair(old: PostgresOptions, fresh: PostgresOptions): Promise<Pair> {
  const [one, two] = await Promise.all([startPostgres(old), startPostgres(fresh)]);
  const servers = { old: one, new: two };
  const clients: AdminClient[] = [];
  const target = (side: Side, role: string, password?: string) => ({
    host: "127.0.0.1",
    port: servers[side].port,
    user: role,
    password: password ?? servers[side].password,
    database: DATABASE,
    tls: NO_TLS,
  });
  for (const server of [one, two]) await runAll(server.url(), [`create database ${DATABASE}`]);
  return {
    ...servers,
    run: (side, ...statements) => runAll(servers[side].url(DATABASE), statements),
    admin(side, role = "postgres", password) {
      const limits = { connectTimeoutMs: 10_000, statementTimeoutMs: 20_000 };
      const client = openAdminClient(target(side, role, password), limits, { random: randomBytes });
      clients.push(client);
      return client;
    },
    async replicationLogin(side, role = "postgres", password) {
      const address = target(side, role, password);
      const outcome = await dial(
        {
          address,
          parameters: [
            ["user", role],
            ["database", DATABASE],
            ["replication", "database"],
          ],
          credentials: { kind: "password", password: address.password },
          timeoutMs: 10_000,
        },
        { random: randomBytes },
      );
      if (outcome.kind === "failed") throw outcome.error;
      if (outcome.kind === "refused") {
        const message = errorFields(outcome.errorFrame).get("M") ?? "";
        return { kind: "refused", sqlstate: outcome.sqlstate, message };
      }
      outcome.server.socket.destroy();
      return { kind: "in" };
    },
    async stop() {
      await Promise.all(clients.map((client) => client.close().catch(() => {})));
      await Promise.all([one.stop(), two.stop()]);
    },
  };
}

async function runAll(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    for (const sql of statements) await client.query(sql);
  } finally {
    await client.end();
  }
}

export type Examined = {
  readonly role?: string;
  readonly password?: string;
  readonly patterns?: readonly string[];
  readonly deps?: Partial<ExamineDeps>;
};

/** Examines as a role, with fresh sessions. Fails when a statement of the doctor's own is wrong. */
export async function examinePair(pair: Pair, how: Examined = {}): Promise<DoctorReport> {
  const clients = {
    old: pair.admin("old", how.role, how.password),
    new: pair.admin("new", how.role, how.password),
  };
  const ask =
    (side: Side): Ask =>
    async (sql, values) => {
      try {
        return await clients[side].query(sql, values);
      } catch (error) {
        if (
          error instanceof AdminQueryError &&
          error.reported.startsWith("42") &&
          error.reported !== "42501"
        )
          console.error(side, error.message, sql);
        throw error;
      }
    };
  try {
    const sources = await expandTables(
      clients.old.query.bind(clients.old),
      how.patterns ?? ["*.*"],
    );
    return await examine({
      migration: "orders",
      old: ask("old"),
      new: ask("new"),
      replicationLogin: (side) => pair.replicationLogin(side, how.role, how.password),
      tables: sources.map((source) => ({ source, target: source })),
      applicationRoles: ["app"],
      mappingFindings: [],
      walBudgetBytes: 10 * 1024 ** 3,
      sleep: () => Promise.resolve(),
      pgDumpMajor: 15,
      ...how.deps,
    });
  } finally {
    await Promise.all([clients.old.close(), clients.new.close()]);
  }
}

/** `blocker no_key old public.events`, to be compared. */
export function inShort({ severity, check, side, subject }: Finding): string {
  return [severity, check, side, subject].filter((part) => part !== undefined).join(" ");
}

/** A configuration for the pair, with its superusers as admin roles. */
export async function configFile(pair: Pair, folder: string): Promise<string> {
  const file = join(folder, "t.yaml");
  const admin = (side: "old" | "new") => JSON.stringify(pair[side].url(DATABASE));
  await writeFile(
    file,
    `migrations:
  - name: orders
    listen: { address: "127.0.0.1:0" }
    old: { url: "postgres://app@127.0.0.1:${pair.old.port}/shop", admin: ${admin("old")} }
    new: { url: "postgres://app@127.0.0.1:${pair.new.port}/shop", admin: ${admin("new")} }
    auth: { trust: true }
`,
  );
  return file;
}
