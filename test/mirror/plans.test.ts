import t from "tap";
import type { FingerprintItem } from "../../src/admin/ports.ts";
import { startMirrored, until } from "./mirrored.ts";
import { startTwoSides } from "./two-sides.ts";

const SECRET = "8273645019";
const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(`
  create table entries (id int, account bigint, note text);
  insert into entries select n, n, repeat('x', 50) from generate_series(1, 200000) n;
  analyze entries;
`);
await sides.on("old", "create index entries_account on entries (account)");
const twinwire = await startMirrored(sides);
t.teardown(() => twinwire.stop());

/** The statement's numbers once both plans are known. */
async function withPlans(statement: RegExp): Promise<FingerprintItem> {
  return until("the plans", async () => {
    const items = await twinwire.fingerprints();
    return items.find((item) => statement.test(item.statement) && item.plans !== undefined);
  });
}

await t.test(
  "a statement that is slower on NEW comes with both plans, without values",
  async (test) => {
    const client = await twinwire.client();
    const simple = `select note from entries where account = ${SECRET}`;
    const prepared = { name: "sum", text: "select sum(id) from entries where account = $1" };
    for (let round = 0; round < 256; round++) {
      await client.query(simple);
      await client.query({ ...prepared, values: [SECRET] });
      // The shadow takes longer than the primary: its queue is not to overflow.
      if (round % 64 === 63) await twinwire.judged();
    }
    await client.end();
    for (const statement of [/select note/i, /select sum/i]) {
      const item = await withPlans(statement);
      test.equal(item.latency.verdict, "degraded");
      test.match(item.plans?.old, /Index Scan using entries_account on entries \(cost/);
      test.match(item.plans?.new, /Seq Scan on entries \(cost/);
      test.notOk(JSON.stringify(item).includes(SECRET));
    }
  },
);
