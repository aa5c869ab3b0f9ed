/** Kinds of corruption that migrations are known for: each is found at its row, with its cause in words. */
import t from "tap";
import type { VerificationItem } from "../../src/admin/ports.ts";
import { until } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";
import { startReplicating } from "../replication/replicating.ts";

type Corruption = {
  /** SQL of the value in OLD. */
  readonly old: string;
  /** SQL of the value in NEW, where `v` is the old one. */
  readonly fresh: string;
  readonly cause: string;
};

const AT = "timestamptz '2026-03-01 10:20:30.123456+00'";

/** By the column's type; each is a row of a table with that column. */
const CORRUPTIONS: Readonly<Record<string, readonly Corruption[]>> = {
  text: [
    { old: "'trailing'", fresh: "v || '   '", cause: "spaces at the end" },
    { old: "'tab'", fresh: "v || chr(9)", cause: "spaces at the end" },
    { old: "'leading'", fresh: "'  ' || v", cause: "spaces around it" },
    { old: "'Case'", fresh: "upper(v)", cause: "upper and lower case" },
    { old: "''", fresh: "null", cause: "an empty text became NULL" },
    { old: "null", fresh: "''", cause: "NULL became an empty text" },
    { old: "null", fresh: "'was null'", cause: "a value instead of NULL" },
    { old: "'gone'", fresh: "null", cause: "NULL instead of a value" },
    { old: "'a long text that is cut'", fresh: "left(v, 10)", cause: "cut off at its end" },
    { old: "'short'", fresh: "v || ' and more'", cause: "something added at its end" },
    { old: "E'one\\r\\ntwo'", fresh: "replace(v, chr(13), '')", cause: "ends of lines" },
    {
      old: "E'one\\ntwo'",
      fresh: "replace(v, chr(10), chr(13) || chr(10))",
      cause: "ends of lines",
    },
    {
      old: "U&'caf\\00e9'",
      fresh: "normalize(v, nfd)",
      cause: "another Unicode form of the same characters",
    },
    {
      old: "U&'caf\\00e9 noir'",
      fresh: "U&'caf\\00c3\\00a9 noir'",
      cause: "UTF-8 that was read as Latin-1",
    },
    {
      old: "U&'na\\00efve'",
      fresh: "'na?ve'",
      cause: "characters that were replaced by question marks",
    },
    { old: "U&'\\00fcber alles'", fresh: "'uber alles'", cause: "accents" },
    { old: "'two  words'", fresh: "'two words'", cause: "spaces between words" },
    { old: "'another'", fresh: "'something else'", cause: "another value" },
    { old: "'NULL'", fresh: "null", cause: "NULL instead of a value" },
  ],
  numeric: [
    { old: "1.50", fresh: "1.5", cause: "other digits of the same number" },
    { old: "2.345", fresh: "2.35", cause: "rounded to fewer digits" },
    { old: "2.349", fresh: "2.34", cause: "cut off to fewer digits" },
    { old: "12.5", fresh: "-12.5", cause: "the opposite sign" },
    { old: "12.5", fresh: "1250.0", cause: "100 times as much, or as little" },
    { old: "12", fresh: "12000", cause: "1000 times as much, or as little" },
    { old: "7", fresh: "8", cause: "another value" },
    { old: "0", fresh: "null", cause: "NULL instead of a value" },
    { old: "'NaN'", fresh: "0", cause: "another value" },
  ],
  bigint: [
    { old: "9007199254740993", fresh: "9007199254740992", cause: "another value" },
    { old: "41", fresh: "42", cause: "another value" },
    { old: "-3", fresh: "3", cause: "the opposite sign" },
  ],
  "double precision": [
    { old: "0.1", fresh: "0.1 + 1.3878e-17", cause: "the last digit of a floating point number" },
    { old: "3.14159265358979", fresh: "3.14", cause: "rounded to fewer digits" },
  ],
  "timestamp with time zone": [
    { old: AT, fresh: "v + interval '1 hour'", cause: "a time zone offset of +3600 s" },
    { old: AT, fresh: "v - interval '330 minutes'", cause: "a time zone offset of -19800 s" },
    { old: AT, fresh: "date_trunc('second', v)", cause: "fractions of a second" },
    { old: AT, fresh: "date_trunc('milliseconds', v)", cause: "fractions of a second" },
    { old: AT, fresh: "v + interval '7 seconds'", cause: "another value" },
    { old: "'infinity'", fresh: AT, cause: "another value" },
  ],
  date: [
    { old: "date '2026-03-01'", fresh: "v - 1", cause: "a day earlier or later" },
    { old: "date '2026-03-01'", fresh: "v + 90", cause: "another value" },
  ],
  json: [
    { old: `'{"a":1,"b":2}'`, fresh: `'{"b":2,"a":1}'`, cause: "the order of keys in JSON" },
    { old: `'{"a":1}'`, fresh: `'{ "a": 1.0 }'`, cause: "spaces or spelling of the same JSON" },
    { old: `'{"a":1}'`, fresh: `'{"a":2}'`, cause: "another value" },
  ],
  bytea: [
    { old: "'\\x0102ff'", fresh: "'\\x0102'", cause: "cut off at its end" },
    { old: "'\\x0102ff'", fresh: "'\\x0103ff'", cause: "another value" },
  ],
  boolean: [{ old: "true", fresh: "false", cause: "another value" }],
  "integer[]": [{ old: "'{1,2}'", fresh: "'{2,1}'", cause: "another value" }],
};

const TABLES = Object.entries(CORRUPTIONS).map(([type, rows], index) => ({
  name: `t${index}`,
  type,
  rows,
}));

const sides = await startTwoSides();
t.teardown(() => sides.stop());
for (const { name, type, rows } of TABLES) {
  await sides.both(
    `create table ${name} (id int primary key, v ${type}); grant all on ${name} to app`,
  );
  const values = rows.map(({ old }, id) => `(${id}, ${old}), (${1000 + id}, ${old})`);
  await sides.on("old", `insert into ${name} values ${values.join(", ")}`);
}
const twinwire = await startReplicating(sides);
t.teardown(() => twinwire.stop());
await twinwire.startReplication();

const count = TABLES.reduce((sum, { rows }) => sum + rows.length, 0);

await t.test(`${count} kinds of corruption`, async (test) => {
  test.ok(count >= 40);
  for (const { name, rows } of TABLES) {
    for (const [id, { fresh }] of rows.entries()) {
      await sides.on(
        "new",
        `select pg_replication_origin_create('spoiler') where pg_replication_origin_oid('spoiler') is null;
         select pg_replication_origin_session_setup('spoiler');
         set session_replication_role = replica; set time zone 'UTC';
         update ${name} set v = ${fresh} where id = ${id}`,
      );
    }
  }
  await twinwire.api.post("/api/v1/migrations/shop/verify", {});
  const item = await until("the verification's end", async () => {
    const now = await twinwire.api.get<VerificationItem>("/api/v1/migrations/shop/verify");
    return now.phase === "running" ? undefined : now;
  });
  test.equal(item.phase, "done", item.detail);
  for (const { name, type, rows } of TABLES) {
    const found = item.differences.filter(({ table }) => table === `public.${name}`);
    test.equal(found.length, rows.length, `rows of ${type}`);
    for (const [id, { old, fresh, cause }] of rows.entries()) {
      const difference = found.find(({ key }) => key["id"] === String(id));
      test.match(
        difference,
        { kind: "different", columns: ["v"], cause: `v: ${cause}` },
        `${type}: ${old} became ${fresh}`,
      );
    }
  }
  const text = JSON.stringify(item);
  test.notMatch(text, /trailing|something else|9007199254740993/, "no value is told");
});
