import fc from "fast-check";
import t from "tap";
import { analyseText } from "../../src/sql/analyse-text.ts";
import { openAnalyser } from "../../src/sql/analyser.ts";
import type { Analysis } from "../../src/sql/analysis.ts";
import { openParser } from "../../src/sql/parser.ts";
import { MAX_SPANS, newShape, scanShape, type Shape } from "../../src/sql/shape.ts";
import { ORDERED_READS } from "./ordered-reads.ts";
import { READS } from "./reads.ts";
import { SESSION_STATEMENTS } from "./session-statements.ts";
import { CHANGES, WRITES } from "./writes.ts";

const analyser = await openAnalyser();
const parser = await openParser();

function analyse(sql: string | Buffer, by = analyser): Analysis {
  const bytes = Buffer.from(sql);
  return by.analyse(bytes, 0, bytes.length);
}

/** What the text means when nothing is remembered. */
function truth(sql: string): Analysis {
  return analyseText(parser, Buffer.from(sql)).analysis;
}

function shapeOf(sql: string): Shape {
  const bytes = Buffer.from(sql);
  const shape = newShape();
  scanShape(shape, bytes, 0, bytes.length);
  return shape;
}

function shapeText(sql: string): string {
  const shape = shapeOf(sql);
  return shape.exact ? sql : Buffer.from(shape.bytes.subarray(0, shape.length)).toString("latin1");
}

const TEXTS: readonly string[] = [
  ...[...READS, ...ORDERED_READS, ...WRITES, ...CHANGES, ...SESSION_STATEMENTS].map(
    (row) => row.sql,
  ),
  "SELECT a, b, c FROM t WHERE x = 1 ORDER BY 2, 1 DESC LIMIT 5",
  "SELECT a, b FROM t WHERE x IN (1, 2, 3) ORDER BY -1",
  "SELECT current_setting('port'), id FROM t WHERE name = 'x' AND n = 2",
  "SELECT set_config('app.x', 'v', true), current_setting('a' 'b')",
  "SELECT 'a'\n'b', current_setting('po'\n'rt'), 7 FROM t ORDER BY 1",
  "SELECT current_setting(E'p\\x6frt')",
  "SELECT current_setting('po\\rt')",
  "EXPLAIN (ANALYZE 'off') DELETE FROM t WHERE id = 1",
  "EXPLAIN (ANALYZE 1, BUFFERS) DELETE FROM t WHERE id = 1",
  "SET a.b = 1; SELECT 2, 3 FROM t ORDER BY 1; SELECT 4",
  "SELECT 1 FROM t ORDER BY 1; SELECT 2, 3 FROM t ORDER BY 2",
  "SELECT '\\' || x FROM t ORDER BY 1",
  "SELECT 1a, 2 ORDER BY 3",
  "WITH q AS (SELECT x FROM t ORDER BY 1) SELECT y, x FROM q ORDER BY 2",
  `SELECT ${Array.from({ length: 300 }, (_, index) => index).join(", ")} FROM t ORDER BY 300`,
];

const NUMBERS = fc.constantFrom("0", "1", "2", "3", "17", "99999999999", "1.5", "0.0", "1e5");
const WORDS = fc.constantFrom(
  "a",
  "on",
  "off",
  "",
  "port",
  "app.x",
  "TimeZone",
  "no",
  "now",
  "it''s",
  "x y",
  "transaction_read_only",
  "é",
  "42",
);

/** The text with other literals of the same kinds in the places of its own. */
function withOtherLiterals(sql: string, numbers: () => string, words: () => string): string {
  const bytes = Buffer.from(sql);
  const shape = shapeOf(sql);
  let text = "";
  let from = 0;
  for (let index = 0; index < Math.min(shape.literals, MAX_SPANS); index++) {
    const [start, end] = [shape.spans[2 * index] ?? 0, shape.spans[2 * index + 1] ?? 0];
    const literal = bytes.subarray(start, end).toString();
    text += bytes.subarray(from, start).toString();
    if (/^[\d.]+$/.test(literal)) text += numbers();
    else text += literal.startsWith("'") && !/\n/.test(literal) ? `'${words()}'` : literal;
    from = end;
  }
  return text + bytes.subarray(from).toString();
}

function kindsOf(analysis: Analysis): string {
  return analysis.statements.map((statement) => statement.kind).join();
}

void t.test("what is remembered of a shape is what each text of that shape means", async (test) => {
  let same = 0;
  fc.assert(
    fc.property(fc.constantFrom(...TEXTS), fc.gen(), (sql, gen) => {
      const other = withOtherLiterals(
        sql,
        () => gen(() => NUMBERS),
        () => gen(() => WORDS),
      );
      const found = analyse(other);
      const expected = truth(other);
      // `FETCH 1.5` has the shape of `FETCH 1`; that every server refuses it does no harm.
      if (kindsOf(expected) === "unparsable" && kindsOf(found) !== "unparsable") return;
      if (JSON.stringify(found) !== JSON.stringify(expected))
        throw new Error(`${other}\n${JSON.stringify(found)}\n${JSON.stringify(expected)}`);
      if (shapeText(other) !== shapeText(sql) || kindsOf(found) !== kindsOf(analyse(sql))) return;
      same++;
      const before = analyse(sql).statements.map((statement) => statement.fingerprint);
      const after = found.statements.map((statement) => statement.fingerprint);
      if (before.join() !== after.join()) throw new Error(`fingerprints of ${sql} and ${other}`);
    }),
    { numRuns: 2500 },
  );
  test.ok(same > 1000, `${same} texts had the shape of the one they were made from`);
});

void t.test("texts of one shape share one analysis, texts of two shapes never do", async (test) => {
  const analyses = new Map<Analysis, string>();
  for (const sql of TEXTS) {
    const analysis = analyse(sql);
    test.equal(analyse(sql), analysis, "the same object again");
    const shape = shapeText(sql);
    test.equal(analyses.get(analysis) ?? shape, shape, sql);
    analyses.set(analysis, shape);
  }
  test.equal(
    analyse("SELECT x FROM t WHERE id = 1"),
    analyse("/* 2 */ SELECT x  FROM t WHERE id =\n3"),
  );
  test.equal(
    analyse("SELECT x, y FROM t WHERE id = 1 ORDER BY 1"),
    analyse("SELECT x, y FROM t WHERE id = 2 ORDER BY 1"),
  );
  test.not(
    analyse("SELECT x, y FROM t WHERE id = 1 ORDER BY 2"),
    analyse("SELECT x, y FROM t WHERE id = 1 ORDER BY 1"),
  );
  test.not(analyse("SELECT x FROM t WHERE d > 'now'"), analyse("SELECT x FROM t WHERE d > 'then'"));
  test.not(analyse("SELECT E'\\'' FROM t"), analyse("SELECT '\\' FROM t"));
});

void t.test("a part of a buffer is analysed as if it were alone", async (test) => {
  const padded = Buffer.from("xxSELECT 5 FROM t ORDER BY 1yy");
  test.equal(analyser.analyse(padded, 2, padded.length - 2), analyse("SELECT 6 FROM t ORDER BY 1"));
});

void t.test(
  "numbers that older servers read otherwise have fingerprints of their own",
  async (test) => {
    const fingerprints = ["1000", "1_000", "0x1F", "0o17", "0b1"].map(
      (number) => analyse(`SELECT ${number} FROM t`).statements[0]?.fingerprint,
    );
    test.equal(new Set(fingerprints).size, 5, "five notations, five fingerprints");
    test.equal(
      analyse("SELECT 0x2 FROM t").statements[0]?.fingerprint,
      fingerprints[2],
      "whatever the digits",
    );
  },
);

void t.test(
  "fingerprints overlook white space, case, the length of lists and parameters",
  async (test) => {
    const table: readonly [one: string, other: string][] = [
      ["SELECT a FROM t WHERE id = 1", "select  A from T where ID = 'x' -- c"],
      ["SELECT a FROM t WHERE id IN (1)", "SELECT a FROM t WHERE id IN (1, 2, 3)"],
      ["SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = $1"],
      ["INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES ($1, $2)"],
      ["SELECT 1a", "SELECT 2a"],
      ["NOTIFY a, 'x'", "NOTIFY a, 'y'"],
      ["COPY t FROM '/tmp/x'", "COPY t FROM '/tmp/y'"],
      ["CREATE ROLE r PASSWORD 'x'", "CREATE ROLE r PASSWORD 'y'"],
      ["DO 'x'", "DO $$ y $$"],
      ["SELECT a::float(3)", "SELECT a::float(4)"],
      ["SELECT E'a\\'b', B'01', X'1f', U&'x' FROM t", "SELECT E'c', B'11', X'2f', U&'y' FROM t"],
      ["SET app.x = 'a'", "SET app.x = 'b'"],
    ];
    for (const [one, other] of table)
      test.equal(
        analyse(one).statements[0]?.fingerprint,
        analyse(other).statements[0]?.fingerprint,
        other,
      );
  },
);

void t.test("no text makes it throw", async (test) => {
  const mutated = fc
    .tuple(
      fc.constantFrom(...TEXTS),
      fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.nat(2)), { maxLength: 4 }),
    )
    .map(([sql, edits]) => {
      let bytes = Buffer.from(sql);
      for (const [place, byte, edit] of edits) {
        const at = place % (bytes.length + 1);
        const inserted = edit === 0 ? Buffer.alloc(0) : Buffer.from([byte]);
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          inserted,
          bytes.subarray(at + (edit === 1 ? 0 : 1)),
        ]);
      }
      return bytes;
    });
  const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  const soup = fc
    .array(
      fc.constantFrom(
        "select ",
        "from ",
        "(",
        ")",
        ",",
        "'",
        "E'",
        "\\",
        "$$",
        "$1",
        '"',
        "/*",
        "*/",
        "--",
        "\n",
        ";",
        "1",
        "a ",
        "order by ",
        "with ",
      ),
      { maxLength: 40 },
    )
    .map((words) => Buffer.from(words.join("")));
  fc.assert(
    fc.property(fc.oneof(mutated, random, soup), (bytes) => {
      const { statements } = analyse(bytes);
      return (
        statements.length > 0 &&
        statements.every(
          ({ fingerprint, normalised }) =>
            /^[0-9a-f]{16}$/.test(fingerprint) && Buffer.byteLength(normalised) <= 4096,
        )
      );
    }),
    { numRuns: 4000 },
  );
  test.pass("and each has its statements");
});

void t.test("what is remembered is bounded, and right when it is forgotten", async (test) => {
  const small = await openAnalyser({ maxShapes: 4, maxCacheBytes: 60_000 });
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 40; index++) {
      const sql = `SELECT c${index} FROM t${index} ORDER BY ${round + 1}`;
      test.same(analyse(sql, small), truth(sql), sql);
    }
  }
});
