/** Which rows a LIMIT leaves is determined where a unique key says so, and only there. */
import { Buffer } from "node:buffer";
import t from "tap";
import { openAnalyser } from "../../src/sql/analyser.ts";
import { adviceOf, withRelations } from "../../src/sql/relation-catalogue.ts";
import type { RelationCatalogue } from "../../src/sql/relation-catalogue.ts";
import type { Statement } from "../../src/sql/statement.ts";

const analyser = await openAnalyser();

/** Two tables with keys, a view that hides a LIMIT, a sequence; nothing is known of others. */
const KEYS = new Map([
  ["orders", [["id"], ["shop", "number"]]],
  ["events", []],
]);
const RELATIONS: RelationCatalogue = {
  hasKey: (table, columns) =>
    KEYS.get(table)?.some((key) => key.every((column) => columns.has(column))),
  noise: (name) => (name === "latest" ? ["underspecified"] : name === "numbers" ? ["server"] : []),
};

function known(sql: string): Statement {
  const text = Buffer.from(sql);
  const [statement] = analyser.analyse(text, 0, text.length).statements;
  if (statement === undefined) throw new Error(`no statement in ${sql}`);
  return withRelations(statement, RELATIONS);
}

type Row = {
  readonly why: string;
  readonly sql: string;
  /** What it leaves open. */
  readonly open: "nothing" | "rows" | "ties";
};

const ROWS: readonly Row[] = [
  { why: "the key is given", sql: "select * from orders where id = $1 limit 1", open: "nothing" },
  {
    why: "whatever the driver writes around it",
    sql: `select "orders".* from "orders" where "orders"."id" = 7::bigint and status <> 'x' limit 1`,
    open: "nothing",
  },
  {
    why: "both columns of a key are given",
    sql: "select note from orders o where 5 = o.number and o.shop = $1 limit 1",
    open: "nothing",
  },
  {
    why: "one of two columns is no key",
    sql: "select note from orders where shop = $1 limit 1",
    open: "rows",
  },
  {
    why: "either of two rows may come first",
    sql: "select note from orders where id = 1 or id = 2 limit 1",
    open: "rows",
  },
  {
    why: "a list is not one value",
    sql: "select note from orders where id in (1, 2) limit 1",
    open: "rows",
  },
  {
    why: "compared with something of the row itself",
    sql: "select note from orders where id = parent limit 1",
    open: "rows",
  },
  {
    why: "a function may give another value for each row",
    sql: "select note from orders where id = floor(random() * 9) limit 1",
    open: "rows",
  },
  {
    why: "a join may have many rows for one",
    sql: "select o.note from orders o join events e on e.ref = o.id where o.id = 1 limit 1",
    open: "rows",
  },
  {
    why: "a function in the output may have many rows for one",
    sql: "select unnest(tags) from orders where id = 1 limit 1",
    open: "rows",
  },
  {
    why: "a limit of its own is inside",
    sql: "select (select note from events limit 1) from orders where id = 1 limit 1",
    open: "rows",
  },
  {
    why: "the table has no key",
    sql: "select note from events where id = 1 limit 1",
    open: "rows",
  },
  {
    why: "nothing is known of the table",
    sql: "select note from elsewhere where id = 1 limit 1",
    open: "rows",
  },
  { why: "sorted by the key", sql: "select note from orders order by id limit 3", open: "nothing" },
  {
    why: "sorted by the key last",
    sql: "select note from orders order by total desc, id limit 3",
    open: "nothing",
  },
  {
    why: "one column of the key is given, the other sorts",
    sql: "select note from orders where shop = 1 order by number limit 3",
    open: "nothing",
  },
  {
    why: "sorted by a position",
    sql: "select id, note from orders order by 1 limit 3",
    open: "nothing",
  },
  {
    why: "sorted by what may be tied",
    sql: "select id, note from orders order by total limit 3",
    open: "ties",
  },
  {
    why: "a name in the output comes before a column",
    sql: "select total as id, note from orders order by id limit 3",
    open: "ties",
  },
  {
    why: "a position behind a star",
    sql: "select *, id from orders order by 2 limit 3",
    open: "ties",
  },
  {
    why: "a table of which nothing is known",
    sql: "select id from elsewhere order by id limit 3",
    open: "nothing",
  },
  { why: "a view that hides a limit", sql: "select * from latest", open: "rows" },
];

for (const { why, sql, open } of ROWS) {
  await t.test(`${why}: ${sql}`, (test) => {
    const advice = adviceOf(known(sql));
    const expected = { nothing: [], rows: ["underspecified"], ties: ["ties"] }[open];
    test.same(advice, expected);
    test.end();
  });
}

await t.test("a page in a total order is compared row by row", (test) => {
  const page = known("select id, note from orders order by total, id limit 3");
  test.match(page.order, { kind: "keys", limited: false });
  const tied = known("select id, note from orders order by total limit 3");
  test.match(tied.order, { kind: "keys", limited: true });
  test.end();
});

await t.test("the state of a sequence belongs to one server", (test) => {
  test.same(known("select last_value from numbers").noise, ["server"]);
  test.end();
});

await t.test("a statement of which nothing more is known stays the same object", (test) => {
  const text = Buffer.from("select id from orders where id = 1");
  const [statement] = analyser.analyse(text, 0, text.length).statements;
  test.ok(statement);
  if (statement !== undefined) test.equal(withRelations(statement, RELATIONS), statement);
  test.end();
});
