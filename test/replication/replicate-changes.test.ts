/** What stops replication, what it says then, and that it goes on once that is cured; and what need not stop it. */
import t from "tap";
import { until } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";
import { inStep, startReplicating } from "./replicating.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());

const MARKED =
  "update twinwire.progress set updated_at = now() where stream = 'shop.forward' and worker = 0";

await t.test("a row that cannot be applied stops the stream, named by its key", async (test) => {
  await sides.both("create table things (id int primary key, what text)");
  await sides.on("old", "insert into things values (1, 'one')");
  const twinwire = await startReplicating(sides);
  test.teardown(() => twinwire.stop());
  await twinwire.startReplication();
  await sides.on("new", `begin; ${MARKED}; insert into things values (7, 'in the way'); commit`);
  await sides.on("old", "insert into things values (6, 'six')");
  await sides.on("old", "insert into things values (7, 'seven'), (8, 'eight')");
  const failed = await twinwire.phase("failed");
  test.match(failed.detail, /public\.things.*23505.*\(id = 7\)/);
  test.notMatch(failed.detail, /seven|in the way/);
  test.notMatch(twinwire.log(), /id = 7|in the way/, "a log names no rows");
  await sides.on("new", `begin; ${MARKED}; delete from things where id = 7; commit`);
  await twinwire.startReplication();
  await inStep(sides, ["things"]);
  await twinwire.stopReplication();
});

await t.test("a changed table stops it before any row of the new shape", async (test) => {
  const twinwire = await startReplicating(sides);
  test.teardown(() => twinwire.stop());
  await twinwire.startReplication();
  await sides.on("old", "insert into things values (9, 'before')");
  await sides.on("old", "alter table things add column more text");
  await sides.on("old", "insert into things values (10, 'after', 'more')");
  const failed = await twinwire.phase("failed");
  test.match(failed.detail, /more/);
  test.match(failed.detail, /ALTER TABLE/i);
  test.same(
    await sides.on("new", "select id from things where id in (9, 10)"),
    [{ id: 9 }],
    "what came before is there",
  );
  await sides.on("new", "alter table things add column more text");
  await twinwire.startReplication();
  await inStep(sides, ["things"]);
  await twinwire.stopReplication();
});

await t.test("with `additive` a new column is made on NEW as well", async (test) => {
  const twinwire = await startReplicating(sides, {
    migration: { replication: { managed: true, tables: ["public.*"], ddl: "additive" } },
  });
  test.teardown(() => twinwire.stop());
  await twinwire.startReplication();
  await sides.on("old", "alter table things add column again int");
  await sides.on("old", "insert into things values (11, 'with', 'both', 11)");
  await until(
    "the row",
    async () => (await sides.on("new", "select 1 from things where id = 11")).length === 1,
  );
  await twinwire.phase("streaming");
  await inStep(sides, ["things"]);
  await twinwire.stopReplication();
});

await t.test("killed databases come back, and it goes on", async (test) => {
  const twinwire = await startReplicating(sides);
  test.teardown(() => twinwire.stop());
  await twinwire.startReplication();
  for (const side of ["new", "old"] as const) {
    sides[side].kill();
    await twinwire.phase("retrying");
    await sides[side].restart();
    await sides.on("old", "update things set what = what || '!'");
    await twinwire.phase("streaming");
    await inStep(sides, ["things"]);
  }
  await twinwire.stopReplication();
});
