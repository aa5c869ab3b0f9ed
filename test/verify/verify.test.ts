/** Rows of both sides are compared exactly while they are being written to, and differences are found at their rows. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { VerificationItem } from "../../src/admin/ports.ts";
import { until } from "../mirror/mirrored.ts";
import { writeWithoutRest } from "../mirror/restless-writer.ts";
import { DATABASE, startTwoSides } from "../mirror/two-sides.ts";
import { inStep, startReplicating } from "../replication/replicating.ts";

const VERIFY = "/api/v1/migrations/shop/verify";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(`
  create table orders (id bigint primary key, customer int, what text, total numeric(12,2), at timestamptz, details jsonb);
  create table lines (orders bigint, line int, what varchar(50), primary key (orders, line));
  create table named (name text primary key, n int);
  create table loose (n int, what text);
  alter table loose replica identity full;
  create table hot (id int primary key, n bigint);
  create table empty (id int primary key);
  grant all on all tables in schema public to app`);
await sides.on(
  "old",
  `insert into orders select i, i % 100, 'order ' || i, i * 1.5, '2026-01-01'::timestamptz + i * interval '1 s', jsonb_build_object('n', i) from generate_series(1, 30000) i;
   insert into lines select i / 20, i % 20, 'line ' || i from generate_series(1, 20000) i;
   insert into named select 'Name ' || i, i from generate_series(1, 3000) i;
   insert into loose select i % 700, 'loose' from generate_series(1, 2000) i;
   insert into hot select i, 0 from generate_series(1, 10) i`,
);
const store = { path: mkdtempSync(join(tmpdir(), "twinwire-verified-")) };
t.teardown(() => rmSync(store.path, { recursive: true, force: true }));
let twinwire = await startReplicating(sides, { config: { store } });
t.teardown(() => twinwire.stop());

const WORK = [
  "update hot set n = n + 1",
  "update orders set total = total + 1, at = now() where id = 1 + floor(random() * 29000)",
  "with gone as (delete from lines where orders = floor(random() * 1000) returning *) insert into lines select orders, line + 100, what from gone on conflict do nothing",
  "update loose set what = what || '.' where ctid = (select ctid from loose order by random() limit 1)",
];
const writers: (() => Promise<void>)[] = [];
const stopWriting = async (): Promise<void> => {
  await Promise.all(writers.splice(0).map((stop) => stop()));
};
t.teardown(stopWriting);

async function verify(tables: readonly string[] = [], repair = false): Promise<VerificationItem> {
  await twinwire.api.post<VerificationItem>(VERIFY, { tables, repair });
  return await until("the verification's end", async () => {
    const item = await twinwire.api.get<VerificationItem>(VERIFY);
    return item.phase === "running" ? undefined : item;
  });
}

/** Changes NEW past replication, and such that it does not come back to OLD. */
async function spoil(sql: string): Promise<void> {
  await sides.on(
    "new",
    `select pg_replication_origin_create('spoiler') where pg_replication_origin_oid('spoiler') is null;
     select pg_replication_origin_session_setup('spoiler');
     set session_replication_role = replica; ${sql}`,
  );
}

await t.test("before replication is in step nothing can be verified", async (test) => {
  await test.rejects(verify(), { message: /in step/ });
  await twinwire.startReplication();
});

await t.test("without a difference none is found, however much is written", async (test) => {
  for (const sql of WORK) writers.push(await writeWithoutRest(sides.old.url(DATABASE), sql));
  for (let round = 0; round < 3; round++) {
    const { phase, detail, tables, differences } = await verify();
    test.equal(phase, "done", detail);
    test.same(differences, []);
    test.ok(tables.length === 6 && tables.every(({ state }) => state === "verified"));
    test.ok(tables.every(({ chunks, verified }) => chunks === verified));
  }
});

await t.test("a difference is found at its row, with its cause", async (test) => {
  await spoil(`
    update orders set what = what || '  ' where id = 17;
    update orders set customer = null where id = 18;
    update orders set details = '{"n": 5, "x": 1}' where id = 19;
    delete from orders where id = 29020;
    insert into orders values (-5, 1, 'extra', 1, now(), '{}');
    update lines set what = upper(what) where orders = 0 and line = 3;
    update named set n = -n where name = 'Name 7';
    delete from loose where ctid = (select min(ctid) from loose)`);
  await stopWriting();
  const { differences, tables } = await verify();
  const found = differences.map(({ table, key, kind, cause }) => ({ table, key, kind, cause }));
  const expected = [
    ["public.orders", { id: "17" }, "different", "what: spaces at the end"],
    ["public.orders", { id: "18" }, "different", "customer: NULL instead of a value"],
    ["public.orders", { id: "19" }, "different", "details: another value"],
    ["public.orders", { id: "29020" }, "missing", "the row is not in NEW"],
    ["public.orders", { id: "-5" }, "extra", "the row is not in OLD"],
    ["public.named", { name: "Name 7" }, "different", "n: the opposite sign"],
    ["public.loose", {}, "missing", "the row is not in NEW"],
  ] as const;
  const texts = found.map((each) => JSON.stringify(each));
  for (const [table, key, kind, cause] of expected)
    test.ok(texts.includes(JSON.stringify({ table, key, kind, cause })), `${table}: ${cause}`);
  // The writer may have written that row anew.
  const others = found.filter(({ table }) => table !== "public.lines");
  test.equal(others.length, expected.length, texts.join());
  test.equal(
    tables.reduce((sum, { mismatches }) => sum + mismatches, 0),
    found.length,
  );
});

await t.test(
  "rows are repaired while they are written to, and nothing newer is lost",
  async (test) => {
    for (const sql of WORK) writers.push(await writeWithoutRest(sides.old.url(DATABASE), sql));
    await spoil(`
    update orders set total = -1, what = 'spoilt' where id % 200 = 0;
    delete from orders where id > 29000 and id % 100 = 1;
    insert into orders values (-6, 1, 'extra', 1, now(), '{}')`);
    const keyed = ["public.orders", "public.lines", "public.named", "public.hot", "public.empty"];
    const { tables, detail } = await verify(keyed, true);
    for (const table of tables) test.match(table, { state: "verified", mismatches: 0 }, detail);
    const orders = tables.find(({ name }) => name === "public.orders");
    test.ok((orders?.repaired ?? 0) > 100, JSON.stringify(orders));
    await stopWriting();
    await inStep(sides, keyed);
    const loose = await verify(["public.loose"], true);
    test.match(loose.tables, [{ state: "failed", detail: /no key/, mismatches: 1 }]);
    await spoil("update named set n = 0 where n % 3 = 0");
    const many = await verify(["public.named"], true);
    test.match(many.tables, [{ state: "failed", detail: /1000 rows .* more than 30/ }]);
    test.equal(many.tables[0]?.repaired, 0);
  },
);

await t.test("some tables alone, and none that does not travel", async (test) => {
  const { tables } = await verify(["public.named", "public.hot"]);
  test.same(tables.map(({ name }) => name).toSorted(), ["public.hot", "public.named"]);
  // What is known is kept where Twinwire begins anew; the rows that differ are not, for their keys are values.
  const known = await verify(["public.named"]);
  test.equal(known.tables[0]?.mismatches, 1000);
  await twinwire.stop();
  twinwire = await startReplicating(sides, { config: { store } });
  const kept = await twinwire.api.get<VerificationItem>(VERIFY);
  test.match(kept, { phase: "done", tables: known.tables, differences: [] });
  await twinwire.phase("streaming");
  const unknown = await verify(["public.nowhere"]);
  test.match(unknown, { phase: "failed", detail: /public\.nowhere is not among/ });
});
