import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import t from "tap";
import { dial } from "../../src/upstream/dial.ts";
import type { ServerTls } from "../../src/upstream/server-address.ts";
import {
  authorityCert,
  clientCert,
  clientKey,
  elsewhereCert,
  elsewhereKey,
  nameOnlyCert,
  nameOnlyKey,
  serverCert,
  serverKey,
  strangerCert,
} from "../tls/certificates.ts";
import { ask, at, deps, describe, request, serverWith } from "./sessions.ts";

const folder = await mkdtemp(join(tmpdir(), "twinwire-ca-"));
t.teardown(() => rm(folder, { recursive: true }));
await chmod(folder, 0o777);
const caFile = join(folder, "ca.crt");
await writeFile(caFile, authorityCert, { mode: 0o644 });

const PASSWORD = "open sesame";
const roles = ["app", "only_tls", "only_plain", "by_trust", "app_cert"]
  .map((role) => `CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`)
  .join(";");
const hba = [
  "local all app trust",
  "hostnossl all only_tls 127.0.0.1/32 reject",
  "hostssl all only_plain 127.0.0.1/32 reject",
  "hostssl all app_cert 127.0.0.1/32 cert",
  "hostssl all by_trust 127.0.0.1/32 trust",
].join("\n");

const [good, off, elsewhere, nameOnly] = await Promise.all([
  serverWith(
    {
      major: 16,
      hba,
      tls: { cert: serverCert, key: serverKey },
      settings: { ssl_ca_file: caFile, unix_socket_directories: folder },
    },
    roles,
  ),
  serverWith({ major: 14 }, roles),
  serverWith({ major: 18, tls: { cert: elsewhereCert, key: elsewhereKey } }, roles),
  serverWith({ major: 14, tls: { cert: nameOnlyCert, key: nameOnlyKey } }, roles),
]);

type Row = {
  readonly why: string;
  readonly server: typeof good;
  readonly tls: Partial<ServerTls>;
  readonly user?: string;
  readonly host?: string;
  readonly password?: string;
  readonly outcome: string | RegExp;
};

const trusting = { rootCert: authorityCert } as const;
const mistrusting = { rootCert: strangerCert } as const;

const SERVER_WITH_TLS: readonly Omit<Row, "server">[] = [
  { why: "disable never asks", tls: { mode: "disable" }, outcome: "ready plain" },
  { why: "allow starts without", tls: { mode: "allow" }, outcome: "ready plain" },
  { why: "prefer asks first", tls: { mode: "prefer" }, outcome: "ready tls" },
  { why: "require", tls: { mode: "require" }, outcome: "ready tls" },
  { why: "verify-ca", tls: { mode: "verify-ca", ...trusting }, outcome: "ready tls" },
  {
    why: "verify-full by address",
    tls: { mode: "verify-full", ...trusting },
    outcome: "ready tls",
  },
  {
    why: "verify-full by name, which may mean an address where nobody listens first",
    tls: { mode: "verify-full", ...trusting },
    host: "localhost",
    outcome: "ready tls",
  },
  {
    why: "verify-ca does not trust strangers",
    tls: { mode: "verify-ca", ...mistrusting },
    outcome: /^failed backend_refused: .*TLS failed: /,
  },
  {
    why: "require with a root certificate is verify-ca",
    tls: { mode: "require", ...mistrusting },
    outcome: /^failed backend_refused: .*TLS failed: /,
  },
  {
    why: "prefer takes no TLS rather than TLS with a stranger",
    tls: { mode: "prefer", ...mistrusting },
    outcome: "ready plain",
  },
  {
    why: "verify-ca has to be told whom to trust",
    tls: { mode: "verify-ca" },
    outcome: /^failed config_invalid: .*root certificate/,
  },
  {
    why: "the system's authorities did not sign for this test",
    tls: { mode: "verify-full" },
    outcome: /^failed backend_refused: .*TLS failed: /,
  },
  {
    why: "a key that is none",
    tls: { mode: "require", cert: clientCert, key: "no key" },
    outcome: /^failed config_invalid: .*certificate or key/,
  },
  // Who may come in which way.
  { why: "disable", user: "only_tls", tls: { mode: "disable" }, outcome: "refused 28000" },
  { why: "allow tries TLS next", user: "only_tls", tls: { mode: "allow" }, outcome: "ready tls" },
  { why: "prefer", user: "only_tls", tls: { mode: "prefer" }, outcome: "ready tls" },
  {
    why: "allow reports what the server said, not that TLS failed then",
    user: "only_tls",
    tls: { mode: "allow", ...mistrusting },
    outcome: "refused 28000",
  },
  {
    why: "prefer tries plain next",
    user: "only_plain",
    tls: { mode: "prefer" },
    outcome: "ready plain",
  },
  { why: "allow", user: "only_plain", tls: { mode: "allow" }, outcome: "ready plain" },
  { why: "require", user: "only_plain", tls: { mode: "require" }, outcome: "refused 28000" },
  {
    why: "prefer reports the wrong password, not that plain is not allowed either",
    user: "only_tls",
    password: "wrong",
    tls: { mode: "prefer" },
    outcome: "refused 28P01",
  },
  {
    why: "allow reports the wrong password, not that plain was not allowed",
    user: "only_tls",
    password: "wrong",
    tls: { mode: "allow" },
    outcome: "refused 28P01",
  },
  // Certificates of clients.
  {
    why: "a client certificate logs in",
    user: "app_cert",
    tls: { mode: "verify-full", ...trusting, cert: clientCert, key: clientKey },
    outcome: "ready tls",
  },
  {
    why: "no client certificate",
    user: "app_cert",
    tls: { mode: "require" },
    outcome: "refused 28000",
  },
  // Channel binding.
  {
    why: "required and there",
    tls: { mode: "require", channelBinding: "require" },
    outcome: "ready tls",
  },
  {
    why: "required, impossible without TLS",
    tls: { mode: "disable", channelBinding: "require" },
    outcome: /^failed authentication_failed: .*channel/,
  },
  {
    why: "required, and the server trusts everybody",
    user: "by_trust",
    tls: { mode: "require", channelBinding: "require" },
    outcome: /^failed authentication_failed: .*channel/,
  },
  {
    why: "not wanted, though offered",
    tls: { mode: "require", channelBinding: "disable" },
    outcome: "ready tls",
  },
  // A socket of the machine needs no TLS, so what sslmode says is not asked.
  {
    why: "a Unix socket's folder as host",
    tls: { mode: "verify-full" },
    host: folder,
    outcome: "ready plain",
  },
];

const OTHER_SERVERS: readonly Row[] = [
  { why: "no TLS: disable", server: off, tls: { mode: "disable" }, outcome: "ready plain" },
  { why: "no TLS: allow", server: off, tls: { mode: "allow" }, outcome: "ready plain" },
  { why: "no TLS: prefer", server: off, tls: { mode: "prefer" }, outcome: "ready plain" },
  {
    why: "no TLS: require",
    server: off,
    tls: { mode: "require" },
    outcome: /^failed backend_refused: .*does not offer TLS/,
  },
  {
    why: "no TLS: verify-full",
    server: off,
    tls: { mode: "verify-full", ...trusting },
    outcome: /^failed backend_refused: .*does not offer TLS/,
  },
  {
    why: "no TLS: prefer says what was wrong once",
    server: off,
    password: "wrong",
    tls: { mode: "prefer" },
    outcome: "refused 28P01",
  },
  {
    why: "a certificate for another name: verify-ca",
    server: elsewhere,
    tls: { mode: "verify-ca", ...trusting },
    outcome: "ready tls",
  },
  {
    why: "a certificate for another name: verify-full",
    server: elsewhere,
    tls: { mode: "verify-full", ...trusting },
    outcome: /^failed backend_refused: .*not for "127.0.0.1"/,
  },
  {
    why: "a certificate signed with SHA-512 is bound by SHA-512",
    server: elsewhere,
    tls: { mode: "require", channelBinding: "require" },
    outcome: "ready tls",
  },
  {
    why: "only a common name, and it fits",
    server: nameOnly,
    host: "localhost",
    tls: { mode: "verify-full", ...trusting },
    outcome: "ready tls",
  },
  {
    why: "only a common name, and it does not fit",
    server: nameOnly,
    tls: { mode: "verify-full", ...trusting },
    outcome: /^failed backend_refused: .*not for "127.0.0.1"/,
  },
  {
    why: "a certificate signed with SHA-384 is bound by SHA-384",
    server: nameOnly,
    tls: { mode: "require", channelBinding: "require" },
    outcome: "ready tls",
  },
];

const rows: readonly Row[] = [
  ...SERVER_WITH_TLS.map((row) => ({ ...row, server: good })),
  ...OTHER_SERVERS,
];

for (const { why, server, tls, user = "app", host, password = PASSWORD, outcome } of rows) {
  await t.test(`sslmode=${tls.mode}, ${user}: ${why}`, async (test) => {
    const result = await dial(request(at(server.port, tls, host), { user, password }), deps);
    if (typeof outcome === "string") test.equal(describe(result), outcome);
    else test.match(describe(result), outcome);
    if (result.kind !== "ready") return;
    const inUse = await ask(
      result.server,
      "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    );
    test.match(inUse, result.server.encrypted ? "\x01t" : "\x01f");
    result.server.socket.destroy();
  });
}

/** A program of the machine, if it is there; not one of the packages. */
const PSQL = "psql";

/** How `psql` gets on with the same settings: "tls", "plain" or "no session". */
async function psql(psqlArguments: readonly string[], password: string): Promise<string> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    PGPASSWORD: password,
    PGCONNECT_TIMEOUT: "20",
  };
  const child = spawn(PSQL, ["-XAtw", ...psqlArguments], {
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [said] = await Promise.all([text(child.stdout), once(child, "close")]);
  return said === "t\n" ? "tls" : said === "f\n" ? "plain" : "no session";
}

async function connectionString(row: Row, index: number): Promise<string> {
  const { server, tls, host = "127.0.0.1", user = "app" } = row;
  const words = [
    `host=${host} port=${server.port} user=${user} dbname=postgres sslmode=${tls.mode}`,
  ];
  words.push(`channel_binding=${tls.channelBinding ?? "prefer"}`);
  for (const [word, pem] of [
    ["sslrootcert", tls.rootCert],
    ["sslcert", tls.cert],
    ["sslkey", tls.key],
  ] as const) {
    if (pem === undefined) continue;
    const path = join(folder, `${index}.${word}`);
    await writeFile(path, pem, { mode: 0o600 });
    words.push(`${word}=${path}`);
  }
  return words.join(" ");
}

const hasPsql = spawnSync(PSQL, ["--version"]).status === 0;

await t.test(
  "psql with the same settings gets the same kind of session, or none",
  { skip: hasPsql ? false : "psql is not installed" },
  async (test) => {
    const query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    for (const [index, row] of rows.entries()) {
      const expected = /^ready (\w+)$/.exec(String(row.outcome))?.[1] ?? "no session";
      const string = await connectionString(row, index);
      test.equal(await psql([string, "-c", query], row.password ?? PASSWORD), expected, row.why);
    }
  },
);
