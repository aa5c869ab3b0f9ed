import { isDeepStrictEqual } from "node:util";
import type {
  CompareRuleConfig,
  Config,
  DatabaseUrl,
  MigrationConfig,
  ReplicationConfig,
  TlsOptions,
} from "./config.ts";
import { formatQualifiedName } from "./qualified-name.ts";
import { formatBytes, formatDuration, formatHostPort } from "./quantity.ts";

const HIDDEN = "(hidden)";

/** The configuration as the file would say it, defaults written out, secrets replaced by `(hidden)`. */
export function redact(config: Config): object {
  return {
    migrations: config.migrations.map(redactMigration),
    admin: { address: formatHostPort(config.admin), ...hidden("token", config.admin.token) },
    store: { path: config.store.path },
    log: { level: config.log.level },
  };
}

function redactMigration(migration: MigrationConfig): object {
  const { name, listen, auth, shadow, compare, replication, cutover } = migration;
  return {
    name,
    listen: {
      protocol: listen.protocol,
      address: formatHostPort(listen),
      ...(listen.tls === undefined ? {} : { tls: { cert: "(certificate)", key: HIDDEN } }),
      max_connections: listen.maxConnections,
      login_timeout: formatDuration(listen.loginTimeoutMs),
    },
    old: redactEndpoint(migration.old),
    new: redactEndpoint(migration.new),
    ...(auth.method === "users"
      ? {}
      : { auth: auth.method === "trust" ? { trust: true } : { from: "old" } }),
    users: auth.users.map((user) => ({
      name: user.name,
      ...hidden("password", user.password),
      ...hidden("verifier", user.verifier),
    })),
    shadow: {
      enabled: shadow.enabled,
      sample: shadow.sample,
      writes: shadow.writes,
      timeout: formatDuration(shadow.timeoutMs),
      queue: {
        exchanges: shadow.queue.exchanges,
        bytes: formatBytes(shadow.queue.bytes),
        total_bytes: formatBytes(shadow.queue.totalBytes),
      },
    },
    compare: {
      rules: compare.rules.map(writeRule),
      safe_functions: compare.safeFunctions,
      keep: formatBytes(compare.keepBytes),
      samples: {
        per_divergence: compare.samples.perDivergence,
        reveal: compare.samples.reveal,
        store_requests: compare.samples.storeRequests,
      },
    },
    replication: writeReplication(replication),
    cutover: {
      max_pause: formatDuration(cutover.maxPauseMs),
      guards: {
        min_compared: cutover.guards.minCompared,
        max_divergences: cutover.guards.maxDivergences,
        ...given("max_unsettled", cutover.guards.maxUnsettled),
        ...given("max_degraded", cutover.guards.maxDegraded),
      },
    },
  };
}

function writeReplication(replication: ReplicationConfig): object {
  const { managed, tables, mapping, copy, ddl, sequences, spool } = replication;
  return {
    managed,
    tables,
    mapping: [
      ...mapping.schemas,
      ...mapping.tables.map(({ table, to, where, ...rest }) => ({
        table: formatQualifiedName(table),
        ...(to === undefined ? {} : { to: formatQualifiedName(to) }),
        ...rest,
        ...(where === undefined ? {} : { where }),
      })),
    ],
    copy: {
      parallel: copy.parallel,
      chunk: formatBytes(copy.chunkBytes),
      ...(copy.maxRate === undefined ? {} : { max_rate: formatBytes(copy.maxRate) }),
    },
    ddl,
    wal_budget: formatBytes(replication.walBudgetBytes),
    ack_margin: formatDuration(replication.ackMarginMs),
    sequences,
    spool: {
      ...(spool.path === undefined ? {} : { path: spool.path }),
      memory: formatBytes(spool.memoryBytes),
    },
  };
}

function redactEndpoint({ url, admin }: MigrationConfig["old"]): object {
  return { url: redactUrl(url), ...(admin === undefined ? {} : { admin: redactUrl(admin) }) };
}

/** A database URL for people: where it leads and as whom, without the password and the files' contents. */
export function redactUrl(url: DatabaseUrl): string {
  const user = encodeURIComponent(url.user);
  const password = url.password === undefined ? "" : `:${HIDDEN}`;
  const host = formatHostPort({ host: url.host, port: url.port });
  return `postgres://${user}${password}@${host}/${encodeURIComponent(url.database)}${query(url.tls)}`;
}

function query(tls: TlsOptions): string {
  const parts = [
    `sslmode=${tls.mode}`,
    ...(tls.rootCert === undefined ? [] : ["sslrootcert=(certificate)"]),
    ...(tls.cert === undefined ? [] : ["sslcert=(certificate)", `sslkey=${HIDDEN}`]),
    ...(tls.channelBinding === "prefer" ? [] : [`channel_binding=${tls.channelBinding}`]),
  ];
  return isDeepStrictEqual(parts, ["sslmode=prefer"]) ? "" : `?${parts.join("&")}`;
}

function writeRule({ name, match, action }: CompareRuleConfig): object {
  switch (action.kind) {
    case "ignore":
      return { name, match, ignore: true };
    case "tolerate": {
      const { kind: _kind, ...tolerate } = action;
      return { name, match, tolerate };
    }
    case "clean":
      return { name, match, clean: action.with };
    case "sample":
      return { name, match, sample: action.rate };
  }
}

function given(key: string, value: number | undefined): object {
  return value === undefined ? {} : { [key]: value };
}

function hidden(key: string, secret: string | undefined): object {
  return secret === undefined ? {} : { [key]: HIDDEN };
}
