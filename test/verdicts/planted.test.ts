/**
 * Recall: every kind of fault that is planted on NEW is found, in every form in which a client may ask, and called by
 * the right name. The bar is all of them.
 */
import type pg from "pg";
import t from "tap";
import { configJsonSchema } from "../../src/config/schema.ts";
import { startMirrored } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";
import { ask, FORMS } from "./ask.ts";
import type { Form } from "./ask.ts";
import type { Fault } from "./fault.ts";
import { outcomesOf } from "./outcome.ts";
import { plant } from "./plant.ts";
import { ROW_FAULTS } from "./row-faults.ts";
import { SCHEMA_FAULTS } from "./schema-faults.ts";
import { SETTING_FAULTS } from "./setting-faults.ts";
import { TYPES, VALUE_FAULTS } from "./value-faults.ts";
import { WRITE_FAULTS } from "./write-faults.ts";

const canRehearse = JSON.stringify(configJsonSchema()).includes('"rehearse"');
const READ: readonly Fault[] = [
  ...VALUE_FAULTS,
  ...ROW_FAULTS,
  ...SCHEMA_FAULTS,
  ...SETTING_FAULTS,
];
const FAULTS = canRehearse ? [...READ, ...WRITE_FAULTS] : READ;

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await plant(sides, [{ why: "types", both: TYPES }, ...FAULTS]);
const twinwire = await startMirrored(sides, {
  migration: canRehearse ? { shadow: { writes: "rehearse" } } : {},
});
t.teardown(() => twinwire.stop());

let asked = 0;
let found = 0;

/** Judges one fault in one form. @returns what is to be seen, and what was */
async function look(client: pg.Client, fault: Fault, form: Form): Promise<[string, string[]]> {
  for (const sql of fault.before ?? []) await ask(client, "simple", { sql });
  await twinwire.judged();
  const outcomes = await outcomesOf(twinwire, () => ask(client, form, fault.ask));
  for (const sql of fault.after ?? []) await ask(client, "simple", { sql });
  const expected = fault.except?.[form] ?? fault.found;
  asked++;
  if (outcomes.length === 1 && outcomes[0] === expected) found++;
  return [expected, [...outcomes]];
}

for (const form of FORMS) {
  await t.test(`faults that anybody may see, ${form}`, async (test) => {
    const client = await twinwire.client();
    for (const fault of FAULTS.filter(({ login }) => login === undefined)) {
      const [expected, outcomes] = await look(client, fault, form);
      test.same(outcomes, [expected], fault.why);
    }
    await client.end();
  });
}

await t.test("faults in the settings of a login", async (test) => {
  for (const { login, ...fault } of FAULTS) {
    if (login === undefined) continue;
    await sides.on("new", login.set);
    const client = await twinwire.client();
    for (const form of FORMS) {
      const [expected, outcomes] = await look(client, fault, form);
      test.same(outcomes, [expected], `${fault.why}, ${form}`);
    }
    await client.end();
    await sides.on("new", login.reset);
  }
});

await t.test("all of them are found", (test) => {
  const percent = Math.floor((found / asked) * 1000) / 10;
  test.comment(`recall: ${found} of ${asked} (${percent} %), ${FAULTS.length} kinds of fault`);
  test.equal(found, asked);
  test.ok(READ.length >= 60);
  test.end();
});
