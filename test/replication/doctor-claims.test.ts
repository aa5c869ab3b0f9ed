/** What the doctor warns of is so, on every server. */
import pg from "pg";
import t from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";

const TABLES = `
  create table parted (a int primary key) partition by range (a);
  create table first partition of parted for values from (0) to (10);
  create table second partition of parted for values from (10) to (20) partition by range (a);
  create table second_all partition of second default;
  create table filled as select 20 as a; alter table filled alter a set not null;
  insert into parted select generate_series(0, 19);
  create table booked (a int primary key, during int4range, exclude using gist (during with &&) deferrable);
  create table strict (a int primary key, during int4range, exclude using gist (during with &&));
  create publication p for table parted with (publish_via_partition_root = true)`;

/** Types of the messages of the log since the last look, without those of transactions and relations. */
const CHANGES = `
  select string_agg(kind, '') as kinds from (
    select chr(get_byte(data, 0)) as kind from pg_logical_slot_get_binary_changes('s', null, null,
      'proto_version', '1', 'publication_names', 'p')) as messages where kind not in ('B', 'C', 'R')`;

const UNSEEN = [
  "truncate first",
  "truncate second",
  "truncate second_all",
  "alter table parted detach partition first",
  "drop table second",
  "alter table parted attach partition filled for values from (20) to (30)",
];

for (const major of [14, 16, 18] as const) {
  await t.test(`PostgreSQL ${major}`, async (test) => {
    const server = await startPostgres({ major });
    test.teardown(() => server.stop());
    const client = new pg.Client(server.url());
    await client.connect();
    test.teardown(() => client.end());
    const changes = async (): Promise<unknown> =>
      (await client.query<{ kinds: string | null }>(CHANGES)).rows[0]?.kinds;
    await client.query(TABLES);
    await client.query("select pg_create_logical_replication_slot('s', 'pgoutput')");
    await client.query("truncate parted");
    test.equal(await changes(), "T", "a TRUNCATE of the whole is published");
    for (const sql of UNSEEN) {
      await client.query(sql);
      test.equal(await changes(), null, sql);
    }
    await client.query("insert into parted values (25)");
    test.equal(await changes(), "I");
    const collide = (table: string): string =>
      `insert into ${table} values (1, '[1,5)'), (2, '[1,5)')`;
    await test.rejects(client.query(collide("booked")), { code: "23P01" });
    await client.query("set session_replication_role = replica");
    await test.resolves(client.query(collide("booked")), "deferrable: not checked when applied");
    await test.rejects(client.query(collide("strict")), { code: "23P01" });
  });
}
