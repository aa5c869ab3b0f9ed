/**
 * Precision: no harmless difference between two correct servers is reported as a divergence, in whatever form it is
 * asked for, and none vanishes: each is counted under the reason that is its own. The bar is all of them.
 */
import type pg from "pg";
import t from "tap";
import { startMirrored } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";
import { ask, FORMS, say } from "./ask.ts";
import type { Form } from "./ask.ts";
import type { Noise } from "./noise.ts";
import { NOISE, WRITTEN_NOISE } from "./noise.ts";
import { CAN_REHEARSE } from "./find-faults.ts";
import { openOutcomes } from "./outcome.ts";
import { plant } from "./plant.ts";

const KINDS: readonly Noise[] = CAN_REHEARSE ? [...NOISE, ...WRITTEN_NOISE] : NOISE;

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await plant(sides, KINDS);
const twinwire = await startMirrored(sides, {
  migration: {
    // Nothing replicates here, so what differs once differs for ever: it need not be given time.
    compare: { recheck: { patience: "1ms", per_minute: 6000 } },
    ...(CAN_REHEARSE ? { shadow: { writes: "rehearse" } } : {}),
  },
});
t.teardown(() => twinwire.stop());
const outcomes = await openOutcomes(twinwire);

const reported: string[] = [];
let asked = 0;

/** Makes one kind of noise in one form. @returns the one outcome if it is as it should be, else all of them */
async function make(client: pg.Client, kind: Noise, form: Form): Promise<readonly string[]> {
  const { before = [], after = [] } = kind;
  if (before.length > 0) await outcomes.aside(() => say(client, before));
  const seen = await outcomes.of(() => ask(client, form, kind.ask));
  if (after.length > 0) await outcomes.aside(() => say(client, after));
  asked++;
  for (const outcome of seen) {
    if (outcome.startsWith("divergent")) reported.push(`${kind.why}, ${form}: ${outcome}`);
  }
  return seen;
}

function isAsCounted(seen: readonly string[], kind: Noise): boolean {
  const [only, second] = seen;
  // Two clocks may read alike to the microsecond.
  const isOfClock = kind.counted.includes("incomparable clock");
  if (second === undefined && only === "match" && isOfClock) return true;
  return second === undefined && kind.counted.some((outcome) => outcome === only);
}

for (const form of FORMS) {
  await t.test(`noise in any session, ${form}`, async (test) => {
    const client = await twinwire.client();
    for (const kind of KINDS.filter(({ login }) => login === undefined)) {
      const seen = await make(client, kind, form);
      test.ok(isAsCounted(seen, kind), `${kind.why}: ${seen.join(", ")}`);
    }
    await client.end();
  });
}

await t.test("noise of a login's settings", async (test) => {
  for (const kind of KINDS) {
    if (kind.login === undefined) continue;
    await sides.on("new", kind.login.set);
    const client = await twinwire.client();
    for (const form of FORMS) {
      const seen = await make(client, kind, form);
      test.ok(isAsCounted(seen, kind), `${kind.why}, ${form}: ${seen.join(", ")}`);
    }
    await client.end();
    await sides.on("new", kind.login.reset);
  }
});

await t.test(
  "what a statement leaves open is a finding of its own, differing or not",
  async (test) => {
    await sides.both(
      `create table n_alike (id int, kind int); insert into n_alike values (1, 1), (2, 1)`,
    );
    const client = await twinwire.client();
    await client.query("select id, kind from n_alike limit 1");
    await client.query("select id, kind from n_alike order by kind, id limit 1");
    await client.end();
    await twinwire.judged();
    const items = await twinwire.fingerprints();
    const adviceOn = (table: string): readonly string[] =>
      items.filter(({ statement }) => statement.includes(table)).flatMap(({ advice }) => advice);
    test.same(adviceOn("n_alike limit"), ["underspecified"], "it did not differ");
    test.same(adviceOn("n_limit"), ["underspecified"]);
    test.same(adviceOn("n_tied"), ["ties"]);
    test.same(adviceOn("n_agg_0"), ["unordered_aggregate"]);
    test.same(adviceOn("n_order"), []);
    const report = await twinwire.api.getText("/api/v1/migrations/shop/report?format=md");
    test.match(report, "## Answers that the statement leaves open");
    test.match(report, "select id, kind from n_alike limit");
  },
);

await t.test("none of it is called a divergence", async (test) => {
  const percent = Math.floor((1 - reported.length / asked) * 1000) / 10;
  test.comment(
    `figure: precision: ${reported.length} false alarms in ${asked} questions (${percent} %), ${KINDS.length} kinds of noise`,
  );
  test.same(reported, []);
  test.ok(NOISE.length >= 40);
});
