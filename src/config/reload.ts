import { isDeepStrictEqual } from "node:util";
import type { Config, MigrationConfig } from "./config.ts";

/** Names of entries, in the file's words; never their values. */
export type ReloadDiff = {
  /** Changed, and can take effect while sessions run. */
  readonly live: readonly string[];
  /** Changed, and takes effect with the next start only. */
  readonly needsRestart: readonly string[];
};

type Entry<From> = {
  readonly name: string;
  readonly live: boolean;
  readonly of: (from: From) => unknown;
};

/** What differs between the running configuration and the one just read. */
export function reloadDiff(before: Config, after: Config): ReloadDiff {
  const changed = [
    ...changes(ENTRIES, before, after, ""),
    ...before.migrations.flatMap((migration) => migrationChanges(migration, after)),
    ...after.migrations
      .filter((migration) => named(before, migration.name) === undefined)
      .map((migration) => ({ name: `migrations[${migration.name}]`, live: false })),
  ];
  const namesOf = (live: boolean): string[] =>
    changed.filter((entry) => entry.live === live).map((entry) => entry.name);
  return { live: namesOf(true), needsRestart: namesOf(false) };
}

/** The running configuration with what can take effect now from the one just read. */
export function withLiveEntries(running: MigrationConfig, read: MigrationConfig): MigrationConfig {
  const { enabled, sample, timeoutMs, lagWaitMs } = read.shadow;
  return {
    ...running,
    auth: { ...running.auth, users: read.auth.users },
    shadow: { ...running.shadow, enabled, sample, timeoutMs, lagWaitMs },
    compare: { ...running.compare, rules: read.compare.rules, recheck: read.compare.recheck },
    cutover: read.cutover,
  };
}

const ENTRIES: readonly Entry<Config>[] = [
  { name: "admin", live: false, of: (config) => config.admin },
  { name: "store.path", live: false, of: (config) => config.store.path },
  { name: "log.level", live: true, of: (config) => config.log.level },
];

const MIGRATION_ENTRIES: readonly Entry<MigrationConfig>[] = [
  { name: "listen", live: false, of: ({ listen }) => listen },
  { name: "old", live: false, of: (migration) => migration.old },
  { name: "new", live: false, of: (migration) => migration.new },
  { name: "auth", live: false, of: ({ auth }) => auth.method },
  { name: "users", live: true, of: ({ auth }) => auth.users },
  { name: "shadow.enabled", live: true, of: ({ shadow }) => shadow.enabled },
  { name: "shadow.sample", live: true, of: ({ shadow }) => shadow.sample },
  { name: "shadow.timeout", live: true, of: ({ shadow }) => shadow.timeoutMs },
  { name: "shadow.lag_wait", live: true, of: ({ shadow }) => shadow.lagWaitMs },
  { name: "shadow.writes", live: false, of: ({ shadow }) => shadow.writes },
  { name: "shadow.rehearsal", live: false, of: ({ shadow }) => shadow.rehearsal },
  { name: "shadow.queue", live: false, of: ({ shadow }) => shadow.queue },
  { name: "compare.rules", live: true, of: ({ compare }) => compare.rules },
  { name: "compare.safe_functions", live: false, of: ({ compare }) => compare.safeFunctions },
  { name: "compare.keep", live: false, of: ({ compare }) => compare.keepBytes },
  { name: "compare.recheck", live: true, of: ({ compare }) => compare.recheck },
  { name: "compare.samples", live: false, of: ({ compare }) => compare.samples },
  { name: "replication", live: false, of: ({ replication }) => replication },
  { name: "cutover.max_pause", live: true, of: ({ cutover }) => cutover.maxPauseMs },
  { name: "cutover.guards", live: true, of: ({ cutover }) => cutover.guards },
];

function migrationChanges(
  before: MigrationConfig,
  config: Config,
): { name: string; live: boolean }[] {
  const prefix = `migrations[${before.name}]`;
  const after = named(config, before.name);
  if (after === undefined) return [{ name: prefix, live: false }];
  return changes(MIGRATION_ENTRIES, before, after, `${prefix}.`);
}

function changes<From>(
  entries: readonly Entry<From>[],
  before: From,
  after: From,
  prefix: string,
): { name: string; live: boolean }[] {
  return entries
    .filter(({ of }) => !isDeepStrictEqual(of(before), of(after)))
    .map(({ name, live }) => ({ name: prefix + name, live }));
}

function named(config: Config, name: string): MigrationConfig | undefined {
  return config.migrations.find((migration) => migration.name === name);
}
