import { randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { LoginKeys } from "../../proxy/startup/login-keys.ts";
import { openLoginKeys } from "../../proxy/startup/login-keys.ts";
import type { Sides } from "../../proxy/sides.ts";
import { openSides } from "../../proxy/sides.ts";
import type { Side } from "../../routing/side.ts";
import type { AdminClient, AdminRows } from "../../upstream/admin-client.ts";
import { openAdminClient } from "../../upstream/admin-client.ts";
import { readCatalogue, readScramVerifiers } from "../../upstream/catalogue.ts";
import type { Names } from "../../upstream/known-names.ts";
import { readKnownNames } from "../../upstream/known-names.ts";
import { readTables } from "../../upstream/table-catalogue.ts";
import { openScramCache } from "../../upstream/scram-cache.ts";
import type { Catalogues } from "./catalogues.ts";
import { openCatalogues } from "./catalogues.ts";
import type { MigrationSettings } from "./migration-settings.ts";
import type { Users } from "./users.ts";
import { openUsers } from "./users.ts";

/** Both databases of a migration: how to reach them and what is known of them. */
export type Upstreams = {
  readonly sides: Sides;
  readonly users: Users;
  readonly loginKeys: LoginKeys;
  readonly catalogues: Catalogues;
  /** Runs a statement of Twinwire's own. @throws CodedError */
  ask(side: Side, sql: string, values: readonly (string | null)[]): Promise<AdminRows>;
  /** Which of the names a side knows. @throws CodedError */
  readKnownNames(side: Side, names: Names): Promise<Names>;
  close(): Promise<void>;
};

type UpstreamsDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  readonly functionsChanged: () => void;
  /** The same after a restart: from it comes what users that do not exist are asked. */
  readonly loginSecret: Uint8Array;
};

const DIAL_TIMEOUT_MS = 10_000;
const ADMIN_LIMITS = { connectTimeoutMs: 5_000, statementTimeoutMs: 15_000 };
const SCRAM_CACHE_ENTRIES = 1_024;

export function openUpstreams(settings: MigrationSettings, deps: UpstreamsDeps): Upstreams {
  const { clock, log } = deps;
  const dialDeps = { random: randomBytes, scramCache: openScramCache(SCRAM_CACHE_ENTRIES) };
  const adminOf = (side: Side): AdminClient => {
    const { url, admin } = settings.config()[side];
    return openAdminClient(admin ?? url, ADMIN_LIMITS, dialDeps);
  };
  const admins = { old: adminOf("old"), new: adminOf("new") };
  const users = openUsers({
    auth: () => settings.config().auth,
    readVerifiers: () => readScramVerifiers(admins.old),
    clock,
    log,
  });
  const catalogues = openCatalogues({
    read: async (side) => {
      const catalogue = await readCatalogue(admins[side]);
      const isRehearsing = settings.config().shadow.writes === "rehearse";
      return { ...catalogue, tables: isRehearsing ? await readTables(admins[side]) : undefined };
    },
    ping: async (side) => void (await admins[side].query("SELECT 1")),
    clock,
    log,
    random: Math.random,
    changed: deps.functionsChanged,
  });
  const loginKeys = openLoginKeys(deps.loginSecret);
  for (const { name, password } of settings.config().auth.users) {
    // Derived ahead, so that a first login takes as long as that of a user who does not exist.
    if (password !== undefined) void loginKeys.verifierOf(name, password);
  }
  return {
    users,
    loginKeys,
    catalogues,
    ask: (side, sql, values) => admins[side].query(sql, values),
    readKnownNames: (side, names) => readKnownNames(admins[side], names),
    sides: openSides({
      ...dialDeps,
      target: (side) => settings.config()[side].url,
      passwordOf: (user) => users.passwordOf(user),
      dialTimeoutMs: DIAL_TIMEOUT_MS,
    }),
    async close() {
      catalogues.close();
      await Promise.allSettled([admins.old.close(), admins.new.close()]);
    },
  };
}
