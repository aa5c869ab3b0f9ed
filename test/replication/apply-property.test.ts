/** Random transactions on random tables, through the real log: both sides are equal at the end. */
import t from "tap";
import { startServers } from "./apply-pair.ts";

/** Repeats for one seed. @see https://en.wikipedia.org/wiki/Xorshift */
function random(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const SHAPES = [
  "CREATE TABLE NAME (id int PRIMARY KEY, u int UNIQUE, v text, big text); ALTER TABLE NAME ALTER big SET STORAGE EXTERNAL",
  "CREATE TABLE NAME (id int, u int, v text, big text, PRIMARY KEY (id)); ALTER TABLE NAME ALTER big SET STORAGE EXTERNAL",
  "CREATE TABLE NAME (id int NOT NULL, u int, v text, big text); ALTER TABLE NAME REPLICA IDENTITY FULL",
  "CREATE TABLE NAME (id int PRIMARY KEY, u int, v text, big text, CONSTRAINT NAME_late UNIQUE (u) DEFERRABLE INITIALLY DEFERRED)",
  "CREATE TABLE NAME (id int NOT NULL, u int NOT NULL, v text, big text, UNIQUE (id)); ALTER TABLE NAME REPLICA IDENTITY USING INDEX NAME_id_key",
  "CREATE TABLE NAME (id int NOT NULL, u int, v text, big text, PRIMARY KEY (id)) PARTITION BY HASH (id); CREATE TABLE NAME_1 PARTITION OF NAME FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE NAME_2 PARTITION OF NAME FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
];

/** One statement; some fail on purpose and are undone by their savepoint. */
function statement(next: (below: number) => number, table: string): string {
  const id = next(30);
  const other = next(30);
  const big = next(3) === 0 ? `repeat(md5('${next(1000)}'), 200)` : `'b${next(9)}'`;
  switch (next(8)) {
    case 0:
    case 1:
      return `INSERT INTO ${table} VALUES (${id}, ${next(40)}, 'v${next(99)}', ${big})`;
    case 2:
      return `DELETE FROM ${table} WHERE id = ${id}`;
    case 3:
      return `UPDATE ${table} SET v = 'w${next(99)}' WHERE id BETWEEN ${id} AND ${id + next(8)}`;
    case 4:
      return `UPDATE ${table} SET id = ${other} WHERE id = ${id}`;
    case 5:
      return `UPDATE ${table} SET u = ${next(40)}, big = ${big} WHERE id = ${id}`;
    case 6:
      return `INSERT INTO ${table} SELECT i, i + 100, 'many', ${big} FROM generate_series(${100 + next(50)}, ${150 + next(200)}) i`;
    default:
      return next(6) === 0
        ? `TRUNCATE ${table}`
        : `DELETE FROM ${table} WHERE id > ${100 + next(100)}; UPDATE ${table} SET id = id + 1000 WHERE id > 300 AND id < 310`;
  }
}

for (const [from, to, seed] of [
  [14, 16, 20_241],
  [16, 18, 7],
  [18, 16, 99_991],
] as const) {
  await t.test(`PostgreSQL ${from} to ${to}, seed ${seed}`, async (test) => {
    const servers = await startServers(from, to, { logical_decoding_work_mem: "64kB" });
    test.teardown(() => servers.stop());
    const pair = await servers.pair();
    const tables = SHAPES.map((_, index) => `t${index}`);
    for (const [index, shape] of SHAPES.entries())
      await pair.both(shape.replaceAll("NAME", `t${index}`));
    await pair.prepare(tables);
    const next = random(seed);
    let run = await pair.start();
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 25; i++) {
        const script = Array.from({ length: 1 + next(12) }, () => {
          const one = statement(next, tables[next(tables.length)] ?? "t0");
          // What a client would do with an error: back to before it, and on.
          return `BEGIN ${one}; EXCEPTION WHEN unique_violation OR not_null_violation THEN NULL; END;`;
        });
        const end = next(8) === 0 ? "RAISE EXCEPTION 'undone';" : "";
        await pair.source
          .sql(`DO $$ BEGIN ${script.join(" ")} ${end} END $$`)
          .catch((error: Error) => {
            if (!/undone|late/.test(error.message)) throw error;
          });
      }
      if (round % 4 === 1) {
        await run.stop();
        run = await pair.start();
      }
      await run.caughtUp();
      for (const table of tables)
        test.same(
          await pair.rows(table),
          await pair.rows(table, "source"),
          `${table}, round ${round}`,
        );
    }
    test.comment(JSON.stringify(run.applier.state.rows));
    await pair.stop();
  });
}
