import { Client, DatabaseError } from "pg";
import t from "tap";
import { DIFFERENCE_REASONS } from "../../src/compare/verdict.ts";
import {
  DEMO_DATABASE,
  DEMO_USER,
  differingTables,
  loadDatabases,
  readContents,
  startDatabases,
} from "../../src/cli/demo/databases.ts";
import { DIFFERENCES } from "../../src/cli/demo/differences.ts";
import { openFingerprints } from "../../src/cli/demo/fingerprints.ts";
import type { Difference } from "../../src/cli/demo/differences.ts";

const databases = await startDatabases("only for this test");
t.teardown(() => databases.stop());
await loadDatabases(databases);

/** The first row as the server's text, or the SQLSTATE. */
async function answerOf(
  client: Client,
  { statement, values }: Difference,
  extended: boolean,
): Promise<string> {
  try {
    const answer = await client.query<Record<string, string | null>>({
      text: statement,
      values: [...(values ?? [])],
      ...(extended ? { queryMode: "extended" } : {}),
    });
    return answer.fields
      .map(({ name }) => `${name} = ${answer.rows[0]?.[name] ?? "NULL"}`)
      .join(", ");
  } catch (error) {
    if (error instanceof DatabaseError) return `error ${error.code}`;
    throw error;
  }
}

async function connect(side: "old" | "new"): Promise<Client> {
  const client = new Client({
    connectionString: databases[side].url(DEMO_DATABASE, DEMO_USER, databases.password),
    types: { getTypeParser: () => (text: string) => text },
  });
  await client.connect();
  t.teardown(() => client.end());
  return client;
}

await t.test(
  "each difference is what the two servers really say, in both protocols",
  async (tt) => {
    const clients = { old: await connect("old"), new: await connect("new") };
    for (const difference of DIFFERENCES) {
      for (const extended of [false, true]) {
        const how = `${difference.name}, ${extended ? "extended" : "simple"}`;
        tt.equal(await answerOf(clients.old, difference, extended), difference.old, `${how}: old`);
        tt.equal(await answerOf(clients.new, difference, extended), difference.new, `${how}: new`);
      }
    }
  },
);

await t.test("the word for a difference agrees with the two answers", async (tt) => {
  for (const { name, old, new: after, reason } of DIFFERENCES) {
    tt.ok(reason in DIFFERENCE_REASONS, name);
    tt.not(old, after, name);
    tt.equal(old.startsWith("error"), /^error_(on_primary|code)$/.test(reason), name);
    tt.equal(after.startsWith("error"), /^error_(on_shadow|code)$/.test(reason), name);
  }
});

await t.test("names and fingerprints tell the differences apart", async (tt) => {
  const fingerprintOf = await openFingerprints();
  const fingerprints = DIFFERENCES.map((each) => fingerprintOf(each.statement));
  tt.equal(new Set(fingerprints).size, DIFFERENCES.length);
  tt.equal(new Set(DIFFERENCES.map((each) => each.name)).size, DIFFERENCES.length);
});

await t.test(
  "both databases begin with the same rows, and one changed row is noticed",
  async (tt) => {
    const before = await readContents(databases.old);
    tt.same(differingTables(before, await readContents(databases.new)), []);
    tt.ok([...before.values()].every(({ rows }) => rows > 0));
    const client = await connect("new");
    await client.query("UPDATE inventory SET quantity = 0 WHERE shop_id = 1 AND product_id = 1");
    tt.same(differingTables(before, await readContents(databases.new)), ["inventory"]);
  },
);
