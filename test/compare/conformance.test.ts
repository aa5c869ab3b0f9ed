/** Every type on real servers: equal, written otherwise, different; in text, in binary and in the mix. */
import t from "tap";
import type { Test } from "tap";
import { inWords } from "./answers.ts";
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

async function checkCase(test: Test, plain: PairOfSessions, one: TypeCase): Promise<void> {
  const { type, value, other, reason, respelled } = one;
  const sql = sqlOf(type, value);
  const told = async (
    shadow: string,
    forms: readonly [Form, Form],
    sessions = plain,
  ): Promise<string> =>
    inWords(await sessions.verdict({ sql, form: forms[0] }, { sql: shadow, form: forms[1] }));
  const sessions = respelled?.settings ? await servers.session(respelled.settings) : plain;
  for (const form of one.textOnly ? TEXT_FORMS : FORMS) {
    const name = `${type} ${value}, ${form}`;
    test.equal(await told(sql, [form, form]), "match", `${name}: the same`);
    const different = (form === "binary" && one.binaryReason) || `divergent ${reason}`;
    test.equal(await told(sqlOf(type, other), [form, form]), different, `${name}: ${other}`);
    const nulled = `SELECT NULL::${type} AS v`;
    test.match(await told(nulled, [form, form]), /null_|incomparable server/, `${name}: NULL`);
    if (respelled === undefined) continue;
    const expected = form === "binary" ? (respelled.binary ?? "match") : respelled.text;
    const again = sqlOf(type, respelled.value ?? value);
    test.equal(await told(again, [form, form], sessions), expected, `${name}: written otherwise`);
  }
  for (const forms of one.textOnly ? [] : MIXES) {
    const name = `${type} ${value}, ${forms.join(" to ")}`;
    test.equal(await told(sql, forms), one.unmixed ?? "match", `${name}: the same`);
    const different = one.unmixed ?? `divergent ${reason}`;
    test.equal(await told(sqlOf(type, other), forms), different, `${name}: ${other}`);
    const settled = await told(sqlOf(type, value), forms, sessions);
    test.match(
      settled,
      one.unmixed ?? /^(?:match|tolerated float_precision)$/,
      `${name}: settings`,
    );
  }
  if (sessions !== plain) await sessions.close();
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
