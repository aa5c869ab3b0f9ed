/** Tables of every kind are copied while they are written, and are the same on both sides afterwards. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import t from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { openCopying } from "./copying.ts";
import type { SerialApplier } from "./serial-applier.ts";

const TYPES = `
  create type mood as enum ('sad', 'ok', 'happy');
  create domain cents as numeric check (value > 0);
  create type price as (label text, amount cents, feeling mood);
  create type span as range (subtype = float8);
  create table things (id int primary key, feeling mood, feelings mood[], costs price, costs_all price[],
    within span, yes bool, small int2, big int8, exact numeric, f4 float4, f8 float8, paid money, c char(5),
    v varchar(9), raw bytea, day date, clock time, clock_tz timetz, at timestamp, at_tz timestamptz, took interval,
    key uuid, doc json, docb jsonb, path xml, net inet, block cidr, mac macaddr, bits bit(3), more varbit,
    spot point, shape polygon, words tsvector, nums int[], grid text[][], r int4range, many int8range[],
    cls regclass, one "char", who name, twice int generated always as (id * 2) stored);
`;

/** By kind of key: what routes its changes differs. */
const TABLES = `
  create table by_int (id int primary key, v text, n int default 0);
  create table by_big (id bigint generated always as identity primary key, v text, n int default 0);
  create table by_uuid (id uuid primary key, v text, n int default 0);
  create table by_icu (id text collate "en-x-icu" primary key, v text, n int default 0);
  create table by_c (id text collate "C" primary key, v text, n int default 0);
  create table by_char (id char(12) collate "en-x-icu" primary key, v text, n int default 0);
  create table by_numeric (id numeric primary key, v text, n int default 0);
  create table by_mood (id mood, sub int, v text, n int default 0, primary key (id, sub));
  create table by_stamp (id timestamptz primary key, v text, n int default 0);
  create table by_day (id date, sub int, v text, n int default 0, primary key (id, sub));
  create table skewed (id int, sub int, v text, n int default 0, primary key (id, sub));
  create table keyless (id int, v text, n int default 0); alter table keyless replica identity full;
  create table also_unique (id int primary key, v text unique, n int default 0);
  create table parted (id int, part int, v text, n int default 0, primary key (id, part)) partition by list (part);
  create table parted_0 partition of parted for values in (0);
  create table parted_1 partition of parted for values in (1) partition by range (id);
  create table parted_1a partition of parted_1 for values from (minvalue) to (500);
  create table parted_1b partition of parted_1 for values from (500) to (maxvalue);
  create table ancestor (id int primary key, v text, n int default 0);
  create table heir (more text, primary key (id)) inherits (ancestor);
  create table nothing (id int primary key, v text, n int default 0);
  create table large (id int primary key, v text, big text, n int default 0);
`;

const ROWS = 2500;
const FILL = `
  insert into things (id, feeling, feelings, costs, costs_all, within, yes, small, big, exact, f4, f8, paid, c, v, raw, day, clock,
    clock_tz, at, at_tz, took, key, doc, docb, path, net, block, mac, bits, more, spot, shape, words, nums, grid, r, cls, one, who)
  select i, 'ok', '{ok,sad}', ('a"b', 1.50, 'ok')::price, array[('b,', 2, 'sad')::price], '[0.1,2)', i % 2 = 0, i, i * 10000000000::bigint,
    i / 7.0, i / 7.0, i / 7.0, i, 'ab', E'tab\\t\\\\.', decode(md5(i::text), 'hex'), date '0044-03-15 BC' + i, '12:34:56.7', '12:34:56+02',
    'infinity', timestamptz '2024-03-31 01:59:59+01' + i * interval '1 hour', i * interval '1 mon 2 days 3.5 s', md5(i::text)::uuid,
    '{"a" : 1}', '{"a":1}', '<a>b</a>', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', B'101', B'10101', '(1.1,2)', '((0,0),(1,1),(1,0))',
    'a fat cat', '{1,NULL,3}', E'{{"a\\nb",NULL},{"","NULL"}}', '[1,10)', 'pg_class', 'x', 'someone'
  from generate_series(1, 600) i;
  insert into things (id) values (0), (-1);
  insert into by_int select i, repeat(md5(i::text), 3) from generate_series(-500, ${ROWS}) i;
  insert into by_big (v) select repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into by_uuid select md5(i::text)::uuid, repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into by_icu select (array['é','E','e','z','Z','ß',' ','-'])[i % 8 + 1] || i, repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into by_c select (array['é','E','e','z','Z','''','"','\\'])[i % 8 + 1] || i, repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into by_char select (array['é','E','e','z'])[i % 4 + 1] || i, repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into by_numeric select (i - 1000) / 4.0, repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into by_mood select (enum_range(null::mood))[i % 3 + 1], i, repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into by_stamp select timestamptz '2024-01-01' + i * interval '7 hours', repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into by_day select date '2024-01-01' + i / 5, i, repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into skewed select case when i % 10 = 0 then i else 7 end, i, repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into keyless select i / 2, repeat(md5((i / 2)::text), 3) from generate_series(1, ${ROWS}) i;
  insert into also_unique select i, md5(i::text) from generate_series(1, ${ROWS}) i;
  insert into parted select i, i % 2, repeat(md5(i::text), 3) from generate_series(1, ${ROWS}) i;
  insert into ancestor select i, 'elder' from generate_series(1, 100) i;
  insert into heir select i, 'younger', 0, 'more' from generate_series(1, 100) i;
  insert into large select i, md5(i::text), (select string_agg(md5((i * j)::text), '') from generate_series(1, 400) j)
    from generate_series(1, 60) i;
`;

const WRITTEN = [
  "by_int",
  "by_big",
  "by_uuid",
  "by_icu",
  "by_c",
  "by_char",
  "by_numeric",
  "by_mood",
  "by_stamp",
  "by_day",
  "skewed",
  "keyless",
  "also_unique",
  "parted",
  "nothing",
  "large",
];
const ALL = [...WRITTEN, "things", "ancestor", "heir"];

/** A key that no row has yet; keys of all kinds lie all over their range. */
const FRESH: Readonly<Record<string, string>> = {
  by_int: "id = 100000 * (random() - 0.5)",
  by_uuid: "id = md5(random()::text)::uuid",
  by_icu: "id = chr(65 + (random() * 50)::int) || random()",
  by_c: "id = chr(65 + (random() * 50)::int) || random()",
  by_char: "id = left(chr(65 + (random() * 50)::int) || random(), 12)",
  by_numeric: "id = round((1000 * (random() - 0.5))::numeric, 6)",
  by_mood: "id = 'happy', sub = 100000 + 1000000 * random()",
  by_stamp: "id = timestamptz '2024-01-01' + random() * interval '2 years'",
  by_day: "id = date '2024-01-01' + (random() * 700)::int, sub = 100000 + 1000000 * random()",
  skewed: "id = random() * 3000, sub = 100000 + 1000000 * random()",
  also_unique: "id = 100000 * random()",
  parted: "id = 100000 * random(), part = 1 - part",
};

for (const [old, fresh] of [
  [14, 16],
  [16, 18],
] as const) {
  await t.test(`${old} to ${fresh}`, async (group) => {
    const [source, target] = await Promise.all([
      startPostgres({ major: old }),
      startPostgres({ major: fresh }),
    ]);
    const folder = mkdtempSync(join(tmpdir(), "snapshot-"));
    const clients = [new pg.Client(source.url()), new pg.Client(target.url())] as const;
    group.teardown(async () => {
      await Promise.all(clients.map((client) => client.end()));
      await Promise.all([source.stop(), target.stop()]);
      rmSync(folder, { recursive: true });
    });
    await Promise.all(clients.map((client) => client.connect()));
    for (const client of clients) {
      await client.query(TYPES);
      await client.query(TABLES);
    }
    await clients[0].query(FILL);
    const copying = await openCopying({
      source: source.url(),
      target: target.url(),
      folder,
      patterns: ["public.*"],
      chunkBytes: 65_536,
      bytesPerSecond: 900_000,
      deferredBytes: 5_000,
    });
    let isOver = false;
    const writers = [1, 2].map((seed) => write(source.url(), seed, () => isOver, copying.applier));
    await copying.settle();
    isOver = true;
    const written = await Promise.all(writers);
    await copying.catchUp();
    await group.test("both sides hold the same", async (test) => {
      for (const table of ALL) {
        const [one, other] = await Promise.all(clients.map((client) => digest(client, table)));
        test.same(other, one, table);
      }
    });
    await group.test("all ways of a change were met", async (test) => {
      test.comment(
        `figure: ${written.reduce((sum, count) => sum + count, 0)} transactions, routed ${JSON.stringify(copying.applier.routed)}`,
      );
      for (const count of Object.values(copying.applier.routed)) test.ok(count > 0);
      const { tables, fraction, etaSeconds } = copying.copy.progress();
      test.same([fraction, etaSeconds], [1, 0]);
      const several = tables.filter(({ chunks }) => chunks > 1).map(({ table }) => table);
      for (const name of ["by_int", "by_uuid", "by_icu", "by_char", "by_mood", "skewed", "parted"])
        test.ok(several.includes(`public.${name}`), `${name} ${JSON.stringify(tables)}`);
      for (const name of ["keyless", "also_unique", "nothing"])
        test.notOk(several.includes(`public.${name}`), name);
      test.same(readdirSync(folder), [], "no file stays");
      const { rows } = await clients[1].query("select 1 from pg_stats where tablename = 'by_int'");
      test.ok(rows.length > 0, "the target's planner knows the table");
    });
    await copying.close();
  });
}

async function digest(client: pg.Client, table: string): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select count(*), md5(string_agg(r, ',' order by r collate "C")) from (select t::text as r from only ${table} t
     ${table === "parted" ? "where false union all select t::text from parted t" : ""}) as s`,
  );
  return rows;
}

/** Writes everything a client may, until told, and no faster than it is applied. @returns how many transactions */
async function write(
  url: string,
  seed: number,
  isOver: () => boolean,
  applier: SerialApplier,
): Promise<number> {
  const client = new pg.Client(url);
  await client.connect();
  const run = async (sql: string): Promise<void> => {
    try {
      await client.query(sql);
    } catch (error) {
      const { code } = error as { readonly code?: string };
      await client.query("rollback");
      if (code !== "23505" && code !== "40P01") throw error;
    }
  };
  let count = 0;
  for (; !isOver(); count++) {
    const table = WRITTEN[(count * 7 + seed) % WRITTEN.length] ?? "";
    // Rows of partitions share their places.
    const place = table === "parted" ? "id" : "ctid";
    const some = (rows: number): string =>
      `${place} in (select ${place} from ${table} tablesample bernoulli (20) order by random() limit ${rows})`;
    const fresh = FRESH[table];
    await run(`begin; update ${table} set n = n + 1 where ${some(3)};
      savepoint a; update ${table} set n = n + 1000 where ${some(2)}; rollback to a;
      savepoint b; update ${table} set n = n + 1, v = md5(random()::text) where ${some(1)}; release b; commit`);
    if (count % 3 === 0) await run(`delete from ${table} where ${some(1)}`);
    if (fresh !== undefined) await run(`update ${table} set ${fresh} where ${some(1)}`);
    if (table === "nothing")
      await run(`insert into nothing select (random() * 100000)::int, 'x' on conflict do nothing`);
    if (table === "keyless")
      await run(
        `insert into keyless select (random() * ${ROWS / 2})::int, 'again' from generate_series(1, 2)`,
      );
    if (table === "by_int")
      await run(
        `insert into by_int select (random() * 100000)::int, md5(random()::text) on conflict do nothing`,
      );
    if (table === "by_big") await run(`insert into by_big (v) values ('new')`);
    if (count % 50 === 49)
      await run(
        `begin; insert into by_uuid select gen_random_uuid(), 'never' from generate_series(1, 50); rollback`,
      );
    const { rows } = await client.query<{ readonly at: string }>(
      "select pg_current_wal_insert_lsn() as at",
    );
    // An applier that is far behind would meet nothing but what snapshots have seen.
    await Promise.race([applier.reached(rows[0]?.at ?? ""), applier.failed]);
  }
  await client.end();
  return count;
}
