import { randomBytes } from "node:crypto";
import t from "tap";
import type { Test } from "tap";
import { openAdminClient } from "../../src/upstream/admin-client.ts";
import type { AdminClient } from "../../src/upstream/admin-client.ts";
import { readCatalogue, readScramVerifiers } from "../../src/upstream/catalogue.ts";
import { readTables } from "../../src/upstream/table-catalogue.ts";
import { readRelations } from "../../src/upstream/relations.ts";
import { parseScramVerifier } from "../../src/wire/postgres/scram.ts";
import { at, serverWith } from "./sessions.ts";

const SETUP = `
  CREATE SCHEMA shop;
  CREATE TYPE shop.mood AS ENUM ('sad', 'glad');
  CREATE DOMAIN shop.cents AS bigint;
  CREATE TYPE shop.span AS RANGE (subtype = float8);
  CREATE TYPE shop.price AS (amount shop.cents, dropped int, feelings shop.mood[]);
  ALTER TYPE shop.price DROP ATTRIBUTE dropped;
  CREATE FUNCTION shop."Charge"(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1';
  CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
  CREATE FUNCTION shop.twice(text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1';
  CREATE FUNCTION shop.half(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1 / 2';
  CREATE TABLE shop.orders (id int PRIMARY KEY, shop int, number int, note text, lazy int,
    UNIQUE (shop, number), UNIQUE (lazy) DEFERRABLE);
  CREATE UNIQUE INDEX ON shop.orders (note) WHERE id > 5;
  CREATE UNIQUE INDEX ON shop.orders (lower(note));
  CREATE UNIQUE INDEX ON shop.orders (number) INCLUDE (note);
  CREATE TABLE shop.parents (id int PRIMARY KEY);
  CREATE TABLE shop.children () INHERITS (shop.parents);
  CREATE TABLE shop.years (year int PRIMARY KEY) PARTITION BY LIST (year);
  CREATE TABLE shop.year_1 PARTITION OF shop.years FOR VALUES IN (1);
  CREATE VIEW shop.latest AS SELECT id FROM shop.orders LIMIT 1;
  CREATE SEQUENCE shop.numbers;
  CREATE SCHEMA other;
  CREATE TABLE other.orders (id int);
  CREATE ROLE modern LOGIN PASSWORD 'x';
  CREATE ROLE expired LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01';
  CREATE ROLE lasting LOGIN PASSWORD 'x' VALID UNTIL 'infinity';
  CREATE ROLE open_handed LOGIN;
  CREATE ROLE team PASSWORD 'x';
  CREATE TABLE shop.items (
    id serial PRIMARY KEY, code int GENERATED ALWAYS AS IDENTITY, made timestamptz DEFAULT now(),
    name text UNIQUE, doubled int GENERATED ALWAYS AS (1 + 1) STORED);
  CREATE TABLE shop.lines (item int REFERENCES shop.items ON DELETE CASCADE DEFERRABLE);
  CREATE VIEW shop.names AS SELECT name FROM shop.items;
  CREATE TABLE shop.parted (id int) PARTITION BY RANGE (id);
  CREATE TABLE shop.part PARTITION OF shop.parted DEFAULT;
  CREATE FUNCTION shop.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER noted BEFORE INSERT ON shop.lines FOR EACH ROW EXECUTE FUNCTION shop.noted();
  SET password_encryption = md5;
  CREATE ROLE ancient LOGIN PASSWORD 'x';`;

const servers = await Promise.all(
  ([14, 16, 18] as const).map((major) => serverWith({ major }, SETUP)),
);

function client(
  test: Test,
  server: (typeof servers)[number],
  user: string,
  password: string,
): AdminClient {
  const limits = { connectTimeoutMs: 20_000, statementTimeoutMs: 20_000 };
  const wanted = { ...at(server.port), user, password, database: "postgres" };
  const admin = openAdminClient(wanted, limits, { random: randomBytes });
  test.teardown(() => admin.close());
  return admin;
}

for (const server of servers) {
  await t.test(`the tables of PostgreSQL ${server.major}`, async (test) => {
    const { tables, defers, scriptedFunctions } = await readTables(
      client(test, server, "modern", "x"),
    );
    const named = (name: string) => tables.find((table) => table.name === name);
    const items = named("items");
    test.strictSame(
      items?.defaults.map(({ column, sequence }) => [column, sequence]).toSorted(),
      [
        ["code", "shop.items_code_seq"],
        ["id", "shop.items_id_seq"],
        ["made", undefined],
      ],
      "an expression of other columns is no default",
    );
    const keys = items?.uniqueKeys.map(({ name, attributes }) => [name, ...attributes]);
    test.strictSame(keys?.toSorted(), [
      ["items_name_key", 4],
      ["items_pkey", 1],
    ]);
    const lines = named("lines");
    test.match(items, { kind: "r", spread: false, triggers: false, cascades: true });
    test.match(lines, { kind: "r", spread: false, triggers: true, cascades: false });
    test.strictSame(items?.neighbours, [lines?.oid]);
    test.strictSame(lines?.neighbours, [items?.oid]);
    for (const name of ["names", "parted", "part"]) test.equal(named(name)?.spread, true, name);
    test.equal(defers, true);
    test.ok(scriptedFunctions.has("twice"));
    test.notOk(scriptedFunctions.has("now"));
  });

  await t.test(`the catalogue of PostgreSQL ${server.major}`, async (test) => {
    const admin = client(test, server, "modern", "x");
    const { serverVersion, volatileFunctions, typeNames, typeShapes } = await readCatalogue(admin);
    test.equal(Math.floor(serverVersion / 10_000), server.major);
    for (const name of ["random", "nextval", "clock_timestamp", "pg_sleep", "charge", "twice"]) {
      test.ok(volatileFunctions.has(name), `${name} is volatile, in one overload at least`);
    }
    for (const name of ["lower", "now", "count", "half", "Charge"]) {
      test.notOk(volatileFunctions.has(name), `${name} is not volatile`);
    }
    test.equal(typeNames.get(23), "int4");
    test.equal(typeNames.get(1007), "_int4");
    for (const name of ["mood", "_mood", "cents"])
      test.ok([...typeNames.values()].includes(name), name);
    const made = (wanted: string): unknown => {
      const [oid = 0] = [...typeNames].find(([, name]) => name === wanted) ?? [];
      const shape = typeShapes.get(oid);
      return shape && [shape.kind, ...shape.parts.map((part) => typeNames.get(part))];
    };
    test.same(made("mood"), ["enum"]);
    test.same(made("cents"), ["domain", "int8"]);
    test.same(made("_mood"), ["array", "mood"]);
    test.same(made("span"), ["range", "float8"]);
    test.same(made("span_multirange"), ["multirange", "span"]);
    test.same(made("price"), ["composite", "cents", "_mood"]);
    test.equal(made("int4"), undefined, "PostgreSQL's own types need no asking");
    for (const [oid, name] of typeNames) test.ok(oid > 0 && name !== "", `${oid} ${name}`);
  });

  await t.test(`relations of PostgreSQL ${server.major}`, async (test) => {
    const admin = client(test, server, "modern", "x");
    const { byName, digest } = await readRelations(admin);
    const keys = [["id"], ["number", "shop"], ["number"]];
    const [orders, others] = byName.get("orders") ?? [];
    test.match(orders, { kind: "table" });
    test.same(
      new Set(orders?.kind === "table" ? orders.keys.map(String) : []),
      new Set(keys.map(String)),
      "keys of some rows, of expressions and of later are none",
    );
    test.same(others, { kind: "table", keys: [] });
    test.same(byName.get("parents"), [{ kind: "table", keys: [] }], "its heirs may repeat a key");
    test.same(byName.get("years"), [{ kind: "table", keys: [["year"]] }]);
    test.match(byName.get("latest"), [{ kind: "view", definition: /LIMIT 1/ }]);
    test.same(byName.get("numbers"), [{ kind: "sequence" }]);
    test.notOk(byName.has("pg_class"));
    test.equal((await readRelations(admin)).digest, digest);
  });

  await t.test(
    `what changed in PostgreSQL ${server.major} is there when it is read again`,
    async (test) => {
      const admin = client(test, server, server.superuser, server.password);
      test.notOk((await readCatalogue(admin)).volatileFunctions.has("brand_new"));
      await admin.query("CREATE FUNCTION brand_new() RETURNS int LANGUAGE sql AS 'SELECT 1'");
      test.ok((await readCatalogue(admin)).volatileFunctions.has("brand_new"));
    },
  );

  await t.test(
    `the verifiers of PostgreSQL ${server.major} are those of roles that may log in by SCRAM`,
    async (test) => {
      const verifiers = await readScramVerifiers(
        client(test, server, server.superuser, server.password),
      );
      test.same([...verifiers.keys()].toSorted(), ["lasting", "modern", "postgres"]);
      for (const verifier of verifiers.values()) test.ok(parseScramVerifier(verifier));
    },
  );

  await t.test(
    `a user of PostgreSQL ${server.major} without the right to read verifiers hears what to do`,
    async (test) => {
      const message = /grant it SELECT there, or configure/;
      await test.rejects(readScramVerifiers(client(test, server, "modern", "x")), { message });
      const admin = client(test, server, server.superuser, server.password);
      await admin.query("GRANT SELECT ON pg_catalog.pg_authid TO modern");
      test.equal((await readScramVerifiers(client(test, server, "modern", "x"))).size, 3);
    },
  );
}
