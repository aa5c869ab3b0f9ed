/** What a switch means for one session: it goes on where it was, waits, holds it up, or is told to come again. */
import { connect } from "node:net";
import pg from "pg";
import t from "tap";
import type { AttemptItem } from "../../src/admin/ports.ts";
import { startMirrored, until } from "../mirror/mirrored.ts";
import type { Mirrored } from "../mirror/mirrored.ts";
import { DATABASE, startTwoSides, USER } from "../mirror/two-sides.ts";
import { query } from "./raw-messages.ts";
import { openRaw } from "./raw-session.ts";

const ROOT = "/api/v1/migrations/shop";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(
  `create table goods (id int primary key, name text);
   insert into goods select id, 'good ' || id from generate_series(1, 20) as id;
   create schema other; create table other.goods as select id, 'other ' || id as name
     from generate_series(1, 20) as id;
   grant usage on schema other to ${USER}; grant select on other.goods to ${USER};
   create role clerk; grant clerk to ${USER};
   create table only_read (id int)`,
);
await sides.on("new", "drop table only_read");
const twinwire: Mirrored = await startMirrored(sides, {
  migration: { cutover: { max_pause: "400ms" } },
});
t.teardown(() => twinwire.stop());

/** The major version of the server that answers. */
async function serverOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ n: string }>(
    "select current_setting('server_version_num') as n",
  );
  return Math.floor(Number(rows[0]?.n) / 10_000);
}

async function switched(to: "old" | "new"): Promise<AttemptItem> {
  const attempt = await twinwire.switchTo(to);
  if (attempt.state !== "succeeded") throw new Error(attempt.outcome);
  return attempt;
}

/** Events of the wire that `pg` does not hand on by itself. */
function parametersTold(client: pg.Client): Map<string, string> {
  const told = new Map<string, string>();
  const { connection } = client as unknown as {
    connection: {
      on(
        event: "parameterStatus",
        listener: (message: { parameterName: string; parameterValue: string }) => void,
      ): void;
    };
  };
  connection.on("parameterStatus", ({ parameterName, parameterValue }) =>
    told.set(parameterName, parameterValue),
  );
  return told;
}

function cancel(client: pg.Client): void {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const request = Buffer.alloc(16);
  [16, 80_877_102, processID, secretKey].forEach((word, at) => request.writeInt32BE(word, at * 4));
  connect(Number(new URL(twinwire.connection).port), "127.0.0.1")
    .end(request)
    .resume();
}

const WHAT_IT_HAS = `select current_setting('timezone') as zone, current_setting('app.tenant') as tenant,
  current_setting('search_path') as path, current_user as who, (select name from goods where id = 1) as good`;

await t.test("a session goes on with all it had, over the same connection", async (test) => {
  const client = await twinwire.client({ options: "-c timezone=Asia/Tokyo" });
  const told = parametersTold(client);
  for (const sql of [
    "set app.tenant = 'it''s seven'",
    "set search_path = other, public",
    "set role clerk",
    "set session authorization default",
    "prepare by_sql (int) as select name from public.goods where id = $1",
    "begin",
    "set datestyle = 'German'",
    "rollback",
  ]) {
    await client.query(sql);
  }
  await client.query("reset role");
  const named = (id: number): pg.QueryConfig => ({
    name: "by protocol",
    text: "select name from goods where id = $1",
    values: [id],
  });
  const answers = async (): Promise<unknown> => [
    (await client.query(WHAT_IT_HAS)).rows,
    (await client.query(named(2))).rows,
    (await client.query("execute by_sql (3)")).rows,
    (await client.query("show datestyle")).rows,
  ];
  const before = await answers();
  test.match(before, [[{ zone: "Asia/Tokyo", tenant: "it's seven", good: "other 1" }]]);
  for (const [to, major] of [
    ["new", 16],
    ["old", 14],
    ["new", 16],
    ["old", 14],
  ] as const) {
    told.clear();
    await switched(to);
    test.equal(await serverOf(client), major);
    test.same(await answers(), before);
    test.match(told.get("server_version"), new RegExp(`^${major}\\.`), "the client was told");
    test.notOk(told.has("TimeZone"), "and only of what is different");
    const sleeping = client.query("select pg_sleep(600)").then(
      () => "slept",
      (error: Error) => error.message,
    );
    const side = to === "new" ? "new" : "old";
    await until("it to sleep", async () => {
      const sql =
        "select 1 from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'";
      return (await sides.on(side, sql)).length === 1;
    });
    cancel(client);
    test.match(await sleeping, /canceling statement/, "its key is still good");
  }
  await client.end();
});

await t.test("the old primary is the shadow, and comparing goes on", async (test) => {
  const client = await twinwire.client();
  await client.query("select * from goods order by id");
  await switched("new");
  const before = await twinwire.judged();
  test.equal(before.route.primary, "new");
  await client.query("select * from goods order by id");
  await client.query("insert into goods values (21, 'on new only')");
  await client.query("select * from goods order by id");
  const after = await twinwire.judged();
  test.equal(after.verdicts.match, before.verdicts.match + 1);
  test.equal(after.verdicts.divergent, before.verdicts.divergent + 1);
  test.equal((await sides.on("old", "select id from goods where id = 21")).length, 0);
  await client.query("delete from goods where id = 21");
  await client.end();
  await switched("old");
});

await t.test("an open transaction holds a switch up, and then goes on", async (test) => {
  const holder = await twinwire.client({ application_name: "nightly report" });
  const other = await twinwire.client();
  await holder.query("begin");
  await holder.query("select name from goods where id = 5");
  const begun = await twinwire.api.post<AttemptItem>(`${ROOT}/route`, { primary: "new" });
  await until("the pause", async () => (await twinwire.status()).phase === "pausing");
  const waited = other.query<{ name: string }>("select name from goods where id = 6");
  const attempt = await twinwire.attemptEnd(begun);
  test.equal(attempt.state, "failed");
  for (const named of ["nightly report", USER, "127.0.0.1", "open transaction"]) {
    test.match(attempt.outcome, named);
  }
  test.match(attempt.outcome, /\d+ ms|\d+(\.\d+)? s/, "and says for how long");
  test.ok((attempt.pauseMs ?? 0) >= 400);
  test.same((await waited).rows, [{ name: "good 6" }], "who waited is answered");
  test.equal(await serverOf(other), 14);
  test.equal((await holder.query("select name from goods where id = 5")).rowCount, 1);
  await holder.query("commit");
  const running = holder.query("select pg_sleep(600)").catch((error: Error) => error.message);
  const second = await twinwire.switchTo("new");
  test.equal(second.state, "failed");
  test.match(second.outcome, /nightly report/);
  cancel(holder);
  await running;
  await switched("new");
  test.equal(await serverOf(holder), 16);
  await switched("old");
  await Promise.all([holder.end(), other.end()]);
});

const PINNED: readonly {
  readonly why: string;
  readonly has: string;
  readonly statements: readonly (string | pg.QueryConfig)[];
  readonly unless: readonly string[];
}[] = [
  {
    why: "a temporary table",
    has: "temporary tables",
    statements: ["create temp table mine (id int)"],
    unless: ["discard temp"],
  },
  {
    why: "a temporary table made by a query",
    has: "temporary tables",
    statements: ["select 1 as id into temp mine"],
    unless: ["discard all"],
  },
  {
    why: "an advisory lock",
    has: "advisory locks",
    statements: ["select pg_advisory_lock(42)"],
    unless: ["discard all"],
  },
  {
    why: "a cursor WITH HOLD",
    has: "WITH HOLD",
    statements: ["declare kept cursor with hold for select id from goods"],
    unless: ["close kept"],
  },
  { why: "LISTEN", has: "notifications", statements: ["listen news"], unless: ["unlisten *"] },
  {
    why: "settings that only the server knows",
    has: "not certain",
    statements: [{ text: "select set_config($1, 'x', false)", values: ["app.tenant"] }],
    unless: ["reset all"],
  },
  {
    why: "a statement that the other side refuses",
    has: "refused",
    statements: ["prepare reading as select id from only_read"],
    unless: ["deallocate reading"],
  },
];

await t.test("sessions that cannot move are told so, and the others move", async (test) => {
  const staying: { readonly row: (typeof PINNED)[number]; readonly end: Promise<Error> }[] = [];
  const moving: pg.Client[] = [];
  for (const row of PINNED) {
    const pinned = new pg.Client(twinwire.connection);
    const end = new Promise<Error>((resolve) => pinned.once("error", resolve));
    pinned.on("error", () => {});
    await pinned.connect();
    staying.push({ row, end });
    const freed = await twinwire.client();
    for (const ask of row.statements) {
      await pinned.query(ask);
      await freed.query(typeof ask === "string" ? ask.replaceAll("42", "43") : ask);
    }
    for (const sql of row.unless) await freed.query(sql);
    moving.push(freed);
  }
  const attempt = await switched("new");
  for (const { row, end } of staying) {
    const error = (await end) as pg.DatabaseError;
    test.equal(error.code, "57P01", row.why);
    test.match(error.detail, row.has);
    test.match(error.hint, /Connect again/);
  }
  for (const [index, client] of moving.entries()) {
    test.equal(await serverOf(client), 16, `without ${PINNED[index]?.why} it moves`);
    await client.end();
  }
  test.match(attempt.outcome, `${moving.length}`, "the attempt counts both");
  await switched("old");
});

await t.test(
  "a replication connection is ended, for its position is one server's own",
  async (test) => {
    await sides.both(`alter role ${USER} replication`);
    const before = await twinwire.judged();
    const parameters = [
      ["user", USER] as const,
      ["database", DATABASE] as const,
      ["replication", "database"] as const,
    ];
    const { port } = new URL(twinwire.connection);
    const session = await openRaw(Number(port), { parameters });
    session.send(query("IDENTIFY_SYSTEM"));
    await session.until("Z");
    const attempt = await switched("new");
    await session.until("E");
    await session.closed();
    test.match(session.frames().toString("latin1"), /57P01/);
    test.match(attempt.outcome, /replication 1/);
    const { exchanges } = await twinwire.judged();
    test.equal(exchanges.mirrored, before.exchanges.mirrored, "never mirrored");
    test.equal(exchanges.skipped["replication"], 1, "and counted");
    await switched("old");
  },
);

await t.test("a client that comes in the pause waits, and lands on the new side", async (test) => {
  const patient = await startMirrored(sides, { migration: { cutover: { max_pause: "20s" } } });
  test.teardown(() => patient.stop());
  const holder = await patient.client();
  await holder.query("begin");
  const begun = await patient.api.post<AttemptItem>(`${ROOT}/route`, { primary: "new" });
  await until("the pause", async () => (await patient.status()).phase === "pausing");
  let isIn = false;
  const coming = patient.client().then((client) => {
    isIn = true;
    return client;
  });
  await holder.query("select 1");
  const conflict = await patient.api.post(`${ROOT}/route`, { primary: "new" }).then(
    () => "accepted",
    (error: Error) => error.message,
  );
  test.match(conflict, /another attempt is under way/i);
  const metrics = await patient.api.getText("/metrics");
  test.match(metrics, /twinwire_toggle_waiting_sessions\{[^}]*\} 0/);
  test.notOk(isIn, "it is not in yet");
  await holder.query("commit");
  test.equal((await patient.attemptEnd(begun)).state, "succeeded");
  const client = await coming;
  test.equal(await serverOf(client), 16);
  test.equal(await serverOf(holder), 16);
  const again = await patient.api.post(`${ROOT}/route`, { primary: "new" }).catch(String);
  test.match(
    again,
    /new is the primary already/i,
    "and there is no switching to where the traffic is",
  );
});

await t.test("an attempt can be given up, and nothing has happened", async (test) => {
  const patient = await startMirrored(sides, { migration: { cutover: { max_pause: "60s" } } });
  test.teardown(() => patient.stop());
  const [holder, other] = [await patient.client(), await patient.client()];
  await holder.query("begin");
  const begun = await patient.api.post<AttemptItem>(`${ROOT}/route`, { primary: "new" });
  await until("the pause", async () => (await patient.status()).phase === "pausing");
  const waiting = serverOf(other);
  await until("the other to wait", async () =>
    /twinwire_toggle_waiting_sessions\{[^}]*\} 1/.test(await patient.api.getText("/metrics")),
  );
  await patient.api.post(`${ROOT}/abort`);
  test.equal((await patient.attemptEnd(begun)).state, "aborted");
  test.equal(await waiting, 14);
  await holder.query("commit");
  test.equal((await patient.status()).route.primary, "old");
  test.equal((await patient.switchTo("new")).state, "succeeded");
  test.equal(await serverOf(other), 16);
});

await t.test("a side that is gone is not switched to", async (test) => {
  const client = await twinwire.client();
  sides.new.kill();
  const outcome = await twinwire.switchTo("new").then(
    (attempt) => `${attempt.state}: ${attempt.outcome}`,
    (error: Error) => error.message,
  );
  test.match(outcome, /failed: .*stays on old|target_reachable/);
  test.equal(await serverOf(client), 14);
  await client.end();
  await sides.new.restart();
});
