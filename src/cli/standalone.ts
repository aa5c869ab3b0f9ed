import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { CodedError } from "../base/errors.ts";
import type { DatabaseUrl, MigrationConfig } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import type { Ask } from "../replication/read-shapes.ts";
import { openAdminClient } from "../upstream/admin-client.ts";
import { CommandError, EXIT } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** Questions may look at every table of a database. */
const LIMITS = { connectTimeoutMs: 10_000, statementTimeoutMs: 60_000 };

/** The two databases of a migration, asked by a command itself, without a Twinwire that runs. */
export type Databases = {
  readonly config: MigrationConfig;
  readonly targets: Readonly<Record<"old" | "new", DatabaseUrl>>;
  readonly old: Ask;
  readonly new: Ask;
};

/**
 * Runs work with connections of the admin roles, which it closes.
 * @throws CodedError config_invalid; CommandError where the migration or an admin role is missing
 */
export async function withDatabases<T>(
  terminal: Terminal,
  options: { readonly config: string; readonly migration?: string },
  work: (databases: Databases) => Promise<T>,
): Promise<T> {
  const config = await loadConfig(options.config, terminal.env, (name) => readFile(name, "utf8"));
  const migration = theMigration(config.migrations, options.migration);
  const targets = { old: adminOf(migration, "old"), new: adminOf(migration, "new") };
  const deps = { random: randomBytes };
  const clients = {
    old: openAdminClient(targets.old, LIMITS, deps),
    new: openAdminClient(targets.new, LIMITS, deps),
  };
  try {
    return await work({
      config: migration,
      targets,
      old: (sql, values) => clients.old.query(sql, values),
      new: (sql, values) => clients.new.query(sql, values),
    });
  } finally {
    await Promise.all([clients.old.close(), clients.new.close()]);
  }
}

function theMigration(
  migrations: readonly MigrationConfig[],
  name: string | undefined,
): MigrationConfig {
  const [first, second] = migrations;
  if (name === undefined && first !== undefined && second === undefined) return first;
  const found = migrations.find((each) => each.name === name);
  if (found !== undefined) return found;
  const names = migrations.map((each) => each.name).join(", ");
  const what = name === undefined ? "--migration is needed" : `there is no migration ${name}`;
  throw new CommandError(`${what}, one of: ${names}`, EXIT.usage);
}

function adminOf(migration: MigrationConfig, side: "old" | "new"): DatabaseUrl {
  const { admin } = migration[side];
  if (admin !== undefined) return admin;
  throw new CodedError(
    "config_invalid",
    `migration ${migration.name}: ${side}.admin is needed, a URL with a role that may replicate`,
  );
}
