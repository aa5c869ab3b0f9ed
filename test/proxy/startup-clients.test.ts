import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import pg from "pg";
import postgres from "postgres";
import t from "tap";
import { openClientTls } from "../../src/proxy/startup/client-tls.ts";
import type { KnownUser } from "../../src/proxy/startup/login.ts";
import {
  deriveScramKeys,
  formatScramVerifier,
  scramVerifierOf,
} from "../../src/wire/postgres/scram.ts";
import {
  authorityCert,
  elsewhereCert,
  elsewhereKey,
  serverCert,
  serverKey,
} from "../tls/certificates.ts";
import { startListener } from "./startup-listener.ts";

const run = promisify(execFile);
const salt = Buffer.from("0123456789abcdef");
const keys = await deriveScramKeys("secret", salt, 4096);
const users: Readonly<Record<string, KnownUser>> = {
  known: { kind: "password", password: "secret" },
  stored: {
    kind: "verifier",
    verifier: formatScramVerifier(scramVerifierOf(keys, salt, 4096)),
  },
  // The hash of "secretold".
  old: { kind: "verifier", verifier: "md57cb133e596658708079ed4cfaaf64462" },
  elsewhere: { kind: "cleartext" },
  anyone: { kind: "trust" },
};
const plain = await startListener(users);
const secure = await startListener(users, {
  tls: openClientTls({ cert: serverCert, key: serverKey }),
});
/** Signed with SHA-512, so the certificate is bound to by another hash. */
const sha512 = await startListener(users, {
  tls: openClientTls({ cert: elsewhereCert, key: elsewhereKey }),
});
t.teardown(() => Promise.all([plain.stop(), secure.stop(), sha512.stop()]));

const SCRAM_KEYS = { kind: "scram_keys", ...keys } as const;
const PASSWORD = { kind: "password", password: "secret" } as const;
const NONE = { kind: "none" } as const;
const overTls = { ca: authorityCert };
const anyServer = { rejectUnauthorized: false };

void t.test("pg logs in by every method", async (test) => {
  for (const [user, credentials, listener, ssl, bind] of [
    ["known", PASSWORD, plain, false, false],
    ["known", PASSWORD, secure, overTls, false],
    ["known", PASSWORD, secure, overTls, true],
    ["known", PASSWORD, sha512, anyServer, true],
    ["stored", SCRAM_KEYS, plain, false, false],
    ["stored", SCRAM_KEYS, secure, overTls, true],
    [
      "stored",
      SCRAM_KEYS,
      secure,
      { ...overTls, minVersion: "TLSv1.2", maxVersion: "TLSv1.2" },
      true,
    ],
    ["old", PASSWORD, secure, overTls, false],
    ["elsewhere", PASSWORD, secure, overTls, true],
    ["anyone", NONE, plain, false, false],
    ["anyone", NONE, secure, overTls, false],
  ] as const) {
    const before = listener.outcomes.length;
    const client = new pg.Client({
      host: "127.0.0.1",
      port: listener.port,
      user,
      password: "secret",
      database: "shop",
      application_name: "a test",
      ssl,
      enableChannelBinding: bind,
    });
    await client.connect();
    await client.query("select");
    await client.end();
    const outcome = listener.outcomes[before];
    if (outcome?.kind !== "client") throw new Error(`${user}: ${outcome?.kind}`);
    test.same(outcome.credentials, credentials, `${user}, TLS ${ssl !== false}, bound ${bind}`);
    test.match(outcome, { user, database: "shop", replication: false, encrypted: ssl !== false });
    test.same(outcome.parameters.find(([name]) => name === "application_name")?.[1], "a test");
    test.equal(outcome.leftover.length, 0);
  }
});

void t.test("postgres logs in by every method", async (test) => {
  for (const [user, listener, ssl] of [
    ["known", plain, false],
    ["known", secure, overTls],
    ["stored", secure, overTls],
    ["old", secure, overTls],
    ["anyone", plain, false],
  ] as const) {
    const sql = postgres({
      host: "127.0.0.1",
      port: listener.port,
      user,
      password: "secret",
      database: "shop",
      ssl,
      max: 1,
      fetch_types: false,
    });
    await sql.unsafe("select").simple();
    await sql.end();
    test.pass(`${user}, TLS ${ssl !== false}`);
  }
});

const psql = (process.env["PATH"] ?? "")
  .split(delimiter)
  .some((folder) => existsSync(join(folder, "psql")));

void t.test(
  "psql logs in with every sslmode",
  { skip: !psql && "psql is not installed" },
  async (test) => {
    const folder = await mkdtemp(join(tmpdir(), "twinwire-test-"));
    test.teardown(() => rm(folder, { recursive: true }));
    const root = join(folder, "root.crt");
    await writeFile(root, authorityCert);
    for (const [why, listener, options, encrypted] of [
      ["disable", plain, "sslmode=disable", false],
      ["allow", plain, "sslmode=allow", false],
      ["prefer, without TLS here", plain, "sslmode=prefer", false],
      ["disable, TLS on offer", secure, "sslmode=disable", false],
      ["prefer", secure, "sslmode=prefer", true],
      ["require", secure, "sslmode=require", true],
      ["verify-ca", secure, `sslmode=verify-ca sslrootcert=${root}`, true],
      ["verify-full", secure, `sslmode=verify-full sslrootcert=${root}`, true],
      ["bound", secure, "sslmode=require channel_binding=require", true],
      ["bound, SHA-512", sha512, "sslmode=require channel_binding=require", true],
      ["not bound", secure, "sslmode=require channel_binding=disable", true],
      ["GSSAPI preferred", secure, "sslmode=prefer gssencmode=prefer", true],
    ] as const) {
      const before = listener.outcomes.length;
      const to = `host=127.0.0.1 port=${listener.port} user=known password=secret dbname=shop`;
      await run("psql", ["-X", "-c", "select", `${to} ${options}`]);
      const outcome = listener.outcomes[before];
      test.match(outcome, { kind: "client", encrypted }, why);
    }
    const refused = `host=127.0.0.1 port=${plain.port} user=known password=secret dbname=shop sslmode=require`;
    await test.rejects(run("psql", ["-X", "-c", "select", refused]), /server does not support SSL/);
  },
);

void t.test("a login that cannot be is refused, and says so", async (test) => {
  for (const [why, user, password, listener, ssl, code, message] of [
    [
      "wrong",
      "known",
      "guess",
      plain,
      false,
      "28P01",
      'password authentication failed for user "known"',
    ],
    [
      "wrong, bound",
      "stored",
      "guess",
      secure,
      overTls,
      "28P01",
      'password authentication failed for user "stored"',
    ],
    [
      "unknown",
      "nobody",
      "guess",
      secure,
      overTls,
      "28P01",
      'password authentication failed for user "nobody"',
    ],
    [
      "wrong, md5",
      "old",
      "guess",
      secure,
      overTls,
      "28P01",
      'password authentication failed for user "old"',
    ],
    // An md5 hash cannot check a SCRAM proof, and a password is not asked for in plain text.
    [
      "md5 without TLS",
      "old",
      "secret",
      plain,
      false,
      "28P01",
      'password authentication failed for user "old"',
    ],
    [
      "unchecked, without TLS",
      "elsewhere",
      "secret",
      plain,
      false,
      "28000",
      "password authentication needs TLS",
    ],
  ] as const) {
    const client = new pg.Client({
      host: "127.0.0.1",
      port: listener.port,
      user,
      password,
      ssl,
      enableChannelBinding: true,
    });
    client.on("error", () => {});
    await test.rejects(client.connect(), { code, message, severity: "FATAL" }, why);
  }
});
