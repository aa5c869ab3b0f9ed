/** `writes: apply`: what the primary commits is repeated on the shadow, whole and in order, or said to be missing. */
import type pg from "pg";
import t from "tap";
import { batch, query, sync } from "../proxy/raw-messages.ts";
import { openRaw } from "../proxy/raw-session.ts";
import type { RawSession } from "../proxy/raw-session.ts";
import { startMirrored } from "./mirrored.ts";
import type { Mirrored } from "./mirrored.ts";
import { DATABASE, startTwoSides, USER } from "./two-sides.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
const twinwire = await startMirrored(sides, { migration: { shadow: { writes: "apply" } } });
t.teardown(() => twinwire.stop());

/** Everything in the table, to be compared between the sides. */
async function contents(table: string): Promise<readonly [old: unknown, fresh: unknown]> {
  const sql = `select string_agg(r::text, ' ' order by r::text) as rows from ${table} as r`;
  const [old, fresh] = await Promise.all([sides.on("old", sql), sides.on("new", sql)]);
  return [old[0]?.["rows"], fresh[0]?.["rows"]];
}

function raw(on: Mirrored): Promise<RawSession> {
  const parameters = [["user", USER] as const, ["database", DATABASE] as const];
  return openRaw(Number(new URL(on.connection).port), { parameters });
}

type Script = {
  readonly name: string;
  readonly run: (client: pg.Client) => Promise<unknown>;
};

const inTurn = async (client: pg.Client, ...statements: readonly string[]): Promise<void> => {
  for (const sql of statements) await client.query(sql).catch(() => undefined);
};

const SCRIPTS: readonly Script[] = [
  {
    name: "single statements",
    run: (client) =>
      inTurn(
        client,
        "insert into items values (1, 'one'), (2, 'two') returning *",
        "update items set name = upper(name) where id = 1 returning id, name",
        "delete from items where id = 2",
      ),
  },
  {
    name: "parameters and named statements",
    run: async (client) => {
      const insert = { name: "put", text: "insert into items values ($1, $2)" };
      for (const id of [10, 11, 12]) await client.query({ ...insert, values: [id, `n${id}`] });
      await client.query("update items set name = $2 where id = $1", [11, "eleven"]);
    },
  },
  {
    name: "a statement prepared in SQL",
    run: (client) =>
      inTurn(
        client,
        "prepare put2 (int, text) as insert into items values ($1, $2)",
        "execute put2 (20, 'twenty')",
        "execute put2 (21, 'twenty-one')",
        "deallocate put2",
      ),
  },
  {
    name: "an explicit transaction",
    run: (client) =>
      inTurn(
        client,
        "begin",
        "insert into items values (30, 'thirty')",
        "select name from items where id = 30",
        "update items set name = 'XXX' where id = 30",
        "commit",
      ),
  },
  {
    name: "several statements in one query",
    run: (client) =>
      inTurn(
        client,
        "insert into items values (40, 'a'); update items set name = 'b' where id = 40",
        "begin; insert into items values (41, 'c'); commit; insert into items values (42, 'd')",
        "insert into items values (43, 'e'); select 1/0; insert into items values (44, 'f')",
      ),
  },
  {
    name: "savepoints",
    run: (client) =>
      inTurn(
        client,
        "begin",
        "insert into items values (50, 'kept')",
        "savepoint s",
        "insert into items values (50, 'refused')",
        "rollback to s",
        "insert into items values (51, 'undone')",
        "rollback to s",
        "release s",
        "commit",
      ),
  },
  {
    name: "transactions that are rolled back, or fail and are committed",
    run: (client) =>
      inTurn(
        client,
        "begin",
        "insert into items values (60, 'no')",
        "rollback",
        "begin",
        "insert into items values (61, 'no')",
        "select 1/0",
        "commit",
        "insert into items values (1, 'a duplicate')",
        "begin",
        "insert into items values (62, 'yes')",
        "commit and chain",
        "insert into items values (63, 'no')",
        "rollback",
      ),
  },
  {
    name: "a client that is gone at once",
    run: async () => {
      const client = await twinwire.client();
      await client.query("insert into items values (70, 'seventy')");
      await client.end();
    },
  },
  {
    name: "schema changes",
    run: (client) =>
      inTurn(
        client,
        "create table made (id int primary key)",
        "insert into made select generate_series(1, 5)",
        "alter table made add column note text default 'x'",
        "truncate items_log",
      ),
  },
  {
    name: "settings that a write depends on",
    run: (client) =>
      inTurn(
        client,
        "set timezone = 'Asia/Tokyo'",
        "insert into items values (80, timestamptz '2026-01-01 00:00+00'::text)",
        "begin",
        "set local timezone = 'America/Lima'",
        "insert into items values (81, timestamptz '2026-01-01 00:00+00'::text)",
        "commit",
        "begin",
        "set timezone = 'Europe/Paris'",
        "rollback",
        "insert into items values (82, timestamptz '2026-01-01 00:00+00'::text)",
        "reset all",
        "insert into items values (83, timestamptz '2026-01-01 00:00+00'::text)",
      ),
  },
];

await t.test("what is committed on the primary is the same on the shadow", async (test) => {
  await sides.both("create table items (id int primary key, name text); create table items_log ()");
  for (const { name, run } of SCRIPTS) {
    const client = await twinwire.client();
    await run(client);
    await client.end();
    await twinwire.judged();
    const [old, fresh] = await contents("items");
    test.equal(fresh, old, name);
  }
  const [old, fresh] = await contents("made");
  test.equal(fresh, old);
  const status = await twinwire.judged();
  test.same(status.drifted, []);
  test.same(await twinwire.divergences(), [], "tags, RETURNING and errors are the same as well");
  test.ok((status.exchanges.skipped["not_committed"] ?? 0) >= 9);
  test.equal(status.exchanges.seen, sum(status.exchanges.skipped) + status.exchanges.mirrored);
});

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/**
 * Requests sent without waiting for answers were once put together as one transaction: when the first
 * was rolled back, the second was committed on the primary and never repeated.
 */
await t.test("pipelined transactions are told apart by the server's answers", async (test) => {
  await sides.both("create table piped (id int primary key)");
  const session = await raw(twinwire);
  session.send(
    query("insert into piped values (1)"),
    query("insert into piped values (1)"),
    query("insert into piped values (2)"),
    query("begin"),
    query("insert into piped values (3)"),
    query("select 1/0"),
    query("commit"),
    query("insert into piped values (4)"),
    batch("insert into piped values (5)"),
    batch("insert into piped values (5)"),
    sync,
    batch("insert into piped values (6)"),
    batch("insert into piped values (7)"),
    sync,
  );
  await session.until("Z".repeat(10));
  session.socket.destroy();
  await twinwire.judged();
  const [old, fresh] = await contents("piped");
  test.equal(old, "(1) (2) (4) (6) (7)");
  test.equal(fresh, old);
  test.same((await twinwire.status()).drifted, []);
});

/** Half of the writes on the shadow would be worse than none. */
await t.test("a sample does not thin out what is written", async (test) => {
  await twinwire.api.post("/api/v1/migrations/shop/shadow", { sample: 0 });
  const client = await twinwire.client();
  await client.query("create table sampled (id int primary key)");
  for (let id = 0; id < 5; id++) await client.query("insert into sampled values ($1)", [id]);
  await client.end();
  await twinwire.judged();
  test.same(await contents("sampled"), ["(0) (1) (2) (3) (4)", "(0) (1) (2) (3) (4)"]);
  await twinwire.api.post("/api/v1/migrations/shop/shadow", { sample: 1 });
});

await t.test("what writes answer is compared: rows affected, and rows returned", async (test) => {
  await sides.both("create table prices (id int primary key, amount int)");
  await sides.both("insert into prices values (1, 10), (2, 20)");
  await sides.on(
    "new",
    `create function dearer() returns trigger language plpgsql as
       $$ begin new.amount = new.amount + 1; return new; end $$;
     create trigger dearer before insert on prices for each row execute function dearer();
     delete from prices where id = 2`,
  );
  const client = await twinwire.client();
  await client.query("insert into prices values (3, 30) returning id, amount");
  await client.query("update prices set amount = 5 where id in (1, 2)");
  await client.end();
  await twinwire.judged();
  const found = (await twinwire.divergences()).filter(({ statement }) => /prices/.test(statement));
  test.same(found.map(({ reason, column }) => `${reason} ${column ?? ""}`).toSorted(), [
    "command_tag ",
    "numeric_value amount",
  ]);
  test.same(
    (await twinwire.status()).drifted,
    [],
    "it was repeated: what differs was there before",
  );
});

await t.test("conflicting transactions of eight clients end alike on both sides", async (test) => {
  await sides.both(
    `create table accounts (id int primary key, balance numeric not null, last text);
     insert into accounts select id, 1000, '' from generate_series(1, 6) as id`,
  );
  const transfers = 40;
  const errors: string[] = [];
  const work = async (worker: number): Promise<void> => {
    const client = await twinwire.client();
    for (let turn = 0; turn < transfers; turn++) {
      const from = 1 + ((worker * 7 + turn * 3) % 6);
      const to = 1 + ((from + turn) % 6);
      const pair = [Math.min(from, to), Math.max(from, to)];
      try {
        await client.query("begin");
        await client.query("select 1 from accounts where id = any($1) order by id for update", [
          pair,
        ]);
        const note = `client ${worker} transfer ${turn}`;
        await client.query(
          "update accounts set balance = balance - $2, last = $3 where id = $1 returning balance",
          [from, turn, note],
        );
        await client.query(
          "update accounts set balance = balance * 1.01 + $2, last = $3 where id = $1",
          [to, turn, note],
        );
        await client.query(turn % 9 === 8 ? "rollback" : "commit");
      } catch (error) {
        errors.push(String(error));
      }
    }
    await client.end();
  };
  await Promise.all(Array.from({ length: 8 }, (_, worker) => work(worker)));
  test.same(errors, []);
  await twinwire.judged();
  const [old, fresh] = await contents("accounts");
  test.equal(fresh, old);
  test.same((await twinwire.status()).drifted, []);
});
