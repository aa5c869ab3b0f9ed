/** Data that never stands still gives no false alarm where Twinwire fills NEW and its applier is held for rechecks. */
import t from "tap";
import type { MigrationStatus } from "../../src/admin/ports.ts";
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

/** Reads the hot table as an application does. @returns what is known once everything has its verdict */
async function readHot(sql: string): Promise<MigrationStatus> {
  const client = await twinwire.client();
  for (let read = 0; read < READS; read++) await client.query(sql);
  await client.end();
  return await twinwire.judged();
}

await t.test("what only moves is never called divergent, nor left open", async (test) => {
  const { verdicts, incomparable } = await readHot("select id, n, what from hot order by id");
  const transient = incomparable["transient"] ?? 0;
  test.match(verdicts, { divergent: 0, tolerated: 0, incomparable: transient });
  test.ok(transient > READS / 2, "nothing but an exact comparison can settle it");
});

await t.test("a difference in it is found", async (test) => {
  // What the applier writes is not sent back to OLD, so it stays.
  await sides.on(
    "new",
    `create function spoil() returns trigger language plpgsql as $$ begin new.what := 'another'; return new; end $$;
     create trigger spoil before update on hot for each row when (new.id = 3) execute function spoil();
     alter table hot enable replica trigger spoil`,
  );
  const { verdicts } = await readHot("select what, n, id from hot order by id");
  test.ok(verdicts.divergent > 0);
  const confirmed = (await twinwire.divergences()).filter(({ state }) => state === "confirmed");
  test.match(confirmed, [{ reason: "text_value", column: "what" }]);
});
