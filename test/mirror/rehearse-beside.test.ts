/** A rehearsal beside others: it holds nobody up for long, leaves nothing behind, and what races is no divergence. */
import pg from "pg";
import t from "tap";
import { startMirrored, until } from "./mirrored.ts";
import { DATABASE, startTwoSides, USER } from "./two-sides.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(
  `create table accounts (id int primary key, balance int not null check (balance > -1000000), note text);
   create table journal (id uuid primary key default gen_random_uuid(), account int, delta int, made timestamptz default now());
   create table entries (id int primary key, account int references accounts);
   alter table accounts owner to ${USER}; alter table journal owner to ${USER}; alter table entries owner to ${USER}`,
);
await sides.on("old", "insert into accounts select id, 100, '' from generate_series(1, 50) as id");

await sides.on("old", "create publication everything for all tables");
await sides.on(
  "new",
  `create subscription following connection '${sides.old.url(DATABASE)}' publication everything`,
);
t.teardown(() => sides.on("new", "drop subscription following"));

async function inStep(): Promise<void> {
  const sum =
    "select (select json_agg(a order by id) from accounts a)::text as a, (select count(*) from journal)::text as j, (select count(*) from entries)::text as e";
  await until("NEW to have all of OLD", async () => {
    const [old, fresh] = await Promise.all([sides.on("old", sum), sides.on("new", sum)]);
    return JSON.stringify(old) === JSON.stringify(fresh);
  });
}

await inStep();

await t.test("under a load that is replicated, no difference is reported", async (test) => {
  const twinwire = await startMirrored(sides, { migration: { shadow: { writes: "rehearse" } } });
  test.teardown(() => twinwire.stop());
  const work = async (worker: number): Promise<void> => {
    const client = await twinwire.client();
    for (let turn = 0; turn < 150; turn++) {
      const from = 1 + ((worker * 7 + turn * 3) % 50);
      const to = 1 + ((from + turn) % 50);
      const key = worker * 10_000 + turn;
      await client.query(
        "update accounts set balance = balance + $2, note = 'single' where id = $1 returning balance",
        [from, turn],
      );
      await client.query(
        "insert into journal (account, delta) values ($1, $2) returning id, made, delta",
        [from, turn],
      );
      await client.query(`insert into entries values (${key}, ${from})`);
      await client.query("begin");
      await client.query("select balance from accounts where id = $1 for update", [
        Math.min(from, to),
      ]);
      await client.query("update accounts set balance = balance - 1 where id = $1", [from]);
      await client.query(
        "update accounts set balance = balance + 1 where id = $1 returning balance",
        [to],
      );
      await client.query(`delete from entries where id = ${key - 5}`);
      await client.query(turn % 9 === 8 ? "rollback" : "commit").catch(() => {});
    }
    await client.end();
  };
  const failures = await Promise.allSettled(Array.from({ length: 6 }, (_, worker) => work(worker)));
  for (const each of failures) if (each.status === "rejected") test.comment(String(each.reason));
  const status = await twinwire.judged();
  test.comment(
    JSON.stringify({ ...status.exchanges, ...status.verdicts, why: status.incomparable }),
  );
  test.same(await twinwire.divergences(), []);
  test.ok(status.verdicts.match + status.verdicts.tolerated > 0);
  await inStep();
});

await t.test("an applier that wants the same row gets it within the limits", async (test) => {
  const hold = 700;
  const twinwire = await startMirrored(sides, {
    migration: { shadow: { writes: "rehearse", rehearsal: { hold: `${hold}ms` } } },
  });
  test.teardown(() => twinwire.stop());
  const client = await twinwire.client();
  await client.query("begin");
  await client.query("update accounts set note = 'held' where id = 1");
  await twinwire.judged();
  // The client does not go on; whoever else writes on NEW does.
  await sides.on(
    "new",
    "set statement_timeout = '15s'; update accounts set note = note where id = 1",
  );
  test.pass("the row was given back although the client's transaction is still open");
  await client.query("update accounts set note = 'held on' where id = 2");
  await client.query("commit");
  const status = await twinwire.judged();
  test.equal(status.exchanges.skipped["rehearsal_ended"], 2);
  test.same(await twinwire.divergences(), []);
  const [row] = await sides.on("old", "select note from accounts where id = 2");
  test.equal(row?.["note"], "held on", "the client's own transaction is none the worse");
  await inStep();
});

await t.test(
  "a row that another holds on NEW is waited for no longer than the limit",
  async (test) => {
    const twinwire = await startMirrored(sides, { migration: { shadow: { writes: "rehearse" } } });
    test.teardown(() => twinwire.stop());
    const applier = new pg.Client(sides.new.url(DATABASE));
    await applier.connect();
    test.teardown(() => applier.end());
    await applier.query("begin");
    await applier.query("update accounts set note = note where id = 3");
    const client = await twinwire.client();
    await client.query("begin");
    await client.query("update accounts set note = 'x' where id = 3");
    const status = await twinwire.judged();
    test.equal(status.incomparable["raced"], 1);
    await client.query("rollback");
    await applier.query("rollback");
    test.same(await twinwire.divergences(), []);
  },
);

await t.test("kill -9 in the middle of a rehearsal leaves no row", async (test) => {
  const twinwire = await startMirrored(sides, {
    migration: { shadow: { writes: "rehearse", rehearsal: { hold: "20s" } } },
  });
  const client = await twinwire.client();
  await client.query("begin");
  await client.query("insert into accounts values (1000, 1, 'never')");
  await client.query("insert into journal (account, delta) values (1000, 1)");
  await twinwire.judged();
  const open =
    "select count(*)::int as n from pg_stat_activity where state like 'idle in transaction%'";
  const [before] = await sides.on("new", open);
  test.ok(Number(before?.["n"]) >= 1, "the rehearsal stands on NEW");
  await twinwire.kill();
  await until("the server to have noticed", async () => {
    const [row] = await sides.on("new", open);
    return row?.["n"] === 0;
  });
  const [row] = await sides.on("new", "select count(*)::int as n from accounts where id = 1000");
  test.equal(row?.["n"], 0);
  await twinwire.stop();
});
