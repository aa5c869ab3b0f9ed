/** Every type on real servers: equal, written otherwise, different; in text, in binary and in the mix. */
import t from "tap";
import type { Test } from "tap";
import { inWords, orderedBy } from "./answers.ts";
import { SCHEMAS, TYPE_CASES } from "./conformance.ts";
import type { TypeCase } from "./conformance.ts";
import { FORMS, startTwoServers } from "./two-servers.ts";
import type { Form, PairOfSessions } from "./two-servers.ts";

const servers = await startTwoServers([14, 16], SCHEMAS);
t.teardown(() => servers.stop());
await servers.readTypes();

const TEXT_FORMS = FORMS.filter((form) => form !== "binary");
const MIXES: readonly (readonly [Form, Form])[] = [
  ["extended", "binary"],
  ["binary", "extended"],
];

const sqlOf = (type: string, value: string): string =>
  `SELECT '${value.replaceAll("'", "''")}'::${type} AS v`;

type Told = (
  shadow: string,
  forms: readonly [Form, Form],
  sessions?: PairOfSessions,
) => Promise<string>;

async function checkCase(test: Test, plain: PairOfSessions, one: TypeCase): Promise<void> {
  const sql = sqlOf(one.type, one.value);
  const { settings } = one.respelled ?? {};
  const settled = settings === undefined ? plain : await servers.session(settings);
  const told: Told = async (shadow, [ofPrimary, ofShadow], sessions = plain) =>
    inWords(await sessions.verdict({ sql, form: ofPrimary }, { sql: shadow, form: ofShadow }));
  await checkForms(test, one, told, settled);
  if (one.textOnly !== true) await checkMixes(test, one, told, settled);
  if (settled !== plain) await settled.close();
}

async function checkForms(
  test: Test,
  one: TypeCase,
  told: Told,
  settled: PairOfSessions,
): Promise<void> {
  const { type, value, other, respelled } = one;
  for (const form of one.textOnly ? TEXT_FORMS : FORMS) {
    const name = `${type} ${value}, ${form}`;
    const isBinary = form === "binary";
    test.equal(await told(sqlOf(type, value), [form, form]), "match", `${name}: the same`);
    const different = (isBinary ? one.binaryReason : undefined) ?? `divergent ${one.reason}`;
    test.equal(await told(sqlOf(type, other), [form, form]), different, `${name}: ${other}`);
    const nulled = await told(`SELECT NULL::${type} AS v`, [form, form]);
    test.match(nulled, /null_|incomparable server/, `${name}: NULL`);
    if (respelled === undefined) continue;
    const expected = isBinary ? (respelled.binary ?? "match") : respelled.text;
    const again = await told(sqlOf(type, respelled.value ?? value), [form, form], settled);
    test.equal(again, expected, `${name}: written otherwise`);
  }
}

async function checkMixes(
  test: Test,
  one: TypeCase,
  told: Told,
  settled: PairOfSessions,
): Promise<void> {
  const { type, value, other, unmixed } = one;
  for (const forms of MIXES) {
    const name = `${type} ${value}, ${forms.join(" to ")}`;
    test.equal(await told(sqlOf(type, value), forms), unmixed ?? "match", `${name}: the same`);
    const different = unmixed ?? `divergent ${one.reason}`;
    test.equal(await told(sqlOf(type, other), forms), different, `${name}: ${other}`);
    const again = await told(sqlOf(type, value), forms, settled);
    test.match(again, unmixed ?? /^(?:match|tolerated float_precision)$/, `${name}: settings`);
  }
}

await t.test(
  "every type is compared by what its values mean, in any mix of formats",
  async (test) => {
    const plain = await servers.session();
    for (const one of TYPE_CASES) {
      await checkCase(test, plain, one);
    }
    await plain.close();
  },
);

/** What the two sides are asked, and what the verdict says: each side means another thing by it. */
const ORDERED: readonly (readonly [primary: string, shadow: string, verdict: string])[] = [
  ["C", "C", "match"],
  ["C", "und-x-icu", "divergent collation_order"],
  ["en-x-icu", "C", "divergent collation_order"],
  ["en-x-icu", "de-x-icu", "match"],
];

await t.test("what another collation sorts otherwise is named so", async (test) => {
  const sessions = await servers.session();
  const sorted = (collation: string, limit: string): string =>
    `SELECT v FROM (VALUES ('anna'), ('Anna'), ('Berta'), ('äpfel'), ('zoe'), ('Zoe'), (NULL)) AS t (v)
     ORDER BY v COLLATE "${collation}" ${limit}`;
  for (const [primary, shadow, expected] of ORDERED) {
    for (const limited of [false, true]) {
      const limit = limited ? "LIMIT 4" : "";
      const parts = { statements: [orderedBy([0], { limited })] };
      for (const form of FORMS) {
        const [a, b] = [primary, shadow].map((collation) => ({
          sql: sorted(collation, limit),
          form,
        }));
        if (a === undefined || b === undefined) continue;
        const verdict = inWords(await sessions.verdict(a, b, parts));
        test.equal(verdict, expected, `${primary}, ${shadow} ${limit}, ${form}`);
      }
    }
  }
  await sessions.close();
});

await t.test("a row type that one side changed is compared field by field", async (test) => {
  const sessions = await servers.session();
  const ask = async (primary: string, shadow: string, form: Form): Promise<string> =>
    inWords(await sessions.verdict({ sql: primary, form }, { sql: shadow, form }));
  for (const form of FORMS) {
    const three = "SELECT ROW(1, 'a', 1.50) AS v";
    test.equal(await ask(three, "SELECT ROW(1, 'a') AS v", form), "divergent value");
    test.equal(await ask(three, "SELECT ROW(1, 'a', 1.51) AS v", form), "divergent value");
  }
  await sessions.close();
});
