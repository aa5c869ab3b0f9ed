import pg from "pg";
import t from "tap";
import type { Test } from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { readTableShapes } from "../../src/replication/read-shapes.ts";
import type { Ask } from "../../src/replication/read-shapes.ts";
import { expandTables, parsePattern } from "../../src/replication/table-patterns.ts";
import { tableKey } from "../../src/replication/table-shape.ts";
import type { TableName, TableShape } from "../../src/replication/table-shape.ts";

const SCHEMA = `
  create schema app; create schema "Odd.One"; create schema twinwire; create table twinwire.own (a int);
  create domain code as text collate "C"; create domain deep as code;
  create table orders (
    id bigint generated always as identity primary key, label varchar(50) not null, c_text text collate "C",
    icu text collate "en-x-icu", key uuid, raw bytea, named name, code deep, at timestamptz default now(),
    twice int generated always as (2 * 3) stored, padded char(5) collate "C", gone int, amount numeric(10, 2));
  alter table orders drop column gone;
  create table parted (region text, id int, v text, primary key (region, id)) partition by list (region);
  create table parted_a partition of parted for values in ('a') partition by range (id);
  create table parted_a1 partition of parted_a for values from (0) to (100);
  create table parted_b partition of parted for values in ('b');
  create unique index on parted_b (v);
  alter table parted_b replica identity full;
  create table app.keyless (a int, b text); alter table app.keyless replica identity full;
  create table app.silent (a int primary key); alter table app.silent replica identity nothing;
  create table app.late (a int primary key deferrable, b int unique deferrable initially deferred, c int not null unique);
  create table app.by_index (a int, b int not null, c text not null, d int);
  create unique index by_index_key on app.by_index (c, b) include (d);
  create unique index on app.by_index (a) where a > 5;
  alter table app.by_index replica identity using index by_index_key;
  create table app.ranges (a int primary key, r int4range, exclude using gist (r with &&));
  create table parent (a int primary key); create table child (b int) inherits (parent);
  create unlogged table app.unlogged (a int primary key);
  create temp table temporary (a int);
  create view app.seen as select 1 as a;
  create table "Odd.One"."we""ird*" (a int primary key); create table "Odd.One".plain (a int primary key);
  insert into app.silent select generate_series(1, 1000); analyze app.silent`;

for (const major of [14, 16, 18] as const) {
  await t.test(`PostgreSQL ${major}`, async (group) => {
    const server = await startPostgres({ major });
    const client = new pg.Client({
      connectionString: server.url(),
      types: { getTypeParser: () => String },
    });
    group.teardown(async () => {
      await client.end();
      await server.stop();
    });
    await client.connect();
    await client.query(SCHEMA);
    const ask: Ask = async (text, values) =>
      (
        await client.query<(string | null)[]>({
          text,
          values: [...(values ?? [])],
          rowMode: "array",
        })
      ).rows;
    await shapes(group, ask);
    await patterns(group, ask);
    if (major === 18) {
      await group.test("a virtual column is computed as well", async (test) => {
        await client.query(
          "create table virtual (a int, b int generated always as (a * 2) virtual)",
        );
        const shape = await one(ask, { schema: "public", name: "virtual" });
        test.same(
          shape.columns.map(({ generated }) => generated),
          [false, true],
        );
        await client.query(
          `create database other locale_provider builtin builtin_locale 'C.UTF-8' template template0`,
        );
        const other = new pg.Client({
          connectionString: server.url("other"),
          types: { getTypeParser: () => String },
        });
        await other.connect();
        await other.query("create table texts (a text, b text collate unicode)");
        const there: Ask = async (text, values) =>
          (
            await other.query<(string | null)[]>({
              text,
              values: [...(values ?? [])],
              rowMode: "array",
            })
          ).rows;
        const texts = await one(there, { schema: "public", name: "texts" });
        await other.end();
        test.same(
          texts.columns.map(({ bytewise }) => bytewise),
          [true, false],
        );
      });
    }
  });
}

async function one(ask: Ask, name: TableName): Promise<TableShape> {
  const [shape] = await readTableShapes(ask, [name]);
  if (shape === undefined) throw new Error("no shape");
  return shape;
}

async function shapes(group: Test, ask: Ask): Promise<void> {
  await group.test("columns are told as they are declared", async (test) => {
    const { columns, primaryKey, identity, identityKind, kind } = await one(ask, {
      schema: "public",
      name: "orders",
    });
    const told = columns.map((c) => [
      c.name,
      c.type,
      c.bytewise,
      c.generated,
      c.identity,
      c.hasDefault,
      c.nullable,
    ]);
    test.same(told, [
      ["id", "bigint", false, false, "a", false, false],
      ["label", "character varying(50)", true, false, "", false, false],
      ["c_text", "text", true, false, "", false, true],
      ["icu", "text", false, false, "", false, true],
      ["key", "uuid", true, false, "", false, true],
      ["raw", "bytea", true, false, "", false, true],
      ["named", "name", true, false, "", false, true],
      ["code", "deep", true, false, "", false, true],
      ["at", "timestamp with time zone", false, false, "", true, true],
      ["twice", "integer", false, true, "", false, true],
      ["padded", "character(5)", false, false, "", false, true],
      ["amount", "numeric(10,2)", false, false, "", false, true],
    ]);
    test.same(
      { primaryKey, identity, identityKind, kind },
      { primaryKey: ["id"], identity: ["id"], identityKind: "default", kind: "r" },
    );
    test.equal(columns[1]?.typeName, "character varying");
  });
  await group.test("what names a row in the log", async (test) => {
    const rows = [
      ["public.parted", ["region", "id"], "default"],
      ["app.keyless", ["a", "b"], "full"],
      ["app.silent", [], "nothing"],
      ["app.late", [], "default"],
      ["app.by_index", ["c", "b"], "index"],
    ] as const;
    for (const [table, identity, identityKind] of rows) {
      const [schema = "", name = ""] = table.split(".");
      const shape = await one(ask, { schema, name });
      test.same([shape.identity, shape.identityKind], [identity, identityKind], table);
    }
  });
  await group.test("keys beside the primary one, and those checked at COMMIT", async (test) => {
    const late = await one(ask, { schema: "app", name: "late" });
    test.same(late.uniqueKeys, [["c"]]);
    test.same(late.deferrable, ["late_b_key", "late_pkey"]);
    test.same((await one(ask, { schema: "app", name: "by_index" })).uniqueKeys, [["c", "b"]]);
    const others = ["ranges", "silent", "late", "keyless"].map((name) =>
      one(ask, { schema: "app", name }),
    );
    test.same(
      (await Promise.all(others)).map((shape) => shape.otherUnique),
      [true, false, true, false],
    );
    test.equal(
      (await one(ask, { schema: "public", name: "parted" })).otherUnique,
      true,
      "a partition's own",
    );
  });
  await group.test(
    "several are told in the order they were asked for, and a missing one is named",
    async (test) => {
      const names = [
        { schema: "app", name: "unlogged" },
        { schema: "app", name: "silent" },
      ];
      const told = await readTableShapes(ask, names);
      test.same(
        told.map((shape) => [shape.name, shape.persistence]),
        [
          ["unlogged", "u"],
          ["silent", "p"],
        ],
      );
      test.equal(told[1]?.estimate.rows, 1000);
      test.ok((told[1]?.estimate.bytes ?? 0) >= 40_000);
      test.same(await readTableShapes(ask, []), []);
      const missing = [{ schema: "app", name: "seen" }];
      await test.rejects(readTableShapes(ask, missing), {
        code: "not_found",
        message: /app\.seen/,
      });
    },
  );
}

async function patterns(group: Test, ask: Ask): Promise<void> {
  const rows: readonly (readonly [readonly string[], readonly string[], string])[] = [
    [["public.*"], ["child", "orders", "parent", "parted"], "partitions come with their root"],
    [["public.p*", "!public.parted"], ["parent"], "who excludes a root excludes its partitions"],
    [
      ["public.p*", "!public.parted", "public.parted_a"],
      ["parent", "parted_a"],
      "the last match decides",
    ],
    [["PUBLIC.Orders", "orders"], ["orders"], "names fold, and public is the schema"],
    [['"Odd.One"."we""ird*"'], ['we"ird*'], "in quotes as it stands"],
    [['"Odd.One".*'], ["plain", 'we"ird*'], "either part may be quoted"],
    [["t*.*", "pg_catalog.*", "*.temporary"], [], "what is ours or the system's is never chosen"],
    [["*.s*"], ["silent"], "views are no tables"],
  ];
  for (const [given, expected, why] of rows) {
    await group.test(`${given.join(" ")}: ${why}`, async (test) => {
      test.same(
        (await expandTables(ask, given)).map(({ name }) => name),
        expected,
      );
    });
  }
  await group.test("a full name that names nothing is an error", async (test) => {
    await test.rejects(expandTables(ask, ["app.nowhere", "app.*"]), { code: "not_found" });
    test.same((await expandTables(ask, ["app.late", "!app.nowhere"])).map(tableKey), ["app.late"]);
  });
  await group.test("what is no pattern is refused", async (test) => {
    for (const text of ["", "!", "a.b.c", '"a', "a.", ".a", 'a"b"'])
      test.throws(() => parsePattern(text), { code: "config_invalid" }, text);
  });
}
