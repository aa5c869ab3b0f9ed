/** What becomes of NEW's schema around the copy, and what is told of it. */
import process from "node:process";
import t from "tap";
import { findPgDumps, sufficient } from "../../src/replication/schema/find-pg-dump.ts";
import { until } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";
import { inStep, startReplicating } from "./replicating.ts";

const pgDump = sufficient(await findPgDumps(process.env), 14);

await t.test(
  "an empty NEW gets its schema first, and its indexes and foreign keys after the rows",
  { skip: pgDump === undefined && "there is no pg_dump" },
  async (test) => {
    const fresh = await startTwoSides();
    test.teardown(() => fresh.stop());
    await fresh.on(
      "old",
      `create type mood as enum ('fine', 'bad');
       create table parents (id serial primary key, how mood default 'fine');
       create table children (id int primary key, parent int references parents, name varchar(20));
       create index children_by_name on children (lower(name));
       create view fine as select * from parents where how = 'fine';
       insert into parents select i from generate_series(1, 500) as i;
       insert into children select i, i, 'child ' || i from generate_series(1, 500) as i`,
    );
    const twinwire = await startReplicating(fresh);
    test.teardown(() => twinwire.stop());
    const item = await twinwire.startReplication();
    test.equal(item.schema, "validated");
    test.same(item.warnings, []);
    await inStep(fresh, ["parents", "children"]);
    const [made] = await fresh.on(
      "new",
      `select to_regclass('children_by_name') is not null as index, to_regclass('fine') is not null as view,
         (select convalidated from pg_constraint where conname = 'children_parent_fkey') as key`,
    );
    test.same({ ...made }, { index: true, view: true, key: true });
  },
);

await t.test(
  "a foreign key that the rows break is named, and validated once they are mended on OLD",
  { skip: pgDump === undefined && "there is no pg_dump" },
  async (test) => {
    const fresh = await startTwoSides();
    test.teardown(() => fresh.stop());
    await fresh.on(
      "old",
      `create table parents (id int primary key);
       create table children (id int primary key, parent int references parents);
       insert into parents values (1);
       set session_replication_role = replica; insert into children values (1, 1), (2, 99)`,
    );
    const twinwire = await startReplicating(fresh);
    test.teardown(() => twinwire.stop());
    await twinwire.api.post("/api/v1/migrations/shop/replication/start");
    const failed = await twinwire.phase("failed");
    test.match(failed.detail, /children_parent_fkey could not be made on NEW: .*23503/);
    await fresh.on("old", "delete from children where id = 2");
    const item = await twinwire.startReplication();
    test.equal(item.schema, "validated");
    test.same(await fresh.on("new", "select convalidated from pg_constraint where contype = 'f'"), [
      { convalidated: true },
    ]);
    await inStep(fresh, ["parents", "children"]);
  },
);

await t.test("what a NEW of one's own lacks, and sequences behind it, are told", async (test) => {
  const fresh = await startTwoSides();
  test.teardown(() => fresh.stop());
  await fresh.both("create table things (id serial primary key, what text)");
  await fresh.on("old", "create index things_by_what on things (what)");
  await fresh.on("old", "insert into things values (70000, 'by hand')");
  const twinwire = await startReplicating(fresh);
  test.teardown(() => twinwire.stop());
  const item = await twinwire.startReplication();
  test.equal(item.schema, "incomplete");
  test.match(item.warnings, ["public.things on NEW has no index things_by_what, which OLD has"]);
  const told = await until("the sequence to be told of", async () => {
    const { warnings } = await twinwire.replication();
    return warnings.length > 1 ? warnings : undefined;
  });
  test.match(told[1], /^the sequence public\.things_id_seq stands at \d+, behind 70000 in "id"/);
});
