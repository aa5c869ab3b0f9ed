/** The shadow session has the client's settings and prepared statements, whatever happens to it. */
import { connect } from "node:net";
import type pg from "pg";
import t from "tap";
import { query } from "../proxy/raw-messages.ts";
import { openRaw } from "../proxy/raw-session.ts";
import { startMirrored, until } from "./mirrored.ts";
import type { Mirrored } from "./mirrored.ts";
import { DATABASE, startTwoSides, USER } from "./two-sides.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(
  `create schema alike; create table alike.things (name text); insert into alike.things values ('a');
   create schema planted; create table planted.things (name text);
   grant usage on schema alike, planted to public;
   grant select on alike.things, planted.things to public;
   create role barred; grant barred to ${USER};
   create table notes (id int primary key, v text)`,
);
await sides.on("old", "insert into planted.things values ('b')");
await sides.on("new", "insert into planted.things values ('c')");
await sides.on("new", "revoke select on alike.things from public");
await sides.on("new", `grant select on alike.things to ${USER}`);
const twinwire: Mirrored = await startMirrored(sides, {
  migration: { shadow: { timeout: "20s" } },
});
t.teardown(() => twinwire.stop());

/** Ends the shadow sessions, as a restart or a firewall would. */
async function dropShadow(): Promise<void> {
  await twinwire.judged();
  const sessions = `from pg_stat_activity where usename = '${USER}'`;
  await sides.on("new", `select pg_terminate_backend(pid) ${sessions}`);
  await until("the shadow's connections to be gone", async () => {
    const metrics = await twinwire.api.getText("/metrics");
    return /twinwire_shadow_connections_open\{[^}]*\} 0\b/.test(metrics);
  });
}

const PROBE = `select timestamptz '2026-01-01 00:00+00'::text as time,
  current_setting('app.tenant', true) as tenant, current_setting('datestyle') as style`;

/** A statement to run, or the end of the shadow's session. */
type Step = string | pg.QueryConfig | typeof DROP;
const DROP = Symbol("drop");

type Row = {
  readonly why: string;
  readonly options?: string;
  readonly steps: readonly Step[];
  /** What a probe at the end says, which the two sides must agree on. */
  readonly time: string;
  readonly tenant?: string;
};

const UTC = "2026-01-01 00:00:00+00";
const TOKYO = "2026-01-01 09:00:00+09";

const SETTINGS: readonly Row[] = [
  { why: "nothing is set", steps: [DROP], time: UTC },
  {
    why: "the startup packet sets something",
    options: "-c TimeZone=Asia/Tokyo -c app.tenant=seven",
    steps: ["reset all", DROP],
    time: TOKYO,
    tenant: "seven",
  },
  {
    why: "SET, before and after the shadow was lost",
    steps: ["set timezone = 'Asia/Tokyo'", PROBE, DROP, PROBE, DROP, "set app.tenant = 'eight'"],
    time: TOKYO,
    tenant: "eight",
  },
  {
    why: "SET LOCAL ends with its transaction",
    steps: ["begin", "set local timezone = 'Asia/Tokyo'", PROBE, "commit", DROP],
    time: UTC,
  },
  {
    why: "SET in a transaction that is rolled back",
    steps: ["begin", "set timezone = 'Asia/Tokyo'", PROBE, "rollback", PROBE, DROP],
    time: UTC,
  },
  {
    why: "SET in a transaction that fails",
    steps: ["begin", "set timezone = 'Asia/Tokyo'", "select 1/0", "commit", PROBE, DROP],
    time: UTC,
  },
  {
    why: "SET and a savepoint",
    steps: [
      "begin",
      "set timezone = 'Asia/Tokyo'",
      "savepoint s",
      "set timezone = 'America/Lima'",
      "rollback to s",
      "commit",
      DROP,
    ],
    time: TOKYO,
  },
  {
    why: "SET in a query whose later statement fails",
    steps: ["set timezone = 'America/Lima'; select 1/0", PROBE, DROP],
    time: UTC,
  },
  {
    why: "SET in a transaction that the shadow does not follow to its end",
    steps: [
      "begin",
      "insert into notes values (1, 'x') on conflict do nothing",
      "set timezone = 'Asia/Tokyo'",
      "commit",
    ],
    time: TOKYO,
  },
  {
    why: "set_config",
    steps: [
      "select set_config('timezone', 'Asia/Tokyo', false)",
      "select set_config('datestyle', 'German', true)",
      DROP,
    ],
    time: TOKYO,
  },
  {
    why: "set_config with a parameter, whose value only the server knows",
    steps: [{ text: "select set_config('timezone', $1, false)", values: ["Asia/Tokyo"] }, PROBE],
    time: TOKYO,
  },
  {
    why: "RESET ALL",
    steps: ["set timezone = 'Asia/Tokyo'", "reset all", PROBE, DROP],
    time: UTC,
  },
  {
    why: "DISCARD ALL",
    steps: ["set timezone = 'Asia/Tokyo'", DROP, "discard all", PROBE, DROP],
    time: UTC,
  },
  {
    why: "RESET of one setting, SET TIME ZONE, and a setting of quotes",
    steps: [
      "set app.tenant = 'x'",
      "set time zone 'Asia/Tokyo'",
      "reset app.tenant",
      `set app.tenant = 'it''s "eleven"'`,
      DROP,
    ],
    time: TOKYO,
    tenant: `it's "eleven"`,
  },
];

for (const { why, options, steps, time, tenant } of SETTINGS) {
  await t.test(`settings are in step when ${why}`, async (test) => {
    const client = await twinwire.client(options === undefined ? {} : { options });
    await client.query("select 1");
    const before = await twinwire.judged();
    for (const step of steps) {
      if (step === DROP) await dropShadow();
      else await client.query(step).catch(() => undefined);
    }
    const { rows } = await client.query<{ time: string; tenant: string | null }>(PROBE);
    test.equal(rows[0]?.time, time);
    test.equal(rows[0]?.tenant ?? "", tenant ?? "");
    await client.end();
    const after = await twinwire.judged();
    test.same(await twinwire.divergences(), []);
    test.ok(after.verdicts.match > before.verdicts.match);
    test.equal(after.verdicts.incomparable, before.verdicts.incomparable, "and all was compared");
  });
}

/**
 * The state of a session was once asked when the shadow got to it, not when the client had it: what was
 * queued while the shadow was being dialled ran under settings that came later.
 */
await t.test(
  "what waits for the shadow runs under the settings it was asked under",
  async (test) => {
    const before = await twinwire.judged();
    const parameters = [["user", USER] as const, ["database", DATABASE] as const];
    const session = await openRaw(Number(new URL(twinwire.connection).port), { parameters });
    const probe = query(PROBE);
    session.send(probe, query("set timezone = 'Asia/Tokyo'"), probe, query("reset all"), probe);
    await session.until("ZZZZZ");
    session.socket.destroy();
    const after = await twinwire.judged();
    test.same(await twinwire.divergences(), []);
    test.equal(after.verdicts.match - before.verdicts.match, 5);
  },
);

await t.test("settings that cannot be repeated keep a session from the shadow", async (test) => {
  const client = await twinwire.client();
  const ask = { text: "select set_config($1, $2, false)", values: ["timezone", "Asia/Tokyo"] };
  await client.query(ask);
  const before = await twinwire.judged();
  await client.query(PROBE);
  await client.query("begin");
  await client.query(PROBE);
  await client.query("commit");
  const between = await twinwire.judged();
  const { session: skipped = 0 } = between.exchanges.skipped;
  test.equal(skipped - (before.exchanges.skipped["session"] ?? 0), 4);
  await client.query("reset all");
  await client.query(PROBE);
  await client.query("select set_config('timezone', $1, false)", ["Asia/Tokyo"]);
  await client.query(PROBE);
  await dropShadow();
  await client.query(PROBE);
  await client.end();
  const after = await twinwire.judged();
  test.equal(after.verdicts.match - between.verdicts.match, 3, "until they are known again");
  test.same(await twinwire.divergences(), []);
});

const PREPARED: readonly (Omit<Row, "time"> & { readonly rows: unknown })[] = [
  {
    why: "by the protocol",
    steps: [{ name: "one", text: "select $1::int + 1 as n", values: [1] }, DROP],
    rows: [{ name: "one", text: "select $1::int + 1 as n", values: [2] }, 3],
  },
  {
    why: "by the protocol, in a transaction that the shadow did not follow",
    steps: [
      "begin",
      "insert into notes values (1, 'x') on conflict do nothing",
      { name: "two", text: "select $1::int + 2 as n", values: [1] },
      "commit",
    ],
    rows: [{ name: "two", text: "select $1::int + 2 as n", values: [2] }, 4],
  },
  {
    why: "by the protocol, and used first where everything fails",
    steps: [
      { name: "three", text: "select $1::int + 3 as n", values: [1] },
      DROP,
      "begin",
      "select 1/0",
      { name: "three", text: "select $1::int + 3 as n", values: [1] },
      "rollback",
    ],
    rows: [{ name: "three", text: "select $1::int + 3 as n", values: [2] }, 5],
  },
  {
    why: "in SQL",
    steps: ["prepare four (int) as select $1 + 4 as n", "execute four (1)", DROP],
    rows: ["execute four (2)", 6],
  },
  {
    why: "in SQL, and explained",
    steps: ["prepare five (int) as select $1 + 5 as n", DROP, "explain execute five (1)"],
    rows: ["execute five (2)", 7],
  },
  {
    why: "in SQL, removed, and made anew with another meaning",
    steps: [
      "prepare six (int) as select $1 + 0 as n",
      "deallocate six",
      "prepare six (int) as select $1 + 6 as n",
      DROP,
    ],
    rows: ["execute six (2)", 8],
  },
  {
    why: "in SQL after DISCARD ALL",
    steps: [
      "prepare seven (int) as select $1 + 0 as n",
      DROP,
      "discard all",
      "prepare seven (int) as select $1 + 7 as n",
    ],
    rows: ["execute seven (2)", 9],
  },
];

for (const { why, steps, rows: last } of PREPARED) {
  await t.test(`statements are in step when they are prepared ${why}`, async (test) => {
    const [ask, expected] = last as [string | pg.QueryConfig, number];
    const client = await twinwire.client();
    for (const step of steps) {
      if (step === DROP) await dropShadow();
      else await client.query(step).catch(() => undefined);
    }
    const before = await twinwire.judged();
    const { rows } = await client.query<{ n: number }>(ask);
    test.equal(rows[0]?.n, expected);
    await client.end();
    const after = await twinwire.judged();
    test.same(await twinwire.divergences(), []);
    test.equal(after.verdicts.match, before.verdicts.match + 1);
  });
}

await t.test("a cancel reaches the shadow as well", async (test) => {
  const client = await twinwire.client();
  await client.query("select 1");
  const before = await twinwire.judged();
  const sleeping = client.query("select pg_sleep(600)").then(
    () => "slept",
    (error: Error) => error.message,
  );
  const sleepers =
    "select 1 from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'";
  await until("both to sleep", async () => {
    const both = await Promise.all([sides.on("old", sleepers), sides.on("new", sleepers)]);
    return both.every((rows) => rows.length === 1);
  });
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const request = Buffer.alloc(16);
  [16, 80_877_102, processID, secretKey].forEach((word, at) => request.writeInt32BE(word, at * 4));
  connect(Number(new URL(twinwire.connection).port), "127.0.0.1")
    .end(request)
    .resume();
  test.match(await sleeping, /canceling statement/);
  const after = await twinwire.judged();
  const { cancelled = 0 } = after.incomparable;
  test.equal(cancelled - (before.incomparable["cancelled"] ?? 0), 1);
  test.same(await sides.on("new", sleepers), []);
  await client.query("select 1");
  test.equal((await twinwire.judged()).verdicts.match, before.verdicts.match + 1);
});

await t.test("a read that writes in disguise changes nothing on the shadow", async (test) => {
  await sides.both(
    `create table audit (id int);
     create function really_writes() returns int language plpgsql volatile as
       $$ begin insert into audit values (1); return 1; end $$;
     create function says_it_reads() returns int language plpgsql stable as
       $$ begin return really_writes(); end $$`,
  );
  const before = await twinwire.judged();
  const client = await twinwire.client();
  await client.query("select says_it_reads()");
  await client.query("begin");
  await client.query("select says_it_reads()");
  await client.query("select count(*) from audit");
  await client.query("commit");
  await client.end();
  const after = await twinwire.judged();
  test.equal((await sides.on("old", "select id from audit")).length, 2);
  test.same(await sides.on("new", "select id from audit"), []);
  const { read_only: refused = 0 } = after.incomparable;
  test.equal(refused - (before.incomparable["read_only"] ?? 0), 2);
  test.same(await twinwire.divergences(), [], "and what follows it is not held against the shadow");
});

await t.test(
  "the search path counts on the shadow, as a planted difference shows",
  async (test) => {
    const client = await twinwire.client();
    await client.query("set search_path = alike");
    await client.query("select name from things");
    await twinwire.judged();
    test.same(await twinwire.divergences(), []);
    await client.query("set search_path = planted");
    await dropShadow();
    await client.query("select name from things");
    await client.end();
    await twinwire.judged();
    const [found, ...more] = await twinwire.divergences();
    test.same([found?.statement, found?.reason], ["select name from things", "text_value"]);
    test.same(more, []);
  },
);

await t.test("the role counts on the shadow, as a planted right shows", async (test) => {
  const client = await twinwire.client();
  const ask = "select count(*) from alike.things";
  await client.query(ask);
  await client.query("set role barred");
  await dropShadow();
  await client.query(ask);
  await client.query("reset role");
  await dropShadow();
  await client.query(ask);
  await client.end();
  await twinwire.judged();
  const found = (await twinwire.divergences()).find(({ statement }) => statement === ask);
  test.equal(found?.reason, "error_on_shadow");
  test.equal(found?.count, 1, "as that role and not before or after");
});
