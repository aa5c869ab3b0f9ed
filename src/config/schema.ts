import { z } from "zod";
import type {
  AdminConfig,
  AuthConfig,
  Config,
  EndpointConfig,
  ListenConfig,
  MigrationConfig,
  ShadowConfig,
  UserConfig,
} from "./config.ts";
import { compareSection } from "./compare-schema.ts";
import { databaseUrl } from "./database-url.ts";
import {
  amount,
  duration,
  flag,
  ok,
  oneOf,
  patternText,
  size,
  text,
  textLeaf,
  wholeNumber,
  wrong,
} from "./leaf.ts";
import { belongTogether, pem } from "./pem.ts";
import type { FileTexts } from "./pem.ts";
import { parseHostPort } from "./quantity.ts";
import type { HostPort } from "./quantity.ts";
import { replicationSection } from "./replication-schema.ts";

const HOUR = 3_600_000;
const GIB = 1024 ** 3;

/** The configuration file: what may stand in it, the defaults, and how it becomes a `Config`. */
export function configSchema(files: FileTexts): z.ZodType<Config> {
  return z.strictObject({
    migrations: z.array(migration(files)).min(1),
    admin: admin().prefault({}),
    store: z.strictObject({ path: text().prefault("./twinwire-data") }).prefault({}),
    log: z.strictObject({ level: logLevel().prefault("info") }).prefault({}),
  });
}

/** The JSON Schema of the file, for editors: what may stand in it before substitution. */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(configSchema(new Map()), { io: "input" });
  return { ...schema, title: "Twinwire configuration" };
}

function migration(files: FileTexts): z.ZodType<MigrationConfig> {
  return z
    .strictObject({
      name: patternText(
        /^[a-z0-9][a-z0-9_-]{0,62}$/,
        "1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit",
      ),
      listen: listen(files),
      old: endpoint(files),
      new: endpoint(files),
      users: z.array(user()).min(1).optional(),
      auth: auth().optional(),
      shadow: shadow().prefault({}),
      compare: compareSection().prefault({}),
      replication: replicationSection().prefault({}),
      cutover: cutover().prefault({}),
    })
    .transform(({ users, auth: method, ...rest }, context) => {
      if (users === undefined && method === undefined) {
        const message = "names no way to log in: give users, or auth: { from: old }";
        context.issues.push({ code: "custom", message, input: users });
        return z.NEVER;
      }
      return { ...rest, auth: { method: method ?? "users", users: users ?? [] } };
    });
}

function listen(files: FileTexts): z.ZodType<ListenConfig> {
  return z
    .strictObject({
      protocol: oneOf(["postgres"]).prefault("postgres"),
      address: hostPort(),
      tls: listenTls(files).optional(),
      max_connections: wholeNumber({ min: 1, max: 100_000 }).prefault(1000),
      login_timeout: duration({ min: 100, max: HOUR }).prefault("15s"),
    })
    .transform(({ protocol, address, tls, ...rest }) => ({
      protocol,
      ...address,
      maxConnections: rest.max_connections,
      tls,
      loginTimeoutMs: rest.login_timeout,
    }));
}

function listenTls(files: FileTexts): z.ZodType<NonNullable<ListenConfig["tls"]>> {
  return z
    .strictObject({ cert: pem("certificate", files), key: pem("key", files) })
    .refine(({ cert, key }) => belongTogether(cert, key), {
      error: "the key does not belong to the certificate",
    });
}

function endpoint(files: FileTexts): z.ZodType<EndpointConfig> {
  return z
    .strictObject({ url: databaseUrl(files), admin: databaseUrl(files).optional() })
    .transform(({ url, admin: adminUrl }) => ({ url, admin: adminUrl }));
}

function user(): z.ZodType<UserConfig> {
  return z
    .strictObject({
      name: text(),
      password: text().optional(),
      verifier: patternText(
        /^SCRAM-SHA-256\$[1-9]\d{0,9}:[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/,
        "SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>, as in pg_authid",
      ).optional(),
    })
    .refine((entry) => entry.password !== undefined || entry.verifier !== undefined, {
      error: "needs a password or a verifier",
    })
    .transform(({ name, password, verifier }) => ({ name, password, verifier }));
}

function auth(): z.ZodType<AuthConfig["method"]> {
  return z
    .strictObject({ from: oneOf(["old"]).optional(), trust: flag().optional() })
    .transform(({ from, trust }, context) => {
      if (from === "old" && trust !== true) return "old";
      if (from === undefined && trust === true) return "trust";
      const message = "give exactly one of from: old and trust: true";
      context.issues.push({ code: "custom", message, input: from });
      return z.NEVER;
    });
}

function shadow(): z.ZodType<ShadowConfig> {
  return z
    .strictObject({
      enabled: flag().prefault(true),
      sample: amount("a share from 0 to 1", 1).prefault(1),
      writes: oneOf(["skip", "rehearse", "apply"]).prefault("skip"),
      timeout: duration({ min: 1, max: HOUR }).prefault("5s"),
      lag_wait: duration({ min: 0, max: HOUR }).prefault("2s"),
      queue: z
        .strictObject({
          exchanges: wholeNumber({ min: 1, max: 1_000_000 }).prefault(256),
          bytes: size({ min: 1024, max: 16 * GIB }).prefault("8MiB"),
          total_bytes: size({ min: 1024, max: 64 * GIB }).prefault("256MiB"),
        })
        .refine((queue) => queue.bytes <= queue.total_bytes, {
          error: "bytes, the bound of one session, is above total_bytes, the bound of all",
        })
        .prefault({}),
      rehearsal: z
        .strictObject({
          lock_timeout: duration({ min: 1, max: HOUR }).prefault("100ms"),
          hold: duration({ min: 10, max: HOUR }).prefault("1s"),
          quiet: duration({ min: 0, max: HOUR }).prefault("1s"),
        })
        .transform(({ lock_timeout: lock, hold, quiet }) => ({
          lockTimeoutMs: lock,
          holdMs: hold,
          quietMs: quiet,
        }))
        .prefault({}),
    })
    .transform(({ timeout, lag_wait, queue, ...rest }) => ({
      ...rest,
      timeoutMs: timeout,
      lagWaitMs: lag_wait,
      queue: { exchanges: queue.exchanges, bytes: queue.bytes, totalBytes: queue.total_bytes },
    }));
}

function cutover(): z.ZodType<MigrationConfig["cutover"]> {
  return z
    .strictObject({
      max_pause: duration({ min: 10, max: HOUR }).prefault("5s"),
      max_lag: duration({ min: 0, max: HOUR }).optional(),
      guards: guards().prefault({}),
    })
    .transform((section) => ({ maxPauseMs: section.max_pause, guards: section.guards }));
}

function guards(): z.ZodType<MigrationConfig["cutover"]["guards"]> {
  const bar = wholeNumber({ min: 0, max: 1_000_000_000 });
  return z
    .strictObject({
      min_compared: amount("a share from 0 to 1", 1).prefault(0),
      max_divergences: bar.prefault(0),
      max_unsettled: bar.optional(),
      max_degraded: bar.optional(),
    })
    .transform((bars) => ({
      minCompared: bars.min_compared,
      maxDivergences: bars.max_divergences,
      maxUnsettled: bars.max_unsettled,
      maxDegraded: bars.max_degraded,
    }));
}

function admin(): z.ZodType<AdminConfig> {
  return z
    .strictObject({
      address: hostPort().prefault("127.0.0.1:9432"),
      token: textLeaf({ minLength: 16 }, (value) => {
        if (value.length < 16) return wrong("is shorter than 16 characters");
        return /^[\x21-\x7E]+$/.test(value)
          ? ok(value)
          : wrong("may hold only printable ASCII characters without spaces");
      }).optional(),
    })
    .transform(({ address, token }) => ({ ...address, token }));
}

function hostPort(): z.ZodType<HostPort> {
  const shape = { anyOf: [{ pattern: String.raw`^.+:\d{1,5}$` }, { pattern: String.raw`\$\{` }] };
  return textLeaf(shape, (value) => {
    const address = parseHostPort(value);
    return address === undefined ? wrong("expected host:port or [v6]:port") : ok(address);
  });
}

function logLevel(): z.ZodType<Config["log"]["level"]> {
  return oneOf(["debug", "info", "warn", "error", "silent"]);
}
