import type pg from "pg";
import t from "tap";
import { configJsonSchema } from "../../src/config/schema.ts";
import { startMirrored } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";
import { ask, FORMS, say } from "./ask.ts";
import type { Form } from "./ask.ts";
import type { Fault } from "./fault.ts";
import { openOutcomes } from "./outcome.ts";
import type { Outcomes } from "./outcome.ts";
import { plant } from "./plant.ts";
import { TYPES } from "./value-faults.ts";

/** Whether this Twinwire runs writes on the shadow and takes them back. */
export const CAN_REHEARSE: boolean = JSON.stringify(configJsonSchema()).includes('"rehearse"');

/**
 * Recall: every fault is planted on NEW and has to be found, in every form in which a client may ask, and be called by the right
 * name. The bar is all of them.
 */
export async function findFaults(faults: readonly Fault[]): Promise<void> {
  const sides = await startTwoSides();
  t.teardown(() => sides.stop());
  await plant(sides, [{ why: "types", both: TYPES }, ...faults]);
  const twinwire = await startMirrored(sides, {
    migration: {
      // Nothing replicates here, so what differs once differs for ever: neither need be given time.
      compare: { recheck: { patience: "1ms", per_minute: 6000 } },
      ...(CAN_REHEARSE ? { shadow: { writes: "rehearse", rehearsal: { quiet: "1ms" } } } : {}),
    },
  });
  t.teardown(() => twinwire.stop());
  const outcomes = await openOutcomes(twinwire);
  const looks: Look[] = [];

  for (const form of FORMS) {
    await t.test(`faults that anybody may see, ${form}`, async (test) => {
      const client = await twinwire.client();
      for (const fault of faults.filter(({ login }) => login === undefined)) {
        const look = await lookFor(outcomes, client, fault, form);
        test.same(look.seen, [look.expected], fault.why);
        looks.push(look);
      }
      await client.end();
    });
  }

  await t.test("faults in the settings of a login", async (test) => {
    for (const { login, ...fault } of faults) {
      if (login === undefined) continue;
      await sides.on("new", login.set);
      const client = await twinwire.client();
      for (const form of FORMS) {
        const look = await lookFor(outcomes, client, fault, form);
        test.same(look.seen, [look.expected], `${fault.why}, ${form}`);
        looks.push(look);
      }
      await client.end();
      await sides.on("new", login.reset);
    }
  });

  await t.test("all of them are found", (test) => {
    const found = looks.filter(isFound).length;
    const percent = Math.floor((found / looks.length) * 1000) / 10;
    test.comment(
      `figure: recall: ${found} of ${looks.length} (${percent} %), ${faults.length} kinds of fault`,
    );
    test.equal(looks.length, faults.length * FORMS.length);
    test.equal(found, looks.length);
    test.end();
  });
}

/** What one fault should be called in one form, and what it was. */
type Look = { readonly expected: string; readonly seen: readonly string[] };

function isFound({ expected, seen }: Look): boolean {
  return seen.length === 1 && seen[0] === expected;
}

async function lookFor(
  outcomes: Outcomes,
  client: pg.Client,
  fault: Fault,
  form: Form,
): Promise<Look> {
  const { before = [], after = [] } = fault;
  if (before.length > 0) await outcomes.aside(() => say(client, before));
  const seen = await outcomes.of(() => ask(client, form, fault.ask));
  if (after.length > 0) await outcomes.aside(() => say(client, after));
  return { expected: fault.except?.[form] ?? fault.found, seen };
}
