/** Everything that does not run on the shadow is counted, under the reason it does not. */
import type pg from "pg";
import t from "tap";
import type { MigrationStatus } from "../../src/admin/ports.ts";
import { SKIP_REASONS } from "../../src/routing/skip-reason.ts";
import type { SkipReason } from "../../src/routing/skip-reason.ts";
import { copyData, copyDone, functionCall, query } from "../proxy/raw-messages.ts";
import { openRaw } from "../proxy/raw-session.ts";
import type { RawSession } from "../proxy/raw-session.ts";
import { startMirrored, until } from "./mirrored.ts";
import type { Mirrored } from "./mirrored.ts";
import { DATABASE, startTwoSides, USER } from "./two-sides.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(
  `create table orders (id int primary key, note text);
   insert into orders select id, 'note ' || id from generate_series(1, 20) as id;
   create sequence numbers;
   create function touch() returns int language plpgsql volatile as $$ begin return 1; end $$;
   create function reads_only() returns int language sql volatile as 'select 1';
   create procedure proceed() language plpgsql as $$ begin perform 1; end $$;
   create table archive (id int)`,
);
const twinwire = await startMirrored(sides, {
  migration: {
    shadow: { queue: { bytes: "64KiB" } },
    compare: {
      safe_functions: ["reads_only"],
      rules: [{ name: "not the archive", match: { table: "archive" }, sample: 0 }],
    },
  },
});
t.teardown(() => twinwire.stop());

function raw(on: Mirrored): Promise<RawSession> {
  const parameters = [["user", USER] as const, ["database", DATABASE] as const];
  return openRaw(Number(new URL(on.connection).port), { parameters });
}

/** How many more exchanges were skipped for each reason than before. */
function skippedSince(
  before: MigrationStatus,
  after: MigrationStatus,
): Readonly<Record<string, number>> {
  const counts = Object.entries(after.exchanges.skipped).map(
    ([reason, count]) => [reason, count - (before.exchanges.skipped[reason] ?? 0)] as const,
  );
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

type Row = {
  readonly why: string;
  readonly statements: readonly string[];
  readonly skipped: Readonly<Partial<Record<SkipReason, number>>>;
};

const ROWS: readonly Row[] = [
  { why: "a read is mirrored", statements: ["select * from orders order by id"], skipped: {} },
  {
    why: "writes are left out",
    statements: [
      "insert into orders values (100, 'x')",
      "update orders set note = 'y' where id = 100",
      "delete from orders where id = 100",
      "with gone as (delete from orders where id = 100 returning *) select * from gone",
      "select * from orders where id = 1 for update",
      "select * into copied from orders where id = 1",
      "explain analyze delete from orders where id = 100",
    ],
    skipped: { write: 7 },
  },
  {
    why: "EXPLAIN without ANALYZE only plans",
    statements: ["explain delete from orders where id = 100"],
    skipped: {},
  },
  {
    why: "a transaction is followed up to its first write",
    statements: [
      "begin",
      "select count(*) from orders",
      "update orders set note = 'z' where id = 1",
      "select count(*) from orders",
      "savepoint s",
      "rollback",
      "select count(*) from orders",
    ],
    skipped: { write: 1, after_write: 3 },
  },
  {
    why: "a read-only shadow cannot follow a read-write transaction",
    statements: [
      "begin read write",
      "select 1",
      "commit",
      "set default_transaction_read_only to off",
      "set session characteristics as transaction read write",
      "reset default_transaction_read_only",
      "begin",
      "set transaction read write",
      "select 1",
      "commit",
    ],
    skipped: { read_write: 4, after_write: 4 },
  },
  {
    why: "schema changes are left out",
    statements: [
      "create table made (id int)",
      "create temp table temporary (id int)",
      "create index on made (id)",
      "comment on table made is 'made'",
      "drop table made",
    ],
    skipped: { ddl: 5 },
  },
  {
    why: "volatile functions of the catalogue and of PostgreSQL",
    statements: ["select touch()", "select random() < 2", "select gen_random_uuid() is null"],
    skipped: { volatile_function: 3 },
  },
  {
    why: "what merely draws a value does not end what can be compared",
    statements: ["begin", "select random() < 2", "select count(*) from orders", "commit"],
    skipped: { volatile_function: 1 },
  },
  {
    why: "a function that the configuration calls safe is mirrored",
    statements: ["select reads_only()"],
    skipped: {},
  },
  {
    why: "effects beyond the transaction",
    statements: [
      "select nextval('numbers')",
      "select pg_advisory_lock(7), pg_advisory_unlock(7)",
      "select pg_try_advisory_xact_lock(8)",
    ],
    skipped: { side_effect: 3 },
  },
  {
    why: "what belongs to one server session",
    statements: [
      "select pg_backend_pid() > 0",
      "create temp table mine as select 1 as id",
      "select * from mine",
      "insert into mine values (2)",
      "discard temp",
      "select set_config('app.' || 'name', 'x', false)",
    ],
    skipped: { session: 4, ddl: 1 },
  },
  {
    why: "a write that reads a temporary table is a write",
    statements: [
      "create temp table mine as select 200 as id",
      "begin",
      "insert into orders select id, 'from mine' from mine",
      "select count(*) from orders",
      "rollback",
      "discard all",
    ],
    skipped: { ddl: 1, write: 1, after_write: 2 },
  },
  {
    why: "notifications",
    statements: ["listen news", "notify news, 'x'", "select pg_notify('news', 'y')", "unlisten *"],
    skipped: { notify: 4 },
  },
  {
    why: "cursors that outlive their transaction",
    statements: [
      "declare kept cursor with hold for select id from orders order by id",
      "fetch 2 from kept",
      "move 1 in kept",
      "close kept",
    ],
    skipped: { held_cursor: 4 },
  },
  {
    why: "cursors of a transaction are mirrored",
    statements: [
      "begin",
      "declare passing cursor for select id from orders order by id",
      "fetch 2 from passing",
      "close passing",
      "commit",
    ],
    skipped: {},
  },
  {
    why: "maintenance, locks and procedures",
    statements: ["vacuum orders", "call proceed()", "do $$ begin perform 1; end $$", "checkpoint"],
    skipped: { utility: 4 },
  },
  {
    why: "what no parser knows may be a write",
    statements: ["frobnicate the database"],
    skipped: { unparsable: 1 },
  },
  {
    why: "what no parser knows and looks like a read is mirrored",
    statements: ["select 1 frobnicate the database"],
    skipped: {},
  },
  { why: "a rule excludes it", statements: ["select * from archive"], skipped: { rule: 1 } },
  {
    why: "EXECUTE is what it executes",
    statements: [
      "prepare reading as select count(*) from orders",
      "execute reading",
      "prepare writing as delete from orders where id = 100",
      "execute writing",
      "explain execute writing",
      "deallocate all",
      "execute reading",
    ],
    skipped: { write: 2, unparsable: 1 },
  },
];

async function runAll(client: pg.Client, statements: readonly string[]): Promise<void> {
  for (const sql of statements) await client.query(sql).catch(() => undefined);
}

for (const { why, statements, skipped } of ROWS) {
  await t.test(why, async (test) => {
    const before = await twinwire.judged();
    const client = await twinwire.client();
    await runAll(client, statements);
    await client.end();
    const after = await twinwire.judged();
    test.same(skippedSince(before, after), skipped);
    const counted = Object.values(skipped).reduce((total, count) => total + count, 0);
    test.equal(after.exchanges.seen - before.exchanges.seen, statements.length);
    const mirrored = after.exchanges.mirrored - before.exchanges.mirrored;
    test.equal(mirrored, statements.length - counted);
    test.same(await twinwire.divergences(), [], "and nothing of it looks like a difference");
  });
}

await t.test("copying in, two-phase commit and function calls", async (test) => {
  const before = await twinwire.judged();
  const session = await raw(twinwire);
  session.send(query("copy orders from stdin"));
  await session.until("G");
  session.send(copyData("301\tcopied\n"), copyDone);
  await session.until("Z");
  session.send(functionCall(1299, [])); // now()
  await session.until("Z");
  session.send(query("begin"), query("prepare transaction 'x'"), query("rollback prepared 'x'"));
  await session.until("ZZZ");
  session.socket.destroy();
  const skipped = skippedSince(before, await twinwire.judged());
  test.same(skipped, { copy_in: 1, function_call: 1, two_phase: 2 });
});

await t.test("a request larger than the queue may hold", async (test) => {
  const before = await twinwire.judged();
  const client = await twinwire.client();
  await client.query(`select length('${"x".repeat(100_000)}')`);
  await client.query("select length($1)", ["x".repeat(100_000)]);
  await client.end();
  const skipped = skippedSince(before, await twinwire.judged());
  test.same(skipped, { too_large: 2 });
});

await t.test("a sample takes transactions whole", async (test) => {
  await twinwire.api.post("/api/v1/migrations/shop/shadow", { sample: 0.5 });
  const client = await twinwire.client();
  let whole = 0;
  let none = 0;
  for (let turn = 0; turn < 40; turn++) {
    const before = await twinwire.status();
    await runAll(client, ["begin", "select 1", "select 2", "commit"]);
    const after = await until("the count", async () => {
      const now = await twinwire.status();
      return now.exchanges.seen - before.exchanges.seen === 4 ? now : undefined;
    });
    const mirrored = after.exchanges.mirrored - before.exchanges.mirrored;
    const { sampled_out: out = 0 } = skippedSince(before, after);
    if (mirrored === 4 && out === 0) whole++;
    if (mirrored === 0 && out === 4) none++;
  }
  await client.end();
  test.equal(whole + none, 40, "never a part of one");
  test.ok(whole > 5, `${whole} were drawn`);
  test.ok(none > 5, `${none} were not`);
});

await t.test("mirroring is switched off and on again", async (test) => {
  const client = await twinwire.client();
  await twinwire.api.post("/api/v1/migrations/shop/shadow", { enabled: false, sample: 1 });
  const before = await twinwire.judged();
  await client.query("select 1");
  const off = await twinwire.judged();
  test.same(skippedSince(before, off), { disabled: 1 });
  test.equal(off.route.shadow.state, "off");
  await twinwire.api.post("/api/v1/migrations/shop/shadow", { enabled: true });
  await client.query("select 1");
  await client.end();
  const on = await twinwire.judged();
  test.same(skippedSince(off, on), {});
  test.equal(on.exchanges.mirrored, off.exchanges.mirrored + 1);
});

await t.test("every reason that was counted is in the list of reasons", async (test) => {
  const { exchanges } = await twinwire.status();
  for (const reason of Object.keys(exchanges.skipped)) test.ok(reason in SKIP_REASONS, reason);
  const items = await twinwire.fingerprints();
  const odd = items.filter(({ seen, compared, skipped, verdicts }) => {
    const left = Object.values(skipped).reduce((total, count) => total + count, 0);
    return seen !== compared + verdicts.incomparable + left;
  });
  test.ok(items.length > 50);
  test.same(odd, [], "seen is compared, incomparable or skipped, statement by statement");
});
