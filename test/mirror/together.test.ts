/** A busy session's reads are sent to a real shadow together: each has its verdict, whatever happens to its neighbours. */
import t from "tap";
import { startMirrored } from "./mirrored.ts";
import { DATABASE, startTwoSides, USER } from "./two-sides.ts";

/** From then on, answers of one statement need not be timed one by one. */
const TIMED = 2000;

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(
  `create table stock (id int primary key, name text);
   insert into stock select id, 'item ' || id from generate_series(1, 50) as id;
   create function kept(asked int) returns text language sql stable as 'select name from stock where id = asked'`,
);
await sides.on(
  "new",
  `create or replace function kept(asked int) returns text language sql stable as
     'select case when asked = 13 then (1 / (asked - 13))::text else name end
      from stock, pg_sleep(case when asked > 40 then 0.003 else 0 end) where id = asked'`,
);
// Room enough: nothing is dropped because this machine is busy.
const twinwire = await startMirrored(sides, {
  migration: { shadow: { queue: { exchanges: 10_000 } } },
});
t.teardown(() => twinwire.stop());
const client = await twinwire.client();

async function ask(times: number, id: (turn: number) => number): Promise<void> {
  for (let turn = 0; turn < times; turn++) {
    const [row] = (await client.query<{ kept: string }>(`select kept(${id(turn)})`)).rows;
    if (row?.kept !== `item ${id(turn)}`) throw new Error("the client was answered wrongly");
  }
}

const ordinary = (turn: number): number => (turn % 10) + 1;
/** NEW takes longer for these than OLD, so the next one is there before. */
const slow = (turn: number): number => (turn % 10) + 41;

/** How many answers of the shadow have been timed. */
async function timed(): Promise<number> {
  const metrics = await (await fetch(`${twinwire.admin}/metrics`)).text();
  return Number(
    /^twinwire_exchange_duration_seconds_count\{.*side="new".*\} (\d+)/m.exec(metrics)?.[1],
  );
}

await t.test("all are compared, and a share of them is timed", async (test) => {
  await ask(TIMED, ordinary);
  // It is decided as they come, by what has been timed until then.
  await twinwire.judged();
  await ask(1000, slow);
  const { verdicts, exchanges } = await twinwire.judged();
  test.equal(exchanges.mirrored, TIMED + 1000);
  test.equal(verdicts.match, exchanges.mirrored);
  const count = await timed();
  test.ok(count >= TIMED && count < exchanges.mirrored, `${count} are timed`);
});

await t.test("an error on one side among them is one difference", async (test) => {
  const before = (await twinwire.judged()).verdicts;
  await ask(200, (turn) => (turn === 100 ? 13 : ordinary(turn)));
  const { verdicts } = await twinwire.judged();
  test.equal(verdicts.match - before.match, 199);
  test.equal(verdicts.divergent, 1);
  const [item] = await twinwire.divergences();
  test.equal(item?.reason, "error_on_shadow");
});

await t.test("a connection lost among them costs the comparison of one", async (test) => {
  const before = await twinwire.judged();
  const asking = ask(500, ordinary);
  await sides.on(
    "new",
    `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${USER}' and datname = '${DATABASE}'`,
  );
  await asking;
  const { verdicts, exchanges } = await twinwire.judged();
  const lost = verdicts.incomparable - before.verdicts.incomparable;
  test.ok(lost <= 1, `${lost} are lost`);
  const mirrored = exchanges.mirrored - before.exchanges.mirrored;
  test.equal(verdicts.match - before.verdicts.match, mirrored - lost);
});

await t.test("what a transaction asks is asked in it, in between", async (test) => {
  const before = (await twinwire.judged()).verdicts;
  await ask(20, ordinary);
  await client.query("begin isolation level repeatable read");
  await ask(20, ordinary);
  await client.query("set local work_mem = '1MB'");
  await client.query("show work_mem");
  await client.query("commit");
  await client.query("show work_mem");
  await ask(20, ordinary);
  const { verdicts } = await twinwire.judged();
  test.equal(verdicts.match - before.match, 65);
});
