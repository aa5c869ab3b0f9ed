import { Buffer } from "node:buffer";
import t from "tap";
import { compareObservations, openComparer } from "../../src/compare/compare.ts";
import type { LostReason, Observation } from "../../src/compare/observation.ts";
import { DIFFERENCE_REASONS } from "../../src/compare/verdict.ts";
import type { Verdict } from "../../src/compare/verdict.ts";
import { isGraver } from "../../src/compare/weight.ts";
import type { Noise } from "../../src/sql/statement.ts";
import {
  answered,
  commandComplete,
  compareFrames,
  context,
  dataRow,
  errorResponse,
  frame,
  inWords,
  readyForQuery,
  rowDescription,
  selectAnswer,
  statement,
} from "./answers.ts";
import type { ColumnSpec } from "./answers.ts";
import { ID, INT4, NAME, PRICE, TEXT, check, done, failed, one, pairsOf, rowsOf } from "./cases.ts";

const VARCHAR = 1043;
const NUMERIC = 1700;
const TIMESTAMPTZ = 1184;
const notice = frame("N", Buffer.from("SNOTICE\0C00000\0Mhello\0\0"));
const parameterStatus = frame("S", Buffer.from("TimeZone\0UTC\0"));
const parameters = (...oids: readonly number[]): Buffer => {
  const body = Buffer.alloc(2 + oids.length * 4);
  body.writeUInt16BE(oids.length);
  for (const [index, oid] of oids.entries()) body.writeUInt32BE(oid, 2 + index * 4);
  return frame("t", body);
};

await check("what is no part of an answer is not compared", [
  {
    why: "the same bytes",
    primary: one("1"),
    shadow: one("1"),
    expected: "match",
  },
  {
    why: "another table oid",
    primary: one("1", { ...ID, table: 16_390 }),
    shadow: one("1", { ...ID, table: 20_001 }),
    expected: "match",
  },
  {
    why: "a notice on one side",
    primary: Buffer.concat([notice, one("1")]),
    shadow: one("1"),
    expected: "match",
  },
  {
    why: "a parameter status in another place",
    primary: Buffer.concat([parameterStatus, one("1")]),
    shadow: Buffer.concat([one("1").subarray(0, -6), parameterStatus, readyForQuery()]),
    expected: "match",
  },
  {
    why: "an empty query on both",
    primary: Buffer.concat([frame("I", Buffer.alloc(0)), readyForQuery()]),
    shadow: Buffer.concat([frame("I", Buffer.alloc(0)), readyForQuery()]),
    expected: "match",
  },
]);

await check("columns are compared by name, type and number", [
  {
    why: "another name",
    primary: one("1", { name: "_000", oid: INT4 }),
    shadow: one("1000", { name: "?column?", oid: INT4 }),
    expected: "divergent column_name",
  },
  {
    why: "another number of columns",
    primary: selectAnswer([ID], [["1"]]),
    shadow: selectAnswer([ID, NAME], [["1", "a"]]),
    expected: "divergent column_count",
  },
  {
    why: "another type altogether",
    primary: one("1", { name: "v", oid: INT4 }),
    shadow: one("1", { name: "v", oid: TEXT }),
    expected: "divergent column_type",
  },
  {
    why: "another type of the same family, the same value",
    primary: one("1", { name: "v", oid: INT4 }),
    shadow: one("1", { name: "v", oid: 20 }),
    expected: "tolerated column_type_alias",
  },
  {
    why: "another type of the same family in binary",
    primary: one(Buffer.from([0, 0, 0, 7]), { name: "v", oid: INT4, format: 1 }),
    shadow: one(Buffer.from([0, 0, 0, 0, 0, 0, 0, 7]), { name: "v", oid: 20, format: 1 }),
    expected: "tolerated column_type_alias",
  },
  {
    why: "another type of the same family, another value",
    primary: one("1", { name: "v", oid: INT4 }),
    shadow: one("2", { name: "v", oid: 20 }),
    expected: "divergent column_type",
  },
  {
    why: "another length, the same value",
    primary: one("a", { name: "v", oid: VARCHAR, modifier: 14 }),
    shadow: one("a", { name: "v", oid: VARCHAR, modifier: 24 }),
    expected: "tolerated column_type_alias",
  },
  {
    why: "another length, another value",
    primary: one("a", { name: "v", oid: VARCHAR, modifier: 14 }),
    shadow: one("b", { name: "v", oid: VARCHAR, modifier: 24 }),
    expected: "divergent text_value",
  },
  {
    why: "an enum with another oid",
    primary: one("happy", { name: "v", oid: 16_400 }),
    shadow: one("happy", { name: "v", oid: 17_400 }),
    expected: "match",
    parts: { primaryTypes: () => "mood", shadowTypes: () => "mood" },
  },
  {
    why: "the same oid of another type",
    primary: one("happy", { name: "v", oid: 16_400 }),
    shadow: one("happy", { name: "v", oid: 16_400 }),
    expected: "divergent column_type",
    parts: { primaryTypes: () => "mood", shadowTypes: () => "colour" },
  },
  {
    why: "types that nobody knows are compared by their values",
    primary: one("happy", { name: "v", oid: 16_400 }),
    shadow: one("sad", { name: "v", oid: 17_400 }),
    expected: "divergent value",
  },
  {
    why: "values of a type unknown to us, in text on one side and in binary on the other",
    primary: one("happy", { name: "v", oid: 16_400 }),
    shadow: one(Buffer.from([1, 2]), { name: "v", oid: 17_400, format: 1 }),
    expected: "incomparable unknown_type",
  },
  {
    why: "unless they are the same bytes",
    primary: one("happy", { name: "v", oid: 16_400 }),
    shadow: one(Buffer.from("happy"), { name: "v", oid: 17_400, format: 1 }),
    expected: "match",
  },
  {
    why: "of two catalogues, the one that was read already says how both are read",
    primary: one("{1.50}", { name: "v", oid: 16_400 }),
    shadow: one("{1.5}", { name: "v", oid: 17_400 }),
    expected: "tolerated numeric_scale",
    parts: {
      shadowTypes: (oid) => (oid === 17_400 ? "_cents" : undefined),
      shadowShapes: (oid) => {
        if (oid === 17_400) return { kind: "array", parts: [17_401] };
        return oid === 17_401 ? { kind: "domain", parts: [1700] } : undefined;
      },
    },
  },
  {
    why: "parameters of another type",
    primary: Buffer.concat([parameters(INT4), frame("n", Buffer.alloc(0)), readyForQuery()]),
    shadow: Buffer.concat([parameters(20), frame("n", Buffer.alloc(0)), readyForQuery()]),
    expected: "divergent column_type",
  },
  {
    why: "parameters of a user's type with another oid",
    primary: Buffer.concat([parameters(16_400), rowDescription([ID]), readyForQuery()]),
    shadow: Buffer.concat([parameters(17_400), rowDescription([ID]), readyForQuery()]),
    expected: "match",
  },
  {
    why: "a described statement with another column",
    primary: Buffer.concat([parameters(), rowDescription([ID]), readyForQuery()]),
    shadow: Buffer.concat([parameters(), rowDescription([PRICE]), readyForQuery()]),
    expected: "divergent column_name",
  },
]);

await check("errors are compared by SQLSTATE", [
  {
    why: "both fail alike with other words",
    primary: failed("42P01", "I", 'relation "a" does not exist'),
    shadow: failed("42P01", "I", "no such relation"),
    expected: "match",
  },
  {
    why: "both fail differently",
    primary: failed("42P01"),
    shadow: failed("42883"),
    expected: "divergent error_code",
  },
  {
    why: "a side fails in the middle of its rows",
    primary: selectAnswer([ID], [["1"], ["2"]]),
    shadow: Buffer.concat([rowDescription([ID]), dataRow(["1"]), failed("22012")]),
    expected: "divergent error_on_shadow",
  },
  {
    why: "a one-sided error outweighs the transaction status that comes of it",
    primary: Buffer.concat([one("1").subarray(0, -6), readyForQuery("T")]),
    shadow: failed("42P01", "E"),
    expected: "divergent error_on_shadow",
  },
  {
    why: "the shadow is read-only",
    primary: done("INSERT 0 1"),
    shadow: failed("25006", "E"),
    expected: "incomparable read_only",
  },
  {
    why: "the shadow is read-only, and the primary fails",
    primary: failed("23505", "E"),
    shadow: failed("25006", "E"),
    expected: "incomparable read_only",
  },
  {
    why: "a deadlock beside another error: nobody knows what the shadow would have said",
    primary: failed("23505"),
    shadow: failed("40P01"),
    expected: "incomparable transient_error",
  },
  {
    why: "two passing failures of different names",
    primary: failed("40001"),
    shadow: failed("55P03"),
    expected: "incomparable transient_error",
  },
  {
    why: "both are told that their transaction has failed",
    primary: failed("25P02", "E"),
    shadow: failed("25P02", "E"),
    expected: "match",
  },
  {
    why: "one of them is told so, the other fails anew",
    primary: failed("25P02", "E"),
    shadow: failed("22012", "E"),
    expected: "incomparable failed_transaction",
  },
  {
    why: "both fail, and the transaction has failed on one side only",
    primary: failed("22012", "E"),
    shadow: failed("22012", "T"),
    expected: "divergent transaction_status",
  },
  {
    why: "a session that idled too long in its transaction",
    primary: one("1"),
    shadow: failed("25P03"),
    expected: "incomparable transient_error",
  },
  {
    why: "an earlier statement had failed on one side",
    primary: one("1"),
    shadow: failed("25P02", "E"),
    expected: "incomparable failed_transaction",
  },
  {
    why: "a deadlock",
    primary: done("UPDATE 1"),
    shadow: failed("40P01"),
    expected: "incomparable transient_error",
  },
  {
    why: "a server that is shutting down",
    primary: done("UPDATE 1"),
    shadow: Buffer.from(errorResponse("57P01", "terminating connection")),
    expected: "incomparable transient_error",
  },
]);

await check("a batch is compared statement by statement", [
  {
    why: "the same tags",
    primary: Buffer.concat([commandComplete("BEGIN"), done("COMMIT")]),
    shadow: Buffer.concat([commandComplete("BEGIN"), done("COMMIT")]),
    expected: "match",
  },
  {
    why: "another number of rows affected",
    primary: done("UPDATE 2"),
    shadow: done("UPDATE 1"),
    expected: "divergent command_tag",
  },
  {
    why: "the gravest difference is reported, not the first",
    primary: Buffer.concat([commandComplete("UPDATE 1"), done("UPDATE 1")]),
    shadow: Buffer.concat([commandComplete("UPDATE 2"), failed("22012")]),
    expected: "divergent error_on_shadow",
  },
  {
    why: "a result too many",
    primary: Buffer.concat([commandComplete("UPDATE 1"), done("UPDATE 1")]),
    shadow: done("UPDATE 1"),
    expected: "divergent statement_count",
  },
  {
    why: "a transaction left open",
    primary: done("SELECT 1", "T"),
    shadow: done("SELECT 1", "I"),
    expected: "divergent transaction_status",
  },
  {
    why: "one statement says nothing, another differs",
    primary: Buffer.concat([one("1").subarray(0, -6), done("UPDATE 1")]),
    shadow: Buffer.concat([one("2").subarray(0, -6), done("UPDATE 2")]),
    expected: "divergent command_tag",
    parts: { statements: [statement({ noise: ["clock"] }), statement({ kind: "write" })] },
  },
]);

await t.test("nothing is graver than an error that one side alone has", (test) => {
  const [first, second, third] = Object.keys(DIFFERENCE_REASONS);
  test.same([first, second, third], ["error_on_shadow", "error_on_primary", "error_code"]);
  test.ok(isGraver("error_on_shadow", "row_count"));
  test.end();
});

const NOISE: readonly Noise[] = [
  "clock",
  "volatile",
  "server",
  "explain",
  "underspecified",
  "unordered_aggregate",
];

await check(
  "noise known from the SQL makes a difference in values incomparable, and says why",
  NOISE.map((noise) => ({
    why: noise,
    primary: one("1"),
    shadow: one("2"),
    expected: `incomparable ${noise}`,
    parts: { statements: [statement({ noise: [noise] })] },
  })),
);

await check("noise does not hide what it cannot have caused", [
  {
    why: "the same answer in spite of noise",
    primary: one("1"),
    shadow: one("1"),
    expected: "match",
    parts: { statements: [statement({ noise: ["volatile"] })] },
  },
  {
    why: "a function that the shadow does not have",
    primary: one("1"),
    shadow: failed("42883"),
    expected: "divergent error_on_shadow",
    parts: { statements: [statement({ noise: ["clock"] })] },
  },
  {
    why: "another column",
    primary: selectAnswer([ID], [["1"]]),
    shadow: selectAnswer([NAME], [["1"]]),
    expected: "divergent column_name",
    parts: { statements: [statement({ noise: ["clock"] })] },
  },
  {
    why: "a catalogue with other columns",
    primary: selectAnswer([ID], [["1"]]),
    shadow: selectAnswer([ID, NAME], [["1", "a"]]),
    expected: "incomparable server",
    parts: { statements: [statement({ noise: ["server"] })] },
  },
]);

await t.test("an observation that was lost is incomparable with the reason", (test) => {
  const whole = answered(one("1"));
  const reasons: readonly LostReason[] = [
    "timeout",
    "disconnected",
    "overflow",
    "cancelled",
    "malformed",
  ];
  for (const reason of reasons) {
    const lost: Observation = { kind: "lost", elapsedMs: 1, reason };
    test.equal(inWords(compareObservations(whole, lost, context())), `incomparable ${reason}`);
    const expected = reason === "cancelled" ? reason : "primary_lost";
    test.equal(inWords(compareObservations(lost, whole, context())), `incomparable ${expected}`);
  }
  const broken = answered(one("1").subarray(0, 20));
  test.equal(inWords(compareObservations(whole, broken, context())), "incomparable malformed");
  test.equal(inWords(compareObservations(broken, whole, context())), "incomparable primary_lost");
  test.end();
});

await t.test("a finding says where it is and holds both values as text", (test) => {
  const amount: ColumnSpec = { name: "amount", oid: NUMERIC };
  const verdict = compareFrames(
    pairsOf([ID, amount], "1 1.50", "2 2.00"),
    pairsOf([ID, amount], "1 1.50", "2 2.01"),
  );
  test.match(verdict, {
    kind: "divergent",
    finding: {
      reason: "numeric_value",
      explanation: 'A number differs in column "amount" (numeric).',
      statement: 0,
      column: "amount",
      row: 1,
      primary: "2.00",
      shadow: "2.01",
    },
  });
  const binary: ColumnSpec = { name: "at", oid: TIMESTAMPTZ, format: 1 };
  const inBinary = compareFrames(
    one(Buffer.from("0002b1f843beba00", "hex"), binary),
    one(Buffer.from("0002b1f843beba01", "hex"), binary),
  );
  test.match(inBinary, {
    finding: {
      primary: "2024-01-15 10:30:00 UTC",
      shadow: "2024-01-15 10:30:00.000001 UTC",
    },
  });
  test.end();
});

await t.test("an explanation holds no value", (test) => {
  const secret = "hunter2";
  const verdicts: readonly Verdict[] = [
    compareFrames(one(secret, NAME), one("other", NAME)),
    compareFrames(one(secret, NAME), one(null, NAME)),
    compareFrames(rowsOf(secret, "1"), rowsOf("1")),
    compareFrames(failed("22P02", "I", secret), one("1")),
    compareFrames(pairsOf([ID, NAME, PRICE], `1 ${secret} 3`), pairsOf([ID, NAME, PRICE], "4 b 5")),
  ];
  for (const verdict of verdicts) {
    test.equal(verdict.kind, "divergent");
    if (verdict.kind === "divergent") test.notMatch(verdict.finding.explanation, secret);
  }
  test.end();
});

await t.test("rows without a description are read by the one remembered", (test) => {
  const at = (value: string): Buffer =>
    Buffer.concat([dataRow([value]), commandComplete("SELECT 1"), readyForQuery()]);
  const seconds = (value: bigint): Buffer => {
    const cell = Buffer.alloc(8);
    cell.writeBigInt64BE(value);
    return Buffer.concat([dataRow([cell]), commandComplete("SELECT 1"), readyForQuery()]);
  };
  const description = rowDescription([{ name: "n", oid: NUMERIC }]).subarray(5);
  const remembered = (): object => ({ primary: description, shadow: description });
  test.equal(inWords(compareFrames(at("1.50"), at("1.5"))), "divergent value");
  test.equal(
    inWords(compareFrames(at("1.50"), at("1.5"), { remembered })),
    "tolerated numeric_scale",
  );
  const floats = rowDescription([{ name: "f", oid: 701 }]).subarray(5);
  const inBinary = (): object => ({ primary: floats, shadow: floats, formats: [1] });
  const [a, b] = [seconds(0x3fb999999999999an), seconds(0x3fb999999999999bn)];
  test.equal(inWords(compareFrames(a, b, { remembered: inBinary })), "tolerated float_precision");
  const verdict = compareFrames(at("2024-01-15 10:00:00+00"), at("2024-01-15 12:00:00+02"));
  test.equal(inWords(verdict), "tolerated timestamp_zone", "some values show what they are");
  test.end();
});

await t.test("the formats of a described statement are told from the values", (test) => {
  const answer = (cell: Buffer): Buffer =>
    Buffer.concat([
      parameters(),
      rowDescription([{ name: "f", oid: 701 }]),
      frame("2", Buffer.alloc(0)),
      dataRow([cell]),
      commandComplete("SELECT 1"),
      readyForQuery(),
    ]);
  const binary = (hex: string): Buffer => answer(Buffer.from(hex, "hex"));
  test.equal(
    inWords(compareFrames(binary("3fb999999999999a"), binary("3fb999999999999b"))),
    "tolerated float_precision",
  );
  test.equal(
    inWords(compareFrames(answer(Buffer.from("0.1")), answer(Buffer.from("0.2")))),
    "divergent numeric_value",
  );
  test.end();
});

await t.test("a comparer that remembers descriptions gives the same verdicts", (test) => {
  const compare = openComparer();
  const answer = (table: number, oid: number, value = "1"): Observation =>
    answered(one(value, { name: "v", oid, table }));
  const named = { primaryTypes: () => "mood", shadowTypes: () => "mood" };
  const other = { primaryTypes: () => "mood", shadowTypes: () => "colour" };
  for (let round = 0; round < 3; round++) {
    test.equal(compare(answer(1, INT4), answer(2, INT4), context()).kind, "match");
    test.equal(compare(answer(1, INT4), answer(2, TEXT), context()).kind, "divergent");
    test.equal(compare(answer(1, INT4), answer(2, INT4, "2"), context()).kind, "divergent");
    test.equal(compare(answer(1, 16_400), answer(2, 17_400), context(named)).kind, "match");
    test.equal(compare(answer(1, 16_400), answer(2, 17_400), context(other)).kind, "divergent");
  }
  test.end();
});
