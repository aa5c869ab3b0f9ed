/** Data that never stands still gives no false alarm where Twinwire fills NEW and its applier is held for rechecks. */
import t from "tap";
import { startTwoSides, DATABASE } from "../mirror/two-sides.ts";
import { startReplicating } from "./replicating.ts";
import { writeWithoutRest } from "../mirror/restless-writer.ts";

const READS = 40;

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(`
  create table hot (id int primary key, n bigint not null, what text not null);
  grant all on hot to app`);
await sides.on("old", "insert into hot select i, 0, 'the same' from generate_series(1, 5) as i");
const twinwire = await startReplicating(sides, {
  migration: { compare: { recheck: { patience: "5s", per_minute: 6000 } } },
});
t.teardown(() => twinwire.stop());
await twinwire.startReplication();

// Past Twinwire.
t.teardown(await writeWithoutRest(sides.old.url(DATABASE), "update hot set n = n + 1"));

await t.test("what only moves is never called divergent", async (test) => {
  const client = await twinwire.client();
  for (let read = 0; read < READS; read++)
    await client.query("select id, n, what from hot order by id");
  const { verdicts } = await twinwire.judged();
  test.equal(verdicts.divergent, 0);
  test.ok(verdicts.match > 0);
});
