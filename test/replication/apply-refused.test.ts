/** What the target cannot hold stops the stream at that row, names it, and leaves all before it committed. */
import t from "tap";
import { ApplyIncident } from "../../src/replication/apply/row-writer.ts";
import { startServers } from "./apply-pair.ts";

type Refusal = {
  readonly name: string;
  readonly source: string;
  readonly target: string;
  readonly before: string;
  readonly bad: string;
  readonly incident: Partial<ApplyIncident>;
  /** On the target; then the same applier's successor goes on. */
  readonly cure: string;
  readonly remap?: boolean;
  /** On the target, when all before is applied. */
  readonly startsWith?: string;
};

const T = "CREATE TABLE a (id int PRIMARY KEY, v text, m text)";
const ROWS = (count: number): string =>
  `INSERT INTO a SELECT i, 'v' || i, 'm' || i FROM generate_series(1, ${count}) i`;

const REFUSALS: readonly Refusal[] = [
  ...[1, 5, 500].map((count): Refusal => ({
    name: `a text too long for varchar(5) among ${count} inserted rows is refused, not cut off`,
    source: T,
    target: T,
    startsWith: "ALTER TABLE a ALTER v TYPE varchar(5)",
    before: "INSERT INTO a VALUES (-1, 'fits', NULL)",
    bad: `${count > 1 ? ROWS(count) : ""}; INSERT INTO a VALUES (9999, 'too long', NULL)`,
    incident: { table: "public.a", operation: "insert", key: { id: "9999" }, sqlstate: "22001" },
    cure: "ALTER TABLE a ALTER v TYPE text",
  })),
  ...[1, 3].map((count): Refusal => ({
    name: `so it is among ${count} updated rows, and through a domain`,
    source: T,
    target: `CREATE DOMAIN d AS text; ${T.replace("v text", "v d")}`,
    startsWith: "CREATE DOMAIN short AS varchar(5); ALTER TABLE a ALTER v TYPE short",
    before: ROWS(10),
    bad: `UPDATE a SET v = CASE id WHEN 1 THEN 'too long' ELSE 'short' END WHERE id <= ${count}`,
    incident: { table: "public.a", operation: "update", key: { id: "1" }, sqlstate: "22001" },
    cure: "ALTER TABLE a ALTER v TYPE text",
  })),
  {
    name: "a text that the mapping knows to be too long",
    source: T,
    target: T.replace("v text", "v varchar(5)"),
    before: "INSERT INTO a VALUES (-1, 'fits', NULL)",
    bad: `INSERT INTO a VALUES (9998, 'fits', NULL); COMMIT; BEGIN; INSERT INTO a VALUES (9999, 'too long', NULL)`,
    incident: { table: "public.a", sqlstate: undefined },
    cure: "ALTER TABLE a ALTER v TYPE text",
    remap: true,
  },
  {
    name: "a unique key that only the target has",
    source: T,
    target: `${T}; CREATE UNIQUE INDEX only_here ON a (lower(m))`,
    before: ROWS(10),
    bad: "INSERT INTO a VALUES (11, 'v', 'fine'); UPDATE a SET m = 'M2' WHERE id = 3; INSERT INTO a VALUES (12, 'v', 'fine too')",
    incident: { table: "public.a", operation: "update", key: { id: "3" }, sqlstate: "23505" },
    cure: "DROP INDEX only_here",
  },
  {
    name: "a deferrable unique key that only the target has, which the server does not enforce in the replica role",
    source: T,
    target: `${T}; ALTER TABLE a ADD CONSTRAINT only_here UNIQUE (m) DEFERRABLE`,
    before: `${ROWS(10)}; UPDATE a SET m = 'm' || (11 - id)`,
    bad: "UPDATE a SET m = 'm2' WHERE id = 3",
    incident: { table: "public.a", key: { m: "m2" }, sqlstate: "23505" },
    cure: "ALTER TABLE a DROP CONSTRAINT only_here",
  },
  {
    name: "an update of a row that is not there",
    source: T,
    target: T,
    before: ROWS(10),
    bad: "UPDATE a SET v = 'x'",
    startsWith: "DELETE FROM a WHERE id = 7",
    incident: { table: "public.a", operation: "update", key: { id: "7" }, sqlstate: undefined },
    cure: "INSERT INTO a VALUES (7, 'repaired', 'm7')",
  },
  {
    name: "a delete of a row that is not there",
    source: T,
    target: T,
    before: ROWS(10),
    bad: "DELETE FROM a WHERE id IN (6, 7, 8); UPDATE a SET v = 'x' WHERE id = 1",
    startsWith: "DELETE FROM a WHERE id = 7",
    incident: { table: "public.a", operation: "delete", key: { id: "7" }, sqlstate: undefined },
    cure: "INSERT INTO a VALUES (7, 'repaired', 'm7')",
  },
  {
    name: "an insert of a key that is there",
    source: T,
    target: T,
    before: ROWS(10),
    bad: "INSERT INTO a SELECT i, 'x', 'y' FROM generate_series(100, 500) i",
    startsWith: "INSERT INTO a VALUES (321, 'strange', '')",
    incident: { table: "public.a", operation: "insert", key: { id: "321" }, sqlstate: "23505" },
    cure: "DELETE FROM a WHERE id = 321",
  },
  {
    name: "a delete of one of two equal rows that is not there",
    source: "CREATE TABLE a (id int, v text, m text); ALTER TABLE a REPLICA IDENTITY FULL",
    target: "CREATE TABLE a (id int, v text, m text)",
    before: ROWS(3),
    bad: "DELETE FROM a WHERE id = 2",
    startsWith: "DELETE FROM a WHERE id = 2",
    incident: { operation: "delete", key: { id: "2", v: "v2", m: "m2" } },
    cure: "INSERT INTO a VALUES (2, 'v2', 'm2')",
  },
  {
    name: "a NULL that the target does not take",
    source: T,
    target: T.replace("m text", "m text NOT NULL DEFAULT ''"),
    before: ROWS(10),
    bad: "UPDATE a SET m = NULL WHERE id IN (2, 3)",
    incident: { operation: "update", key: { id: "2" }, sqlstate: "23502" },
    cure: "ALTER TABLE a ALTER m DROP NOT NULL",
  },
  {
    name: "a TRUNCATE that would leave rows without the one they refer to",
    source: T,
    target: `${T}; CREATE TABLE child (a int REFERENCES a)`,
    before: ROWS(2),
    bad: "TRUNCATE a",
    incident: { table: "public.a", operation: "truncate", key: {}, sqlstate: "0A000" },
    cure: "DROP TABLE child",
  },
];

await t.test("what is refused", async (test) => {
  const servers = await startServers(14, 16);
  test.teardown(() => servers.stop());
  for (const refusal of REFUSALS) {
    await test.test(refusal.name, async (one) => {
      const pair = await servers.pair();
      one.teardown(() => pair.stop());
      await pair.source.sql(refusal.source);
      await pair.target.sql(refusal.target);
      await pair.prepare(["a"]);
      await pair.source.sql(`BEGIN; ${refusal.before}; COMMIT`);
      const run = await pair.start();
      await run.caughtUp();
      const before = await pair.rows("a", "source");
      one.same(await pair.rows("a"), before);
      if (refusal.startsWith !== undefined) await pair.target.sql(refusal.startsWith);
      await pair.source.sql(`BEGIN; INSERT INTO a VALUES (70000, 'just', 'before'); COMMIT`);
      await run.caughtUp();
      await pair.source.sql(`BEGIN; ${refusal.bad}; COMMIT`);
      const why = await run.ended;
      if (!(why instanceof ApplyIncident)) throw why;
      const { table, operation, key, sqlstate } = why;
      one.match({ table, operation, key, sqlstate }, { ...refusal.incident });
      one.notMatch(why.message, /too long|M2|strange/, "no values in the message");
      const held = await pair.rows("a");
      one.ok(
        held.some((row) => row.includes("70000")),
        "what came before is committed",
      );
      await run.stop();
      await pair.target.sql(refusal.cure);
      if (refusal.remap === true) await pair.prepare(["a"]);
      const next = await pair.start();
      await next.caughtUp();
      one.same(await pair.rows("a"), await pair.rows("a", "source"));
    });
  }
});
