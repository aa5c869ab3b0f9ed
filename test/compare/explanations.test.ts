/** What a finding says to the person who reads it. */
import { Buffer } from "node:buffer";
import t from "tap";
import { DIFFERENCE_REASONS, INCOMPARABLE_REASONS } from "../../src/compare/verdict.ts";
import { compareFrames, orderedBy, selectAnswer } from "./answers.ts";
import type { CellSpec } from "./answers.ts";
import { ID, NAME, failed, one, pairsOf, rowsOf } from "./cases.ts";

const OIDS = {
  int4: 23,
  numeric: 1700,
  float4: 700,
  float8: 701,
  text: 25,
  bpchar: 1042,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  bytea: 17,
  jsonb: 3802,
  _int4: 1007,
  record: 2249,
  tstzrange: 3910,
  regclass: 2205,
  widget: 16_400,
  nobody_knows: 16_999,
} as const;
const names = (oid: number): string | undefined => (oid === OIDS.widget ? "widget" : undefined);

function sentence(type: keyof typeof OIDS, primary: CellSpec, shadow: CellSpec): string {
  const format = Buffer.isBuffer(primary) ? 1 : 0;
  const column = { name: "v", oid: OIDS[type], format } as const;
  const parts = { primaryTypes: names, shadowTypes: names };
  const verdict = compareFrames(one(primary, column), one(shadow, column), parts);
  if (verdict.kind === "match" || verdict.kind === "incomparable") return verdict.kind;
  return verdict.finding.explanation;
}

const SENTENCES: readonly (readonly [keyof typeof OIDS, CellSpec, CellSpec, string])[] = [
  ["int4", "1000", "1001", 'A number differs in column "v" (int4): by exactly one.'],
  [
    "int4",
    "-5",
    "5",
    'A number differs in column "v" (int4): one is the other with the opposite sign.',
  ],
  ["int4", "5", "7", 'A number differs in column "v" (int4).'],
  [
    "numeric",
    "2.345",
    "2.35",
    'A number differs in column "v" (numeric): one is the other, rounded to fewer digits.',
  ],
  [
    "numeric",
    "2.349",
    "2.34",
    'A number differs in column "v" (numeric): one is the other, cut to fewer digits.',
  ],
  [
    "numeric",
    "2.5",
    "3",
    'A number differs in column "v" (numeric): one is the other, rounded to fewer digits.',
  ],
  [
    "numeric",
    "1.50",
    "1.5",
    'The same number, written with another scale in column "v" (numeric).',
  ],
  [
    "float8",
    "0.1",
    "0.10000000000000002",
    'A floating-point number differs only after the 15th digit in column "v" (float8): the two are neighbours among representable numbers.',
  ],
  [
    "float8",
    "0.1",
    "0.10000000000000001",
    'A floating-point number differs only after the 15th digit in column "v" (float8): one number, written with more or fewer digits.',
  ],
  [
    "float4",
    "0.33333334",
    "0.333333",
    'A floating-point number differs only after the 6th digit in column "v" (float4): the two are 12 representable numbers apart.',
  ],
  [
    "float8",
    "0",
    "-0",
    'The same value, written differently in column "v" (float8): zero, with a minus sign on one side only.',
  ],
  ["text", null, "", 'NULL on one side, an empty text on the other in column "v" (text).'],
  ["text", "x", null, 'NULL on one side, a value on the other in column "v" (text).'],
  ["text", "abc", "ABC", 'A text differs in case only in column "v" (text).'],
  ["text", "abc", "abc ", 'A text differs in trailing spaces only in column "v" (text).'],
  [
    "text",
    "abcdef",
    "abc",
    'A text differs in column "v" (text): one is the beginning of the other.',
  ],
  ["text", "a\r\nb", "a\nb", 'A text differs in column "v" (text): in spaces and line ends only.'],
  [
    "text",
    "é",
    "e\u0301",
    'A text differs in column "v" (text): the same characters, composed differently.',
  ],
  [
    "text",
    "é",
    "Ã©",
    `A text differs in column "v" (text): one is the other's UTF-8 read as Latin-1.`,
  ],
  ["text", "abc", "xyz", 'A text differs in column "v" (text).'],
  ["bpchar", "ab  ", "ab", 'The same text, padded to another length in column "v" (bpchar).'],
  ["date", "2024-02-29", "2024-03-01", 'A date differs in column "v" (date): by exactly one day.'],
  [
    "date",
    "2024-02-29",
    "29.02.2024",
    'The same date, written in another style in column "v" (date).',
  ],
  ["time", "10:00:00", "11:00:00", 'A time of day differs in column "v" (time).'],
  [
    "timestamp",
    "2024-01-15 10:00:00",
    "2024-01-15 15:30:00",
    'A point in time differs in column "v" (timestamp): by exactly 05:30 hours, as another time zone makes it.',
  ],
  [
    "timestamp",
    "2024-01-15 10:00:00.123",
    "2024-01-15 10:00:00",
    'A point in time differs in column "v" (timestamp): in the fraction of a second only.',
  ],
  [
    "timestamptz",
    "2024-01-15 10:00:00+00",
    "2024-01-15 12:00:00+02",
    'The same instant, written in another time zone in column "v" (timestamptz).',
  ],
  [
    "interval",
    "1 mon",
    "P1M",
    'The same interval, written in another style in column "v" (interval).',
  ],
  ["bytea", "\\x61", "a", 'The same binary data, written in another format in column "v" (bytea).'],
  [
    "jsonb",
    '{"a": 1}',
    '{"a": 1.0}',
    'The same JSON document, written differently in column "v" (jsonb).',
  ],
  [
    "_int4",
    "{1,2}",
    "{1,2,3}",
    'An array differs in column "v" (_int4): 2 elements on the primary, 3 on the shadow.',
  ],
  [
    "_int4",
    "{1,2}",
    "{1,NULL}",
    'An array differs in column "v" (_int4): element 2: NULL on one side, a value on the other.',
  ],
  ["record", "(1,a)", "(1,b)", 'A value differs in column "v" (record): field 2: a value differs.'],
  [
    "tstzrange",
    '["2024-01-15 10:00:00+00",)',
    '["2024-01-15 11:00:00+00",)',
    'A value differs in column "v" (tstzrange): bound 1: a point in time differs.',
  ],
  [
    "regclass",
    "orders",
    "shop.orders",
    'A value differs in column "v" (regclass): one is the other with a schema in front, as another search_path makes it.',
  ],
  [
    "widget",
    "a",
    "b",
    'A value differs in column "v" (widget): compared as bytes, because widget is not known to Twinwire.',
  ],
  [
    "widget",
    Buffer.from([1, 2]),
    Buffer.from([1, 3]),
    'A value differs in column "v" (widget): compared as bytes, because widget is not known to Twinwire.',
  ],
  [
    "nobody_knows",
    Buffer.from([1, 2]),
    Buffer.from([1, 3]),
    'A value differs in column "v": compared as bytes, because a type with oid 16999 is not known to Twinwire.',
  ],
];

await t.test("a difference of two values is explained in a sentence", (test) => {
  for (const [type, primary, shadow, expected] of SENTENCES) {
    test.equal(sentence(type, primary, shadow), expected);
  }
  test.end();
});

await t.test("rows, orders and errors are explained in a sentence", (test) => {
  const texts = (...values: readonly string[]): Buffer =>
    selectAnswer(
      [NAME],
      values.map((value) => [value]),
    );
  const byName = { statements: [orderedBy([0])] };
  const cases = [
    [
      rowsOf("1", "2"),
      rowsOf("2", "1"),
      {},
      "The same rows in another order, and the statement asks for none.",
    ],
    [
      rowsOf("1", "2"),
      rowsOf("2", "1"),
      byName,
      'The same rows, in another order than the statement asks for in column "id" (int4).',
    ],
    [
      texts("Anna", "Berta", "anna"),
      texts("anna", "Anna", "Berta"),
      byName,
      'Sorted by another collation in column "name" (text): the primary sorts by bytes (C), the shadow as a dictionary does.',
    ],
    [
      rowsOf("1", "2"),
      rowsOf("1"),
      {},
      "The answers have a different number of rows: 2 on the primary, 1 on the shadow.",
    ],
    [
      pairsOf([ID, NAME], "1 a", "2 b"),
      pairsOf([ID, NAME], "1 a", "7 x"),
      {},
      "Rows of the primary are missing on the shadow: 1 of 2.",
    ],
    [rowsOf("1"), failed("42P01"), {}, "The primary answered, the shadow failed: SQLSTATE 42P01."],
    [
      failed("22023"),
      failed("54000"),
      {},
      "Both failed, with different SQLSTATEs: SQLSTATE 22023 on the primary, 54000 on the shadow.",
    ],
  ] as const;
  for (const [primary, shadow, parts, expected] of cases) {
    const verdict = compareFrames(primary, shadow, parts);
    const found = verdict.kind === "divergent" || verdict.kind === "tolerated";
    test.equal(found && verdict.finding.explanation, expected);
  }
  test.end();
});

await t.test("every reason has a clause of its own that goes on after a capital", (test) => {
  const clauses = [...Object.values(DIFFERENCE_REASONS), ...Object.values(INCOMPARABLE_REASONS)];
  for (const clause of clauses) {
    test.match(clause, /^(?:[a-z]|NULL|LIMIT)/, clause);
    test.notMatch(clause, /[.;]$/, clause);
  }
  test.equal(new Set(clauses).size, clauses.length, "no two say the same");
  test.end();
});
