import type { RowOrder } from "../../src/sql/statement.ts";
import type { Expected } from "./expected.ts";

/** SELECT with ORDER BY: which output columns the order is on. */
export const ORDERED_READS: readonly Expected[] = [
  {
    sql: "SELECT id FROM orders ORDER BY id",
    why: "by name",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT id FROM orders ORDER BY 1 DESC",
    why: "by position",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT status, id FROM orders ORDER BY 2, 1",
    why: "by two positions",
    tables: ["orders"],
    order: keys([1, 0]),
  },
  {
    sql: "SELECT *, id AS x FROM orders ORDER BY 3",
    why: "a position counts the columns of the star",
    tables: ["orders"],
    order: keys([2]),
  },
  {
    sql: "SELECT id, total AS amount FROM orders ORDER BY amount",
    why: "by alias",
    tables: ["orders"],
    order: keys([1]),
  },
  {
    sql: "SELECT o.id FROM orders o ORDER BY o.id",
    why: "the same expression",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT o.id FROM orders o ORDER BY id",
    why: "an output is named after its column",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT id FROM orders o ORDER BY o.id",
    why: "a bare name is the qualified one",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT lower(status), id FROM orders ORDER BY lower(status)",
    why: "the same call",
    tables: ["orders"],
    functions: ["lower"],
    order: keys([0]),
  },
  {
    sql: "SELECT count(*), status FROM orders GROUP BY status ORDER BY count DESC",
    why: "a call names its column",
    tables: ["orders"],
    functions: ["count"],
    order: keys([0]),
  },
  {
    sql: "SELECT id FROM orders ORDER BY total",
    why: "a key that is not shown",
    tables: ["orders"],
    order: keys([], false),
  },
  {
    sql: "SELECT id FROM orders ORDER BY total, id",
    why: "one shown, one not",
    tables: ["orders"],
    order: keys([0], false),
  },
  {
    sql: "SELECT id FROM orders ORDER BY id LIMIT 3",
    why: "cut off by number",
    tables: ["orders"],
    order: keys([0], true, true),
  },
  {
    sql: "SELECT id FROM orders ORDER BY id OFFSET 3",
    why: "begun by number",
    tables: ["orders"],
    order: keys([0], true, true),
  },
  {
    sql: "SELECT id FROM orders ORDER BY id FETCH FIRST 3 ROWS WITH TIES",
    why: "cut off by the keys",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT * FROM orders ORDER BY id",
    why: "somewhere behind the star",
    tables: ["orders"],
    order: named(["id"]),
  },
  {
    sql: "SELECT o.* FROM orders o ORDER BY o.created_at, o.id",
    why: "two behind the star",
    tables: ["orders"],
    order: named(["created_at", "id"]),
  },
  {
    sql: "SELECT id AS n, * FROM orders ORDER BY n",
    why: "before the star",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT id FROM orders ORDER BY id + 1",
    why: "an expression that is not shown",
    tables: ["orders"],
    order: keys([], false),
  },
  {
    sql: "SELECT id + 1 FROM orders ORDER BY id + 1",
    why: "literals might differ, so it is not taken as the same",
    tables: ["orders"],
    order: keys([], false),
  },
  {
    sql: 'SELECT status FROM orders ORDER BY status COLLATE "C"',
    why: "a collation changes the order, not the key",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT id FROM orders UNION SELECT id FROM customers ORDER BY id",
    why: "names of the first part",
    tables: ["orders", "customers"],
    order: keys([0]),
  },
  {
    sql: "SELECT total AS t, id FROM orders UNION SELECT 1, 2 ORDER BY 2, t",
    why: "positions and names of the first part",
    tables: ["orders"],
    order: keys([1, 0]),
  },
  {
    sql: "SELECT id FROM (SELECT id FROM orders ORDER BY id) x",
    why: "an order inside promises nothing outside",
    tables: ["orders"],
  },
  {
    sql: "SELECT DISTINCT ON (customer_id) customer_id, id FROM orders ORDER BY customer_id, id",
    why: "the row of each group is named",
    tables: ["orders"],
    order: keys([0, 1]),
  },
  {
    sql: "SELECT id FROM orders ORDER BY id NULLS FIRST",
    why: "where NULLs go does not matter",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT (SELECT max(id) FROM customers) FROM orders ORDER BY 1",
    why: "a subquery as a column",
    tables: ["customers", "orders"],
    functions: ["max"],
    order: keys([0]),
  },
  {
    sql: "SELECT total::int FROM orders ORDER BY total",
    why: "a cast is named after its column",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT coalesce(total, 0) FROM orders ORDER BY coalesce",
    why: "COALESCE names its column",
    tables: ["orders"],
    order: keys([0]),
  },
  {
    sql: "SELECT id FROM orders ORDER BY random()",
    why: "shuffled",
    tables: ["orders"],
    functions: ["random"],
    noise: ["volatile"],
    order: keys([], false),
  },
  {
    sql: "WITH x AS (SELECT id FROM orders) SELECT id FROM x ORDER BY id",
    why: "after WITH",
    tables: ["orders"],
    order: keys([0]),
  },
];

function keys(columns: readonly number[], complete = true, limited = false): RowOrder {
  return { kind: "keys", columns, complete, limited };
}

function named(names: readonly string[]): RowOrder {
  return { kind: "keys", columns: [], complete: false, limited: false, names };
}
