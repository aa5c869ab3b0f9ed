import type { Buffer } from "node:buffer";
import t from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { compareObservations } from "../../src/compare/compare.ts";
import type { CompareContext } from "../../src/compare/context.ts";
import { decodeDataRow, readReplyFrames } from "../../src/wire/postgres/reply-frames.ts";
import { answered, context, inWords, statement } from "./answers.ts";
import { openRawClient } from "./raw-client.ts";
import type { RawClient } from "./raw-client.ts";
import { PRIMARY_SCHEMA, QUERY_GROUPS, SHADOW_SCHEMA, TABLES } from "./server-queries.ts";

const HBA = "host all all 127.0.0.1/32 trust";
const DATA_ROW = 0x44;

async function prepare(server: EmbeddedPostgres, schema: readonly string[]): Promise<void> {
  const client = await openRawClient(server.port, {});
  for (const sql of [...schema, ...TABLES]) await client.simple(sql);
  await client.close();
}

async function typeNames(server: EmbeddedPostgres): Promise<CompareContext["primaryTypes"]> {
  const client = await openRawClient(server.port, {});
  const answer = await client.simple("SELECT oid, typname FROM pg_type");
  await client.close();
  const names = new Map<number, string>();
  for (const { type, body } of readReplyFrames(answer)) {
    if (type !== DATA_ROW) continue;
    const [oid, name] = decodeDataRow(body).map(String);
    names.set(Number(oid), name ?? "");
  }
  return (oid) => names.get(oid);
}

type Asked = { readonly text: string; readonly binary: string; readonly mixed: string };

async function ask(
  clients: readonly [primary: RawClient, shadow: RawClient],
  sql: string,
  parts: Partial<CompareContext>,
): Promise<Asked & { readonly extended: string }> {
  const verdict = (a: Buffer, b: Buffer, types = parts.shadowTypes): string => {
    const side = types === undefined ? {} : { shadowTypes: types };
    return inWords(compareObservations(answered(a), answered(b), context({ ...parts, ...side })));
  };
  const each = (how: (client: RawClient) => Promise<Buffer>): Promise<[Buffer, Buffer]> =>
    Promise.all([how(clients[0]), how(clients[1])]);
  const simple = await each((client) => client.simple(sql));
  const extended = await each((client) => client.extended(sql, 0));
  const binary = await each((client) => client.extended(sql, 1));
  return {
    text: verdict(...simple),
    extended: verdict(...extended),
    binary: verdict(...binary),
    mixed: verdict(extended[0], binary[0], parts.primaryTypes),
  };
}

/** Types whose text tells more or less than their binary form, so that the two are not compared. */
const TEXT_ONLY =
  /::(?:tsquery|jsonpath|pg_lsn|regclass|record)|ROW\(|\bitems FROM|\* FROM items|lives|money/;

await t.test("two real servers are compared by what their answers mean", async (test) => {
  const [primary, shadow] = await Promise.all([
    startPostgres({ major: 14, hba: HBA }),
    startPostgres({ major: 16, hba: HBA }),
  ]);
  test.teardown(() => Promise.all([primary.stop(), shadow.stop()]));
  await Promise.all([prepare(primary, PRIMARY_SCHEMA), prepare(shadow, SHADOW_SCHEMA)]);
  const [primaryTypes, shadowTypes] = await Promise.all([typeNames(primary), typeNames(shadow)]);
  const parts = { primaryTypes, shadowTypes, statements: [statement()] };

  for (const group of QUERY_GROUPS) {
    await test.test(group.name, async (subtest) => {
      const clients = await Promise.all([
        openRawClient(primary.port, group.primary),
        openRawClient(shadow.port, group.shadow),
      ]);
      for (const { sql, text, binary } of group.queries) {
        const asked = await ask(clients, sql, parts);
        subtest.equal(asked.text, text, `simple: ${sql}`);
        subtest.equal(asked.extended, text, `extended, text: ${sql}`);
        subtest.equal(asked.binary, binary ?? "match", `extended, binary: ${sql}`);
        if (!TEXT_ONLY.test(sql)) subtest.equal(asked.mixed, "match", `text to binary: ${sql}`);
      }
      await Promise.all(clients.map((client) => client.close()));
    });
  }
  const count = QUERY_GROUPS.reduce((sum, { queries }) => sum + queries.length, 0);
  test.ok(count >= 120, `${count} queries, each in three forms`);
});
