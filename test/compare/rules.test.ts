import t from "tap";
import { checkRules } from "../../src/compare/check-rules.ts";
import type { CompareRule } from "../../src/compare/rule.ts";
import { selectAnswer, statement } from "./answers.ts";
import type { CellSpec, ColumnSpec } from "./answers.ts";
import { ID, NAME, check, done, failed, one, pairsOf } from "./cases.ts";
import type { Case } from "./cases.ts";

const AMOUNT: ColumnSpec = { name: "amount", oid: 1700 };
const FLOAT: ColumnSpec = { name: "score", oid: 701 };

function rule(match: CompareRule["match"], action: CompareRule["action"], name = "r"): CompareRule {
  return { name, match, action };
}

const ignore = (match: CompareRule["match"]): CompareRule => rule(match, { kind: "ignore" });
const within = (amount: { absolute?: number; relative?: number }): CompareRule =>
  rule({ column: "amount" }, { kind: "tolerate", ...amount });
const clean = (
  ...how: readonly ("trim" | "lower_case" | "collapse_space" | "null_is_empty")[]
): CompareRule => rule({ column: "name" }, { kind: "clean", with: how });

function ruled(
  why: string,
  rules: readonly CompareRule[],
  [primary, shadow, column]: readonly [CellSpec, CellSpec, ColumnSpec],
  expected: string,
): Case {
  return {
    why,
    primary: one(primary, column),
    shadow: one(shadow, column),
    expected,
    parts: { rules },
  };
}

await check("a rule ignores what it matches, and the verdict says so", [
  ruled("by column", [ignore({ column: "name" })], ["a", "b", NAME], "incomparable rule"),
  ruled("another column", [ignore({ column: "id" })], ["a", "b", NAME], "divergent text_value"),
  ruled("by type", [ignore({ type: "text" })], ["a", "b", NAME], "incomparable rule"),
  ruled("by table", [ignore({ table: "orders" })], ["a", "b", NAME], "incomparable rule"),
  ruled(
    "by table with its schema",
    [ignore({ table: "public.orders" })],
    ["a", "b", NAME],
    "incomparable rule",
  ),
  ruled("another table", [ignore({ table: "order" })], ["a", "b", NAME], "divergent text_value"),
  ruled(
    "by fingerprint",
    [ignore({ fingerprint: "00112233445566aa" })],
    ["a", "b", NAME],
    "incomparable rule",
  ),
  ruled(
    "every condition must hold",
    [ignore({ fingerprint: "00112233445566aa", table: "users" })],
    ["a", "b", NAME],
    "divergent text_value",
  ),
  ruled(
    "equal values are a match all the same",
    [ignore({ column: "name" })],
    ["a", "a", NAME],
    "match",
  ),
  {
    why: "the other columns are compared",
    primary: pairsOf([ID, NAME], "1 a"),
    shadow: pairsOf([ID, NAME], "2 b"),
    expected: "divergent numeric_value",
    parts: { rules: [ignore({ column: "name" })] },
  },
  {
    why: "rows in another order find each other without the ignored column",
    primary: pairsOf([ID, NAME], "1 a", "2 b"),
    shadow: pairsOf([ID, NAME], "2 x", "1 y"),
    expected: "incomparable rule",
    parts: { rules: [ignore({ column: "name" })] },
  },
  {
    why: "a column that only one side has",
    primary: pairsOf([ID], "1"),
    shadow: pairsOf([ID, NAME], "1 a"),
    expected: "incomparable rule",
    parts: { rules: [ignore({ column: "name" })] },
  },
  {
    why: "a statement as a whole, errors and tags included",
    primary: done("UPDATE 1"),
    shadow: failed("22012"),
    expected: "incomparable rule",
    parts: { rules: [ignore({ table: "orders" })] },
  },
]);

await check("a rule tolerates numbers that differ by so much", [
  ruled(
    "absolutely",
    [within({ absolute: 0.01 })],
    ["100.01", "100.00", AMOUNT],
    "tolerated numeric_value",
  ),
  ruled(
    "beyond",
    [within({ absolute: 0.01 })],
    ["100.011", "100", AMOUNT],
    "divergent numeric_value",
  ),
  ruled(
    "relatively",
    [within({ relative: 0.1 })],
    ["100", "109", AMOUNT],
    "tolerated numeric_value",
  ),
  ruled(
    "either will do",
    [within({ absolute: 0.01, relative: 0.1 })],
    ["100", "109", AMOUNT],
    "tolerated numeric_value",
  ),
  ruled(
    "floats",
    [rule({ type: "float8" }, { kind: "tolerate", absolute: 0.5 })],
    ["1.5", "2", FLOAT],
    "tolerated numeric_value",
  ),
  ruled(
    "not texts",
    [rule({ column: "name" }, { kind: "tolerate", absolute: 5 })],
    ["1", "2", NAME],
    "divergent text_value",
  ),
  {
    why: "rows in another order find each other within the tolerance",
    primary: pairsOf([ID, AMOUNT], "1 1.00", "2 2.00"),
    shadow: pairsOf([ID, AMOUNT], "2 2.01", "1 1.01"),
    expected: "tolerated numeric_value",
    parts: { rules: [within({ absolute: 0.01 })] },
  },
]);

await check("a rule cleans both values before they are compared", [
  ruled("spaces at the ends", [clean("trim")], [" a ", "a", NAME], "match"),
  ruled("case", [clean("lower_case")], ["Ä", "ä", NAME], "match"),
  ruled("spaces within", [clean("collapse_space")], ["a  b", "a b", NAME], "match"),
  ruled("NULL", [clean("null_is_empty")], [null, "", NAME], "match"),
  ruled("NULL is no value", [clean("null_is_empty")], [null, "a", NAME], "divergent text_value"),
  ruled("one after the other", [clean("trim"), clean("lower_case")], [" A", "a", NAME], "match"),
  ruled("not enough", [clean("trim")], [" A", "a", NAME], "divergent text_value"),
  {
    why: "rows in another order find each other when cleaned",
    primary: selectAnswer(
      [NAME, ID],
      [
        ["A", "1"],
        ["b", "2"],
      ],
    ),
    shadow: selectAnswer(
      [NAME, ID],
      [
        ["B", "2"],
        ["a", "1"],
      ],
    ),
    expected: "tolerated row_order_free",
    parts: { rules: [clean("lower_case")], statements: [statement()] },
  },
]);

const alike = (...sqlstates: readonly (readonly string[])[]): CompareRule =>
  rule({ table: "orders" }, { kind: "tolerate", sqlstates });

function bothFailed(
  why: string,
  rules: readonly CompareRule[],
  [primary, shadow]: readonly [string, string],
  expected: string,
): Case {
  return { why, primary: failed(primary), shadow: failed(shadow), expected, parts: { rules } };
}

await check("a rule calls SQLSTATEs alike, and the difference stays to be seen", [
  bothFailed("two", [alike(["22023", "54000"])], ["22023", "54000"], "tolerated error_code_alike"),
  bothFailed(
    "three",
    [alike(["22023", "54000", "22003"])],
    ["22003", "54000"],
    "tolerated error_code_alike",
  ),
  bothFailed("without a rule", [], ["22023", "54000"], "divergent error_code"),
  bothFailed(
    "not across groups",
    [alike(["22023", "54000"], ["42883", "42P01"])],
    ["22023", "42883"],
    "divergent error_code",
  ),
  bothFailed("the same is a match", [alike(["22023", "54000"])], ["54000", "54000"], "match"),
  {
    why: "an error on one side only is none",
    primary: one("1"),
    shadow: failed("54000"),
    expected: "divergent error_on_shadow",
    parts: { rules: [alike(["22023", "54000", "00000"])] },
  },
  {
    why: "another table",
    primary: failed("22023"),
    shadow: failed("54000"),
    expected: "divergent error_code",
    parts: { rules: [{ ...alike(["22023", "54000"]), match: { table: "users" } }] },
  },
]);

await t.test("rules that contradict or match nothing are named", (test) => {
  const problems = (...rules: readonly CompareRule[]): readonly string[] =>
    checkRules(rules).map(({ rule: name, problem }) => `${name} ${problem}`);
  const cases: readonly (readonly [rules: readonly CompareRule[], expected: RegExp | undefined])[] =
    [
      [[ignore({ column: "a" })], undefined],
      [
        [within({ absolute: 1 }), clean("trim"), rule({ table: "t" }, { kind: "ignore" }, "s")],
        /same name/,
      ],
      [[ignore({})], /matches every statement/],
      [[ignore({ fingerprint: "nonsense" })], /16 hexadecimal/],
      [[ignore({ column: " " })], /its column is empty/],
      [[within({})], /tolerates nothing/],
      [[within({ absolute: -1 })], /negative/],
      [[within({ relative: 2 })], /every difference/],
      [[rule({ type: "text" }, { kind: "tolerate", absolute: 1 })], /no type of number/],
      [[alike(["22023", "54000"])], undefined],
      [
        [
          alike(["22023", "54000"]),
          { ...within({ absolute: 1 }), name: "s", match: { table: "orders" } },
        ],
        undefined,
      ],
      [[alike(["22023"])], /alike to itself/],
      [[alike(["22023", "no"])], /no is no SQLSTATE/],
      [[{ ...alike(["22023", "54000"]), match: { type: "text" } }], /of a whole statement/],
      [
        [rule({}, { kind: "tolerate", absolute: 1, sqlstates: [["22023", "54000"]] })],
        /a rule each/,
      ],
      [[clean()], /cleans nothing/],
      [[rule({ type: "int4" }, { kind: "clean", with: ["trim"] })], /not cleaned/],
      [[rule({ type: "int4" }, { kind: "clean", with: ["null_is_empty"] })], undefined],
      [
        [ignore({ table: "t" }), rule({ table: "t", column: "c" }, { kind: "ignore" }, "s")],
        /^s never applies: rule r ignores/,
      ],
      [
        [rule({ column: "c" }, { kind: "clean", with: ["trim"] }, "s"), ignore({ column: "c" })],
        /^s never applies: rule r ignores/,
      ],
      [
        [within({ absolute: 1 }), { ...within({ absolute: 2 }), name: "s" }],
        /same conditions and action/,
      ],
    ];
  for (const [rules, expected] of cases) {
    const found = problems(...rules);
    if (expected === undefined) test.same(found, []);
    else
      test.ok(
        found.some((problem) => expected.test(problem)),
        `${expected}: ${found.join("; ")}`,
      );
  }
  test.end();
});
