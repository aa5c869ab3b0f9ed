import t from "tap";
import { readTo, REVERSE, sourceSide } from "./source-side.ts";

const TABLES = `
  CREATE TABLE items (id int PRIMARY KEY, name text, big text);
  ALTER TABLE items ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE whole (id int, name text, big text);
  ALTER TABLE whole REPLICA IDENTITY FULL;
  ALTER TABLE whole ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE indexed (id int PRIMARY KEY, code text NOT NULL, name text);
  CREATE UNIQUE INDEX indexed_code ON indexed (code);
  ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_code;
  CREATE TABLE nothing (id int, name text);
  ALTER TABLE nothing REPLICA IDENTITY NOTHING;
  CREATE TABLE parted (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
  CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100);
  CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (100) TO (200);
  CREATE TABLE child (id serial PRIMARY KEY, item int REFERENCES items);
  CREATE TABLE elsewhere (id int PRIMARY KEY)`;

/** SQL of one transaction, and what is read of it; no lines: it does not come. */
const OPERATIONS: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "insert",
    "INSERT INTO items VALUES (1, 'one', repeat('x', 3000))",
    ["insert items (1, one, X)"],
  ],
  ["null and empty", "INSERT INTO items VALUES (2, NULL, '')", ["insert items (2, null, )"]],
  [
    "a stored-apart value that does not change",
    "UPDATE items SET name = 'uno' WHERE id = 1",
    ["update items (1, uno, =)"],
  ],
  [
    "a key that changes",
    "UPDATE items SET id = 11 WHERE id = 1",
    ["update items (1, null, null) -> (11, uno, =)"],
  ],
  ["delete by key", "DELETE FROM items WHERE id = 11", ["delete items (11, null, null)"]],
  [
    "identity full",
    "INSERT INTO whole VALUES (1, 'a', repeat('x', 3000)); UPDATE whole SET name = 'b'; DELETE FROM whole",
    ["insert whole (1, a, X)", "update whole (1, a, X) -> (1, b, X)", "delete whole (1, b, X)"],
  ],
  [
    "identity by an index",
    "INSERT INTO indexed VALUES (1, 'c', 'n'); UPDATE indexed SET id = 2; UPDATE indexed SET code = 'd'; DELETE FROM indexed",
    [
      "insert indexed (1, c, n)",
      "update indexed (2, c, n)",
      "update indexed (null, c, null) -> (2, d, n)",
      "delete indexed (null, d, null)",
    ],
  ],
  ["identity nothing", "INSERT INTO nothing VALUES (1, 'a')", ["insert nothing (1, a)"]],
  [
    "partitions travel as their root",
    "INSERT INTO parted VALUES (1, 'low'), (101, 'high'); UPDATE parted SET id = 102 WHERE id = 1",
    [
      "insert parted (1, low)",
      "insert parted (101, high)",
      "delete parted (1, null)",
      "insert parted (102, low)",
    ],
  ],
  ["truncate", "TRUNCATE child RESTART IDENTITY", ["truncate child restart"]],
  ["truncate with others", "TRUNCATE items CASCADE", ["truncate child, items cascade"]],
  [
    "a message within",
    "INSERT INTO nothing VALUES (2, 'b'); SELECT pg_logical_emit_message(true, 'ours', 'hello')",
    ["insert nothing (2, b)", "message ours hello"],
  ],
  [
    "a savepoint undone",
    "INSERT INTO nothing VALUES (3, 'c'); SAVEPOINT s; INSERT INTO nothing VALUES (4, 'd'); ROLLBACK TO s; INSERT INTO nothing VALUES (5, 'e')",
    ["insert nothing (3, c)", "insert nothing (5, e)"],
  ],
  [
    "a table that changes its shape",
    "INSERT INTO nothing VALUES (6, 'f'); ALTER TABLE nothing ADD more int DEFAULT 7; INSERT INTO nothing VALUES (7, 'g')",
    ["insert nothing (6, f)", "insert nothing (7, g, 7)"],
  ],
  ["another table", "INSERT INTO elsewhere VALUES (1)", []],
  [
    "what the opposite stream applied, by its mark",
    `INSERT INTO twinwire.progress (stream, worker, epoch, pos) VALUES ('${REVERSE.stream}', 0, 1, '0/0');
     INSERT INTO items VALUES (20, 'ours', '')`,
    [],
  ],
  [
    "what the opposite stream applied, by its mark's update",
    `UPDATE twinwire.progress SET pos_seq = 1; UPDATE items SET name = 'ours' WHERE id = 20`,
    [],
  ],
  [
    "what another migration applied",
    `INSERT INTO twinwire.progress (stream, worker, epoch, pos) VALUES ('other.reverse', 0, 1, '0/0');
     INSERT INTO items VALUES (21, 'theirs', '')`,
    ["insert items (21, theirs, )"],
  ],
  [
    "a mark that does not come first",
    `INSERT INTO items VALUES (22, 'third', ''); UPDATE twinwire.progress SET pos_seq = 2`,
    ["insert items (22, third, )"],
  ],
  [
    "another origin",
    `SELECT pg_replication_origin_session_setup('third_party'); INSERT INTO items VALUES (23, 'third', '')`,
    ["insert items (23, third, )"],
  ],
  [
    "our origin",
    `SELECT pg_replication_origin_session_setup('${REVERSE.origin}'); INSERT INTO items VALUES (24, 'ours', '')`,
    [],
  ],
  [
    "a heart that beats",
    "INSERT INTO twinwire.canary VALUES ('orders', 'old', 1, '2026-01-01Z')",
    ["insert canary (orders, old, 1, 2026-01-01 00:00:00+00)"],
  ],
];

for (const major of [14, 16, 18] as const) {
  await t.test(`PostgreSQL ${major}: every operation comes as it was`, async (test) => {
    const side = await sourceSide(test, major);
    await side.sql(TABLES);
    await side.sql(
      `SELECT pg_replication_origin_create('third_party'), pg_replication_origin_create('${REVERSE.origin}')`,
    );
    const from = await side.prepare("items", "whole", "indexed", "nothing", "parted", "child");
    const stream = await side.open(from);
    for (const [name, sql, lines] of OPERATIONS) {
      await side.sql(`BEGIN; ${sql}; COMMIT`);
      if (sql.includes("session_setup"))
        await side.sql("SELECT pg_replication_origin_session_reset()");
      const seen = await readTo(stream, await side.end());
      const short = seen.map((each) => each.map((line) => line.replaceAll(/x{3000}/g, "X")));
      test.same(short.flat(), lines, name);
      test.ok(short.length <= 1, `${name}: one transaction at most`);
    }
    await stream.close();
  });
}

for (const major of [16, 18] as const) {
  await t.test(`PostgreSQL ${major}: a server can leave other origins out itself`, async (test) => {
    const side = await sourceSide(test, major);
    await side.sql(TABLES);
    const from = await side.prepare("items");
    const stream = await side.open(from, { originNone: true });
    await side.sql(
      `SELECT pg_replication_origin_create('third'); SELECT pg_replication_origin_session_setup('third')`,
    );
    await side.sql("INSERT INTO items VALUES (1, 'a', '')");
    await side.sql("SELECT pg_replication_origin_session_reset()");
    await side.sql("INSERT INTO items VALUES (2, 'b', '')");
    test.same(await readTo(stream, await side.end()), [["insert items (2, b, )"]]);
  });
}
