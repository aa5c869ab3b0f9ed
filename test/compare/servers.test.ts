import t from "tap";
import { inWords } from "./answers.ts";
import { PRIMARY_SCHEMA, QUERY_GROUPS, SHADOW_SCHEMA, TABLES } from "./server-queries.ts";
import { startTwoServers } from "./two-servers.ts";
import type { Form, PairOfSessions } from "./two-servers.ts";

/** Objects' names are numbers in binary, which another server has given otherwise. */
const UNMIXED = /::regclass/;

await t.test("two real servers are compared by what their answers mean", async (test) => {
  const schemas = [
    [...PRIMARY_SCHEMA, ...TABLES],
    [...SHADOW_SCHEMA, ...TABLES],
  ] as const;
  const servers = await startTwoServers([14, 16], schemas);
  test.teardown(() => servers.stop());
  await servers.readTypes();

  const ask = async (
    sessions: PairOfSessions,
    sql: string,
    primary: Form,
    shadow = primary,
  ): Promise<string> =>
    inWords(await sessions.verdict({ sql, form: primary }, { sql, form: shadow }));

  for (const group of QUERY_GROUPS) {
    await test.test(group.name, async (subtest) => {
      const sessions = await servers.session(group.shadow, group.primary);
      for (const { sql, text, binary } of group.queries) {
        const told = binary ?? "match";
        subtest.equal(await ask(sessions, sql, "simple"), text, `simple: ${sql}`);
        subtest.equal(await ask(sessions, sql, "extended"), text, `extended, text: ${sql}`);
        subtest.equal(await ask(sessions, sql, "binary"), told, `extended, binary: ${sql}`);
        if (UNMIXED.test(sql)) continue;
        const mixed = await ask(sessions, sql, "extended", "binary");
        if (told === "match") subtest.equal(mixed, told, `text to binary: ${sql}`);
        else subtest.not(mixed, "match", `text to binary: ${sql}`);
      }
      await sessions.close();
    });
  }
  const count = QUERY_GROUPS.reduce((sum, { queries }) => sum + queries.length, 0);
  test.ok(count >= 120, `${count} queries, each in four forms`);
});
