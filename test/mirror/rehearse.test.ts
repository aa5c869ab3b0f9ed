/** `writes: rehearse`: transactions run on the shadow with their writes, are compared, and leave nothing there. */
import { isDeepStrictEqual } from "node:util";
import type pg from "pg";
import t from "tap";
import type { Test } from "tap";
import type { MigrationStatus } from "../../src/admin/ports.ts";
import { batch, query, sync } from "../proxy/raw-messages.ts";
import { openRaw } from "../proxy/raw-session.ts";
import type { RawSession } from "../proxy/raw-session.ts";
import { startMirrored, until } from "./mirrored.ts";
import type { Mirrored } from "./mirrored.ts";
import { DATABASE, startTwoSides, USER } from "./two-sides.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(
  `create table items (id int primary key, name text, amount int not null default 0);
   insert into items select id, 'item ' || id, id from generate_series(1, 20) as id;
   create table orders (id serial primary key, item int references items, note text);
   create table tickets (
     id int generated always as identity primary key,
     token uuid default gen_random_uuid(), made timestamptz default now(), state text default 'new');
   create table links (
     id int primary key,
     item int references items (id) deferrable initially deferred);
   create sequence numbers;
   create procedure proceed() language plpgsql as $$ begin insert into items values (999); commit; end $$;
   alter table items owner to ${USER}; alter table orders owner to ${USER};
   alter table tickets owner to ${USER}; alter table links owner to ${USER}`,
);
// NEW tells what its sessions are asked, so that it can be seen that nobody asked it to commit.
await sides.on("new", "alter system set logging_collector = 'on'");
await sides.on("new", "alter system set log_statement = 'all'");
await sides.on("new", "alter system set log_line_prefix = '%u '");
await sides.new.restart();
const twinwire = await startMirrored(sides, {
  // Nothing is replicated here, so what the primary commits has to be carried over before it is used.
  migration: { shadow: { writes: "rehearse", rehearsal: { quiet: "0s", hold: "5s" } } },
});
t.teardown(() => twinwire.stop());

const TABLES = ["items", "orders", "tickets", "links"];
const SEQUENCES = ["orders_id_seq", "tickets_id_seq", "numbers"];

/** All that could have been left behind on the shadow. */
async function shadowState(): Promise<unknown> {
  const rows = TABLES.map(
    (table) => `(select string_agg(r::text, ' ' order by r::text) from ${table} as r) as ${table}`,
  );
  const sequences = SEQUENCES.map(
    (name) => `(select (last_value, is_called)::text from ${name}) as ${name}`,
  );
  const locks = "(select count(*) from pg_locks where locktype = 'advisory') as locks";
  return sides.on("new", `select ${[...rows, ...sequences, locks].join(", ")}`);
}

/** The shadow's rows are what the primary's were before. */
async function levelled(): Promise<void> {
  for (const table of TABLES) {
    const [row] = await sides.on(
      "new",
      `select coalesce(json_agg(r), '[]') as rows from ${table} as r`,
    );
    const json = JSON.stringify(row?.["rows"]).replaceAll("'", "''");
    await sides.on(
      "old",
      `set session_replication_role = replica; delete from ${table};
       insert into ${table} overriding system value
       select * from json_populate_recordset(null::${table}, '${json}')`,
    );
  }
}

function raw(on: Mirrored): Promise<RawSession> {
  const parameters = [["user", USER] as const, ["database", DATABASE] as const];
  return openRaw(Number(new URL(on.connection).port), { parameters });
}

const inTurn = async (client: pg.Client, ...statements: readonly string[]): Promise<void> => {
  for (const sql of statements) await client.query(sql).catch(() => undefined);
};

type Outcome = {
  /** Verdicts, and skipped exchanges by reason, since before. */
  readonly match?: number;
  readonly tolerated?: number;
  readonly divergent?: number;
  readonly incomparable?: Readonly<Record<string, number>>;
  readonly skipped?: Readonly<Record<string, number>>;
};

function since(before: MigrationStatus, after: MigrationStatus): Outcome {
  const grown = (
    from: Readonly<Record<string, number>>,
    to: Readonly<Record<string, number>>,
  ): Readonly<Record<string, number>> =>
    Object.fromEntries(
      Object.entries(to)
        .map(([name, count]) => [name, count - (from[name] ?? 0)] as const)
        .filter(([, count]) => count !== 0),
    );
  const { match, tolerated, divergent } = grown(before.verdicts, after.verdicts);
  const incomparable = grown(before.incomparable, after.incomparable);
  const skipped = grown(before.exchanges.skipped, after.exchanges.skipped);
  return {
    ...(match === undefined ? {} : { match }),
    ...(tolerated === undefined ? {} : { tolerated }),
    ...(divergent === undefined ? {} : { divergent }),
    ...(Object.keys(incomparable).length === 0 ? {} : { incomparable }),
    ...(Object.keys(skipped).length === 0 ? {} : { skipped }),
  };
}

type Script = {
  readonly name: string;
  readonly run: (client: pg.Client) => Promise<unknown>;
  readonly outcome: Outcome;
};

async function check(test: Test, { name, run, outcome }: Script): Promise<void> {
  await levelled();
  const before = await shadowState();
  const status = await twinwire.judged();
  const client = await twinwire.client();
  await run(client);
  await client.end();
  const after = await twinwire.judged();
  test.strictSame(since(status, after), outcome, name);
  await nothingLeft(before, name);
  test.pass(`${name}: nothing is left on the shadow`);
}

/** Sequences are set back on a connection of their own, so that may take a moment. */
async function nothingLeft(before: unknown, name: string): Promise<void> {
  await until(`the shadow to be as it was: ${name}`, async () =>
    isDeepStrictEqual(await shadowState(), before),
  );
}

const ALIKE: readonly Script[] = [
  {
    name: "single statements",
    run: (client) =>
      inTurn(
        client,
        "insert into items values (100, 'new') returning *",
        "update items set name = upper(name) where id <= 3 returning id, name",
        "delete from items where id = 20",
        "select name from items where id = 4 for update",
      ),
    outcome: { match: 4 },
  },
  {
    name: "parameters and named statements",
    run: async (client) => {
      const update = {
        name: "put",
        text: "update items set name = $2 where id = $1 returning name",
      };
      for (const id of [1, 2, 3]) await client.query({ ...update, values: [id, `n${id}`] });
      await client.query("insert into items values ($1, $2)", [101, "one"]);
    },
    outcome: { match: 4 },
  },
  {
    name: "a statement prepared in SQL",
    run: (client) =>
      inTurn(
        client,
        "prepare put2 (int, text) as update items set name = $2 where id = $1",
        "execute put2 (5, 'five')",
        "deallocate put2",
      ),
    outcome: { match: 3 },
  },
  {
    name: "an explicit transaction, whose reads see its writes",
    run: (client) =>
      inTurn(
        client,
        "begin",
        "select count(*) from items",
        "insert into items values (102, 'two')",
        "select name from items where id = 102",
        "update items set amount = amount + 1 where id = 102 returning amount",
        "commit",
      ),
    outcome: { match: 6 },
  },
  {
    name: "transactions of every kind",
    run: (client) =>
      inTurn(
        client,
        "begin isolation level serializable",
        "update items set name = 'x' where id = 1",
        "commit",
        "start transaction read write",
        "update items set name = 'y' where id = 2",
        "rollback",
        "begin read only",
        "update items set name = 'z' where id = 3",
        "rollback",
      ),
    outcome: { match: 9 },
  },
  {
    name: "savepoints",
    run: (client) =>
      inTurn(
        client,
        "begin",
        "insert into items values (103, 'kept')",
        "savepoint s",
        "insert into items values (103, 'refused')",
        "rollback to s",
        "select name from items where id = 103",
        "release s",
        "commit",
      ),
    outcome: { match: 8 },
  },
  {
    name: "a transaction that failed, committed",
    run: (client) =>
      inTurn(
        client,
        "begin",
        "update items set name = 'no' where id = 1",
        "select 1/0",
        "select 1",
        "commit",
        "select name from items where id = 1",
      ),
    outcome: { match: 6 },
  },
  {
    name: "errors that both sides make",
    run: (client) =>
      inTurn(
        client,
        "insert into items values (1, 'a duplicate')",
        "insert into items values (104, 'x', null)",
        "insert into orders (item) values (4711)",
        "insert into nowhere values (1)",
      ),
    outcome: { match: 4 },
  },
  {
    name: "several statements in one query are one transaction",
    run: (client) =>
      inTurn(
        client,
        "insert into items values (105, 'a'); update items set name = 'b' where id = 105",
        "insert into items values (106, 'c'); select 1/0; insert into items values (107, 'd')",
        "select count(*) from orders",
      ),
    outcome: { match: 3 },
  },
  {
    name: "keys and defaults that each side makes for itself",
    run: (client) =>
      inTurn(
        client,
        "insert into tickets default values returning *",
        "insert into tickets (state) values ('a'), ('b'), ('c') returning id as key, token, state",
        "insert into orders (item) values (1) returning id",
        "insert into orders (item) values (1) returning item",
      ),
    outcome: { tolerated: 3, match: 1 },
  },
  {
    name: "keys are left aside in the extended protocol too",
    run: async (client) => {
      const text = "insert into tickets (state) values ($1) returning id, token, state";
      const insert = { name: "ticket", text };
      for (const state of ["a", "b"]) await client.query({ ...insert, values: [state] });
    },
    outcome: { tolerated: 2 },
  },
  {
    name: "deferred constraints are checked where the commit would be",
    run: (client) =>
      inTurn(
        client,
        "insert into links values (1, 1)",
        "insert into links values (2, 4711)",
        "insert into links values (3, 1), (4, 4711) returning *",
        "insert into links values (5, 1); insert into links values (6, 4711)",
        "begin",
        "insert into links values (7, 4711)",
        "commit",
        "begin",
        "insert into links values (8, 2)",
        "commit",
      ),
    outcome: { match: 10 },
  },
  {
    name: "a deferred violation at a batch's Sync",
    run: (client) => client.query("insert into links values ($1, $2)", [9, 4711]).catch(() => {}),
    outcome: { match: 1 },
  },
  {
    name: "what cannot be undone is skipped by name",
    run: (client) =>
      inTurn(
        client,
        "select nextval('numbers')",
        "insert into items values (nextval('numbers') + 500)",
        "select pg_advisory_xact_lock(1)",
        "truncate links",
        "lock table items in share mode",
        "call proceed()",
        "do $$ begin update items set name = 'done' where id = 1; end $$",
        "begin; update items set name = 'x' where id = 1; commit",
        "update items set name = 'x' where id = 1; commit",
        "create table made (id int)",
        "select * into copied from items",
        "drop table made, copied",
        "vacuum items",
        "notify channel",
        "select pg_notify('channel', '')",
        "set lock_timeout = '1h'",
        "set default_transaction_read_only = off",
        "set session characteristics as transaction read write",
      ),
    outcome: {
      skipped: {
        side_effect: 3,
        table_lock: 2,
        utility: 3,
        commits_inside: 2,
        ddl: 3,
        notify: 2,
        session: 1,
        read_write: 2,
      },
    },
  },
  {
    name: "after what was skipped the rest of the transaction is not followed",
    run: (client) =>
      inTurn(
        client,
        "begin",
        "update items set name = 'a' where id = 1",
        "create table made (id int)",
        "update items set name = 'b' where id = 1",
        "drop table made",
        "commit",
        "select name from items where id = 2",
      ),
    outcome: { match: 3, skipped: { ddl: 1, after_write: 3 } },
  },
  {
    name: "COMMIT AND CHAIN and COMMIT PREPARED do not reach the shadow",
    run: (client) =>
      inTurn(
        client,
        "begin",
        "update items set name = 'a' where id = 1",
        "commit and chain",
        "update items set name = 'b' where id = 1",
        "rollback",
        "begin",
        "update items set name = 'a' where id = 1",
        "prepare transaction 'p'",
        "commit",
      ),
    outcome: { match: 4, skipped: { commits_inside: 2, after_write: 2, two_phase: 1 } },
  },
  {
    name: "a client's limits stay its own",
    run: (client) =>
      inTurn(
        client,
        "set statement_timeout = '1h'",
        "set application_name = 'shop'",
        "reset all",
        "discard all",
        "update items set name = 'a' where id = 1",
        "show lock_timeout",
      ),
    outcome: { match: 4, skipped: { session: 2 } },
  },
];

await t.test("what both sides do alike matches, and is undone", async (test) => {
  for (const script of ALIKE) await check(test, script);
});

await t.test("a batch that begins with BEGIN, and statements sent ahead", async (test) => {
  const session = await raw(twinwire);
  const before = await shadowState();
  const status = await twinwire.judged();
  session.send(
    batch("begin"),
    batch("update items set name = 'raw' where id = 1"),
    sync,
    batch("select name from items where id = 1"),
    sync,
    batch("commit"),
    sync,
    batch("select 'later'"),
    sync,
    query("update items set name = 'raw 2' where id = 2"),
  );
  await session.until("ZZZZZ");
  const after = await twinwire.judged();
  test.strictSame(since(status, after), { match: 5 });
  await nothingLeft(before, "pipelined");
  session.socket.destroy();
});

await t.test(
  "after a switch the other side rehearses, and no key of NEW is given twice",
  async (test) => {
    await sides.on("new", "select setval('orders_id_seq', 10000)");
    const client = await twinwire.client();
    const add = async (): Promise<number> => {
      const { rows } = await client.query<{ id: number }>(
        "insert into orders (item) values (1) returning id",
      );
      return Number(rows[0]?.id);
    };
    for (let turn = 0; turn < 20; turn++) await add();
    test.equal((await twinwire.switchTo("new")).state, "succeeded");
    const old = await sides.on("old", "select count(*)::int as n from orders");
    const keys: number[] = [];
    for (let turn = 0; turn < 20; turn++) keys.push(await add());
    test.strictSame(
      keys,
      keys.map((_, index) => 10_001 + index),
    );
    const { verdicts } = await twinwire.judged();
    test.ok(verdicts.tolerated >= 40, "both sides' own keys were left aside");
    test.strictSame(await sides.on("old", "select count(*)::int as n from orders"), old);
  },
);
