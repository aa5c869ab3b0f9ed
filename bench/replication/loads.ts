/** The tables of all loads. A row of `finish` is the last change of every load. */
export const TABLES: readonly string[] = ["a", "b", "finish"];

export const DDL: string = `
  CREATE TABLE a (id int PRIMARY KEY, customer int, name text, amount numeric(12,2), at timestamptz, note text);
  CREATE TABLE b (id int PRIMARY KEY, n int, v text);
  CREATE TABLE finish (id int PRIMARY KEY);`;

const ROW =
  "i, i % 1000, 'name of ' || i, i / 7.0, '2026-01-01'::timestamptz + i * interval '1 s', repeat('n', 40)";
const FILLED = 300_000;
const FILL_A = `INSERT INTO a SELECT ${ROW} FROM generate_series(1, ${FILLED}) i;`;
/** Ids from -9 to 0 are for the ten rows that everybody updates. */
const FILL_B = `INSERT INTO b SELECT i, i, 'value' || i FROM generate_series(-9, ${FILLED}) i;`;

export type Load = {
  readonly name: string;
  /** Changed rows of a measured run, so many that it takes some seconds. */
  readonly rows: number;
  /** There on both sides before. */
  readonly fill: string;
  /** What changes so many rows of the source, some thousands at least. */
  readonly work: (rows: number) => readonly string[];
};

export const LOADS: readonly Load[] = [
  {
    name: "inserts, 1,000 a transaction",
    rows: 450_000,
    fill: "",
    work: (rows) =>
      thousands(
        rows,
        (from, to) => `INSERT INTO a SELECT ${ROW} FROM generate_series(${from}, ${to}) i`,
      ),
  },
  {
    name: "updates, 1,000 a transaction",
    rows: 250_000,
    fill: FILL_A,
    work: (rows) =>
      thousands(
        rows,
        (from, to) =>
          `UPDATE a SET amount = amount + 1, note = 'updated' WHERE id BETWEEN ${from} AND ${to}`,
      ),
  },
  {
    name: "inserts, one a transaction",
    rows: 300_000,
    fill: "",
    work: (rows) => one("INSERT INTO b VALUES (i, i, 'value' || i)", rows),
  },
  {
    name: "updates, one a transaction",
    rows: 200_000,
    fill: FILL_B,
    work: (rows) => one(`UPDATE b SET n = n + 1 WHERE id = i % ${FILLED} + 1`, rows),
  },
  {
    name: "mixed: two updates, an insert and a delete a transaction",
    rows: 240_000,
    fill: FILL_A + FILL_B,
    work: (rows) =>
      one(
        `WITH x AS (UPDATE a SET amount = amount - 1 WHERE id = (i * 7919::bigint) % ${FILLED} + 1),
              y AS (UPDATE b SET n = n + 1 WHERE id = -(i % 10)),
              z AS (DELETE FROM b WHERE id = i)
         INSERT INTO a VALUES (i + 1000000, i % 1000, 'n', 1, now(), 'm')`,
        rows / 4,
      ),
  },
];

function thousands(rows: number, sql: (from: number, to: number) => string): string[] {
  return Array.from({ length: rows / 1000 }, (_none, i) => sql(i * 1000 + 1, (i + 1) * 1000));
}

/** @param change of one row, or of one each of several, for every `i` */
function one(change: string, times: number): string[] {
  return [`DO $$ BEGIN FOR i IN 1..${times} LOOP ${change}; COMMIT; END LOOP; END $$`];
}
