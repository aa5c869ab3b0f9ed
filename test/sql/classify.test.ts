import t from "tap";
import { type Analyser, openAnalyser } from "../../src/sql/analyser.ts";
import type { Statement } from "../../src/sql/statement.ts";
import type { Expected } from "./expected.ts";
import { ORDERED_READS } from "./ordered-reads.ts";
import { READS } from "./reads.ts";
import { SESSION_STATEMENTS } from "./session-statements.ts";
import { CHANGES, WRITES } from "./writes.ts";

const analyser = await openAnalyser();

function only(sql: string, from: Analyser = analyser): Statement {
  const bytes = Buffer.from(sql);
  const { statements } = from.analyse(bytes, 0, bytes.length);
  const [statement] = statements;
  if (statement === undefined || statements.length > 1)
    throw new Error(`${statements.length} statements in ${sql}`);
  return statement;
}

function facts(statement: Statement): object {
  const { kind, looksLike, tables, written, functions, effects, noise, order } = statement;
  return {
    kind,
    looksLike,
    tables,
    written,
    functions,
    effects,
    noise,
    order,
  };
}

function expectedFacts(row: Expected): object {
  const kind = row.kind ?? "read";
  return {
    kind,
    looksLike: kind === "read" ? "read" : "other",
    tables: row.tables ?? [],
    written: row.written ?? [],
    functions: row.functions ?? [],
    effects: row.effects ?? [],
    noise: row.noise ?? [],
    order: row.order ?? { kind: "any" },
  };
}

for (const [name, rows] of [
  ["a read is known with its tables, functions and noise", READS],
  ["a sorted read is known with the columns its order is on", ORDERED_READS],
  ["a write is known with what it writes", WRITES],
  ["a change of the schema is known with what it changes", CHANGES],
  ["what concerns the session is known with its effects", SESSION_STATEMENTS],
] as const) {
  void t.test(name, async (test) => {
    for (const row of rows)
      test.same(facts(only(row.sql)), expectedFacts(row), `${row.sql} (${row.why})`);
  });
}

void t.test("PREPARE and DECLARE carry the statement they keep", async (test) => {
  const table: readonly [sql: string, body: string, why: string][] = [
    ["PREPARE p AS SELECT 1", "SELECT 1", "plain"],
    ['prepare "a as b" as select id from orders', "select id from orders", "a name with AS in it"],
    ["PREPARE p (int, numeric(10, 2)) AS DELETE FROM orders", "DELETE FROM orders", "types"],
    [
      "/* x as y */ PREPARE p--\n AS/**/SELECT id FROM orders ORDER BY id",
      "SELECT id FROM orders ORDER BY id",
      "comments",
    ],
    ["PREPARE p AS(SELECT 1)", "(SELECT 1)", "parentheses"],
    [
      "DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY 1",
      "SELECT id FROM orders ORDER BY 1",
      "a cursor",
    ],
    ["DECLARE c NO SCROLL CURSOR WITHOUT HOLD FOR VALUES (1)", "VALUES (1)", "options"],
    [
      'DECLARE "for" BINARY CURSOR FOR SELECT 1 FROM orders FOR UPDATE',
      "SELECT 1 FROM orders FOR UPDATE",
      "two FORs and a name",
    ],
  ];
  for (const [sql, body, why] of table) {
    const found = only(sql).body;
    test.same(found && facts(found), facts(only(body)), `${sql} (${why})`);
    test.equal(found?.fingerprint, only(body).fingerprint, "and its fingerprint");
  }
  test.equal(only("SELECT 1").body, undefined, "others have none");
});

void t.test("what the parser refuses is told by its words", async (test) => {
  const table: readonly [sql: string, looksLike: string, more: Partial<Statement>][] = [
    ["SELECT 123abc", "read", {}],
    ["(select 123abc)", "read", {}],
    [
      "SELECT 1a FROM Orders o JOIN sales.regions r ON true",
      "read",
      { tables: ["orders", "sales.regions"] },
    ],
    ["SELECT 1a, lower('x'), public.touch(1)", "read", { functions: ["lower", "public.touch"] }],
    [
      "SELECT 1a, now() ORDER BY 1",
      "read",
      { noise: ["clock"], order: { kind: "keys", columns: [], complete: false, limited: false } },
    ],
    ["SELECT 1a FROM orders LIMIT 1", "read", { tables: ["orders"], noise: ["underspecified"] }],
    ["SELECT 1a;", "read", {}],
    ["SELECT 'update' || 1a", "read", {}],
    ["SELECT 1a -- ; delete", "read", {}],
    ["SELECT 1a; DELETE FROM orders", "other", {}],
    ["SELECT 1a FROM orders FOR UPDATE", "other", {}],
    ["SELECT 1a INTO x", "other", {}],
    ["WITH x AS (DELETE FROM orders RETURNING 1a) SELECT 1", "other", {}],
    ["WITH x AS (SELECT 1a) SELECT * FROM x", "read", {}],
    ["UPDATE orders SET id = 1a", "other", { tables: ["orders"], written: ["orders"] }],
    ["INSERT INTO orders (id) VALUES (1a)", "other", { tables: ["orders"], written: ["orders"] }],
    ["gibberish", "other", {}],
    ["SELECT 'open", "other", {}],
    ["SELECT /* open", "other", {}],
    ["SELECT $$ open", "other", {}],
    ['SELECT "open', "other", {}],
    ["\u0000", "other", {}],
    ["SELECT 1\u0000; DROP TABLE orders", "other", {}],
  ];
  for (const [sql, looksLike, more] of table) {
    const statement = only(sql);
    test.equal(statement.kind, "unparsable", sql);
    test.equal(statement.looksLike, looksLike, "reads or not");
    test.match(statement, more, "and what else its words tell");
    test.match(statement.fingerprint, /^[0-9a-f]{16}$/, "it has a fingerprint");
  }
});

void t.test(
  "a text too long or too deep for the parser is unparsable, and nothing is broken after it",
  async (test) => {
    const small = await openAnalyser({ maxTextBytes: 1000 });
    test.match(only(`SELECT ${"1,".repeat(600)} 1`, small), {
      kind: "unparsable",
      looksLike: "read",
    });
    test.match(only(`INSERT INTO orders VALUES ('${"x".repeat(2000)}')`, small), {
      kind: "unparsable",
      written: ["orders"],
    });
    test.equal(only("SELECT 1", small).kind, "read");

    // The package's own functions stop returning after about twenty texts like these.
    const deep = await openAnalyser();
    for (let extra = 0; extra < 40; extra++) {
      test.equal(only(`SELECT 1${" + 1".repeat(20_000 + extra)}`, deep).kind, "unparsable");
      let after = only("SELECT id FROM orders", deep);
      for (
        const deadline = Date.now() + 10_000;
        after.kind === "unparsable" && Date.now() < deadline;
      ) {
        await new Promise((resolve) => setImmediate(resolve));
        after = only("SELECT id FROM orders", deep);
      }
      test.equal(after.kind, "read", "the parser is back");
    }
    for (const text of [
      `SELECT ${"(".repeat(60_000)}`,
      `SELECT ${"NOT ".repeat(3000)} true`,
      `SELECT ${"CASE WHEN a THEN ".repeat(700)} 1 ${" END".repeat(700)}`,
    ])
      test.ok(only(text, deep).kind.length > 0, "deep texts of other kinds end too");
  },
);

void t.test("a query string of several statements has one analysis for each", async (test) => {
  const sql =
    "BEGIN; /* é */ SELECT 'ü' FROM orders WHERE id = 5; ;INSERT INTO orders (id) VALUES (1);COMMIT";
  const bytes = Buffer.from(`xx${sql}yy`);
  const { statements } = analyser.analyse(bytes, 2, bytes.length - 2);
  test.same(
    statements.map(({ kind, normalised }) => [kind, normalised]),
    [
      ["transaction", "BEGIN"],
      ["read", "SELECT $1 FROM orders WHERE id = $2"],
      ["write", "INSERT INTO orders (id) VALUES ($1)"],
      ["transaction", "COMMIT"],
    ],
  );
  test.equal(
    statements[1]?.fingerprint,
    only("select 'x' from orders where id = 1").fingerprint,
    "each has its own fingerprint",
  );
  const settings = analyser.analyse(Buffer.from("SET a.b = 'é';SET a.c = 'x'"), 0, 28).statements;
  test.same(
    settings.map(({ effects }) => effects[0]),
    [
      { type: "set", name: "a.b", local: false, sql: "SET a.b = 'é'" },
      { type: "set", name: "a.c", local: false, sql: "SET a.c = 'x'" },
    ],
  );
});

void t.test("texts in other client encodings are understood as far as ASCII goes", async (test) => {
  const latin1 = Buffer.from(
    "SELECT 'caf\xe9' FROM caf\xe9 WHERE name = 'M\xfcller' ORDER BY 1",
    "latin1",
  );
  const { statements } = analyser.analyse(latin1, 0, latin1.length);
  test.match(statements, [{ kind: "read", order: { kind: "keys", columns: [0] } }]);
  const set = Buffer.from("SET app.x = 'M\xfcller'", "latin1");
  test.match(
    analyser.analyse(set, 0, set.length).statements[0]?.effects,
    [{ sql: "SET app.x = 'Müller'" }],
    "one character for each byte",
  );
});
