/** Errors of real servers of two versions: what is the same failure, and what follows it in a transaction. */
import t from "tap";
import type { CompareRule } from "../../src/compare/rule.ts";
import { inWords } from "./answers.ts";
import { FORMS, startTwoServers } from "./two-servers.ts";
import type { Form } from "./two-servers.ts";

const servers = await startTwoServers([14, 16], [[], []]);
t.teardown(() => servers.stop());

/** One failure that the two versions report under different SQLSTATEs. */
const RENAMED: readonly (readonly [sql: string, primary: string, shadow: string])[] = [
  ["SELECT chr(-1)", "54000", "22023"],
  ["SELECT extract(timezone FROM time '10:00')", "22023", "0A000"],
  ["SELECT 1::numeric(3,5)", "22023", "22003"],
  ["SELECT repeat('x', 2000000000)", "XX000", "54000"],
  ["COPY (SELECT 1) TO STDOUT (HEADER match)", "42601", "0A000"],
  ["CREATE EXTENSION no_such_extension", "58P01", "0A000"],
];

const alike = (sqlstates: readonly string[]): CompareRule => ({
  name: "r",
  match: {},
  action: { kind: "tolerate", sqlstates: [sqlstates] },
});

await t.test(
  "a failure that got another SQLSTATE is seen, until a rule calls the two alike",
  async (test) => {
    const sessions = await servers.session();
    for (const [sql, primary, shadow] of RENAMED) {
      for (const form of FORMS) {
        const ask = async (rules: readonly CompareRule[]): Promise<string> =>
          inWords(await sessions.verdict({ sql, form }, { sql, form }, { rules }));
        test.equal(await ask([]), "divergent error_code", `${sql}, ${form}`);
        const verdict = await sessions.verdict({ sql, form }, { sql, form });
        const states = `SQLSTATE ${primary} on the primary, ${shadow} on the shadow`;
        test.match(verdict, { finding: { explanation: new RegExp(states) } });
        test.equal(await ask([alike([primary, shadow])]), "tolerated error_code_alike");
        test.equal(await ask([alike([primary, "P0001"])]), "divergent error_code");
      }
    }
    await sessions.close();
  },
);

/** Questions of one session after another: to both sides, or to each its own. */
type Talk = readonly (readonly [primary: string, shadow: string, verdict: string])[];
const both = (sql: string, verdict = "match"): Talk[number] => [sql, sql, verdict];

const TALKS: Readonly<Record<string, Talk>> = {
  "both fail alike and are told so until the end": [
    both("BEGIN"),
    both("SELECT 1 / 0"),
    both("SELECT 1"),
    both("SELECT no_such_column"),
    both("COMMIT"),
    both("SELECT 1"),
  ],
  "a savepoint saves both": [
    both("BEGIN"),
    both("SAVEPOINT a"),
    both("SELECT 1 / 0"),
    both("ROLLBACK TO a"),
    both("SELECT 1"),
    both("COMMIT"),
  ],
  "the shadow alone fails, and what it says then is no news": [
    both("BEGIN"),
    ["SELECT 1 AS v", "SELECT 1 / 0 AS v", "divergent error_on_shadow"],
    both("SELECT 1", "incomparable failed_transaction"),
    ["SELECT 1 / 0", "SELECT 1 / 0", "incomparable failed_transaction"],
    both("ROLLBACK"),
    both("SELECT 1"),
  ],
  "the primary alone fails": [
    both("BEGIN"),
    ["SELECT 1 / 0 AS v", "SELECT 1 AS v", "divergent error_on_primary"],
    both("SELECT 1", "incomparable failed_transaction"),
    both("ROLLBACK"),
  ],
  "both fail, each for another reason": [
    both("BEGIN"),
    ["SELECT 1 / 0", "SELECT no_such_column", "divergent error_code"],
    both("SELECT 1"),
    both("ROLLBACK"),
  ],
  "a shadow that may only read says nothing of a write": [
    [
      "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
      "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
      "match",
    ],
    both("CREATE TABLE written (a int4)", "incomparable read_only"),
    ["SELECT * FROM nowhere", "DELETE FROM pg_class", "incomparable read_only"],
  ],
};

for (const [name, talk] of Object.entries(TALKS)) {
  await t.test(name, async (test) => {
    for (const form of FORMS) {
      const sessions = await servers.session();
      const ask = async (primary: string, shadow: string, how: Form): Promise<string> =>
        inWords(await sessions.verdict({ sql: primary, form: how }, { sql: shadow, form: how }));
      for (const [primary, shadow, expected] of talk) {
        test.equal(await ask(primary, shadow, form), expected, `${shadow}, ${form}`);
      }
      if (form !== FORMS.at(-1)) await ask("DROP TABLE IF EXISTS written", "SELECT 1", "simple");
      await sessions.close();
    }
  });
}
