import { randomBytes } from "node:crypto";
import t from "tap";
import type { Test } from "tap";
import { AdminQueryError, openAdminClient } from "../../src/upstream/admin-client.ts";
import type { AdminClient, AdminLimits, AdminTarget } from "../../src/upstream/admin-client.ts";
import type { ServerTls } from "../../src/upstream/server-address.ts";
import { authorityCert, serverCert, serverKey, strangerCert } from "../tls/certificates.ts";
import { at, peer, serverWith } from "./sessions.ts";

const server = await serverWith(
  { major: 16, tls: { cert: serverCert, key: serverKey } },
  "CREATE TABLE people (name text PRIMARY KEY); INSERT INTO people VALUES ('Ada Secret')",
);
const LIMITS: AdminLimits = { connectTimeoutMs: 20_000, statementTimeoutMs: 20_000 };

function target(tls: Partial<ServerTls> = {}, more: Partial<AdminTarget> = {}): AdminTarget {
  const { port, password } = server;
  return { ...at(port, tls), user: "postgres", password, database: "postgres", ...more };
}

function client(test: Test, wanted = target(), limits: Partial<AdminLimits> = {}): AdminClient {
  const made = openAdminClient(wanted, { ...LIMITS, ...limits }, { random: randomBytes });
  test.teardown(() => made.close());
  return made;
}

await t.test("rows come as the text the server prints", async (test) => {
  const admin = client(test);
  const sql =
    "SELECT 1, 1.50::numeric, true, NULL, '{1,2}'::int[], '\\x00'::bytea, jsonb '[1]', $1::text";
  const row = ["1", "1.50", "t", null, "{1,2}", "\\x00", "[1]", "it's"];
  test.same(await admin.query(sql, ["it's"]), [row]);
  test.same(await admin.query("SELECT $1::int", [null]), [[null]]);
  test.same(await admin.query("SELECT 1 WHERE false"), []);
  const name = await admin.query(
    "SELECT current_setting('application_name'), current_setting('statement_timeout')",
  );
  test.same(name, [["twinwire", "20s"]]);
});

await t.test(
  "queries asked at the same time are answered in turn on one connection",
  async (test) => {
    const admin = client(test);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => admin.query(`SELECT ${index}, pg_backend_pid()`)),
    );
    test.same(
      answers.map((rows) => rows[0]?.[0]),
      answers.map((_, index) => String(index)),
    );
    test.equal(new Set(answers.map((rows) => rows[0]?.[1])).size, 1);
  },
);

await t.test("TLS is what sslmode says", async (test) => {
  const inUse = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
  const rows = [
    { tls: { mode: "disable" }, ssl: "f" },
    { tls: { mode: "allow" }, ssl: "f" },
    { tls: { mode: "prefer" }, ssl: "t" },
    { tls: { mode: "verify-full", rootCert: authorityCert, channelBinding: "require" }, ssl: "t" },
  ] as const;
  for (const { tls, ssl } of rows) test.same(await client(test, target(tls)).query(inUse), [[ssl]]);
  const stranger = client(test, target({ mode: "verify-ca", rootCert: strangerCert }));
  await test.rejects(stranger.query("SELECT 1"), {
    code: "backend_refused",
    message: /TLS failed/,
  });
});

await t.test("after the connection is lost the next query connects anew", async (test) => {
  const admin = client(test);
  const killer = client(test);
  const [[pid = ""] = []] = await admin.query("SELECT pg_backend_pid()::text");
  const asleep = test.rejects(admin.query("SELECT pg_sleep(600)"), /57P01/);
  const activity = "SELECT wait_event FROM pg_stat_activity WHERE pid = $1::int";
  while ((await killer.query(activity, [pid]))[0]?.[0] !== "PgSleep");
  await killer.query("SELECT pg_terminate_backend($1::int, 10000)", [pid]);
  await asleep;
  test.notSame(await admin.query("SELECT pg_backend_pid()::text"), [[pid]]);

  const [[idle = ""] = []] = await admin.query("SELECT pg_backend_pid()::text");
  await killer.query("SELECT pg_terminate_backend($1::int, 10000)", [idle]);
  // That query may still go out before the end of the connection has come in.
  await admin.query("SELECT 1").catch(() => {});
  test.notSame(await admin.query("SELECT pg_backend_pid()::text"), [[idle]]);
});

await t.test("a server that comes back is found again", async (test) => {
  const admin = client(test);
  await admin.query("SELECT 1");
  server.kill();
  await test.rejects(admin.query("SELECT 1"));
  await test.rejects(admin.query("SELECT 1"), { code: /^backend_(unreachable|lost)$/ });
  await server.restart();
  test.same(await admin.query("SELECT 1"), [["1"]]);
});

await t.test(
  "what the server refuses is said, with its SQLSTATE and without values",
  async (test) => {
    const admin = client(test);
    const rows = [
      {
        sql: "SELECT * FROM nowhere",
        reported: "42P01",
        message: /relation "nowhere" does not exist/,
      },
      { sql: "INSERT INTO people VALUES ('Ada Secret')", reported: "23505", message: /\(23505\)$/ },
      { sql: "SELECT name::int FROM people", reported: "22P02", message: /\(22P02\)$/ },
      {
        sql: "DO $$ BEGIN RAISE '%', (SELECT name FROM people); END $$",
        reported: "P0001",
        message: /\(P0001\)$/,
      },
    ];
    for (const { sql, reported, message } of rows) {
      const error: unknown = await admin.query(sql).catch((thrown: unknown) => thrown);
      test.ok(error instanceof AdminQueryError);
      test.match(error, { reported, message, code: "backend_refused", cause: undefined });
    }
    test.same(await admin.query("SELECT 1"), [["1"]]);
  },
);

await t.test(
  "a query is ended by the server at its time limit, or here when the server hangs",
  async (test) => {
    const slow = client(test, target(), { statementTimeoutMs: 50 });
    await test.rejects(slow.query("SELECT pg_sleep(600)"), /57014/);
    test.same(await slow.query("SELECT 1"), [["1"]]);

    const port = await peer((socket) => {
      socket.once("data", () => {
        socket.write(Buffer.from("5200000008000000005a0000000549", "hex"));
        socket.resume();
      });
    }, test);
    const hung = client(test, target({}, { port }), { statementTimeoutMs: 1 });
    await test.rejects(hung.query("SELECT 1"), {
      code: "backend_lost",
      message: /no answer to a query/,
    });
  },
);

await t.test("a login that fails is said without the password", async (test) => {
  const rows = [
    {
      more: { password: "guess!" },
      message: /refused the login of "postgres": password authentication failed/,
    },
    {
      more: { database: "nowhere" },
      message: /database "nowhere" does not exist \(SQLSTATE 3D000\)/,
    },
    { more: { password: undefined }, message: /none is configured/ },
    { more: { port: 1 }, message: /127.0.0.1:1: connection failed/ },
  ];
  for (const { more, message } of rows) {
    const error: unknown = await client(test, target({}, more))
      .query("SELECT 1")
      .catch((thrown: unknown) => thrown);
    test.match(error, { message });
    test.notMatch(JSON.stringify(error), "guess!");
  }
});

await t.test("the settings of the environment are not asked", async (test) => {
  const names = {
    PGSSLNEGOTIATION: "direct",
    PGSSLMODE: "require",
    PGOPTIONS: "-c work_mem=1",
    PGHOST: "nowhere",
  };
  const before = { ...process.env };
  Object.assign(process.env, names);
  test.teardown(() => {
    for (const name of Object.keys(names)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  });
  test.same(await client(test).query("SELECT current_setting('application_name')"), [["twinwire"]]);
});

await t.test("a closed client answers no more", async (test) => {
  const admin = client(test);
  await admin.query("SELECT 1");
  await admin.close();
  await admin.close();
  await test.rejects(admin.query("SELECT 1"), { code: "shutting_down" });
  await client(test).close();
});
