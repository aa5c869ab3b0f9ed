import fc from "fast-check";
import t from "tap";
import { openMask } from "../../src/divergence/mask.ts";
import { sampleOf } from "../../src/divergence/sample.ts";
import type { DifferenceReason } from "../../src/compare/verdict.ts";
import { occurrenceOf, statementOf } from "./statements.ts";

const KEY = Buffer.alloc(32, 7);
const mask = openMask(KEY);

await t.test("a mask says what kind of value it was and how long", async (test) => {
  const rows: readonly [value: string, says: string][] = [
    ["hello world!", "‹text 12 chars #"],
    ["x", "‹text 1 char #"],
    ["", "‹empty text 0 chars #"],
    ["42", "‹integer 2 chars #"],
    ["-3.50", "‹number 5 chars #"],
    ["1e+20", "‹number 5 chars #"],
    ["NaN", "‹number 3 chars #"],
    ["t", "‹boolean 1 char #"],
    ["2024-02-29", "‹date 10 chars #"],
    ["2024-02-29 10:00:00+00", "‹timestamp 22 chars #"],
    ["10:00:00", "‹time 8 chars #"],
    ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "‹uuid 36 chars #"],
    ["\\xdeadbeef", "‹bytes 10 chars #"],
    ['{"a": 1}', "‹json 8 chars #"],
    ["[1, 2]", "‹json 6 chars #"],
    ["{1,2,3}", "‹array 7 chars #"],
    ["3 apples", "‹text 8 chars #"],
  ];
  for (const [value, says] of rows)
    test.ok(mask(value).startsWith(says), `${value}: ${mask(value)}`);
});

await t.test("equal values mask equal, others not, and the key decides", async (test) => {
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => (mask(a) === mask(b)) === (a === b)));
  test.not(openMask(Buffer.alloc(32, 8))("42"), mask("42"));
  test.match(mask("42"), /#[0-9a-f]{8}›$/);
});

await t.test("no part of a value is in its mask, whatever the reason", async (test) => {
  const rules = { mask, reveal: new Set<string>() };
  const reasons: readonly DifferenceReason[] = [
    "value",
    "text_value",
    "null_value",
    "row_missing",
    "error_on_shadow",
    "error_code",
    "command_tag",
    "row_count",
    "transaction_status",
    "large_result",
  ];
  const word = fc.stringMatching(/^[a-zäöü]{4,12}$/);
  const text = fc.array(word, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...reasons), text, (reason, words) => {
      // What a mask is made of itself is no part of the value.
      const value = words.join(" ").replaceAll(/text|chars?/g, "----");
      const { finding, statement } = occurrenceOf(statementOf("a"), { reason, primary: value });
      const shown = sampleOf(finding, statement, 0, rules).primary ?? "";
      return value.split(" ").every((part) => !shown.includes(part));
    }),
    { numRuns: 500 },
  );
  test.pass("500 values");
});

await t.test("what may be seen of each kind of difference", async (test) => {
  const hidden = /^‹.* #[0-9a-f]{8}›$/;
  const rows: readonly {
    reason: DifferenceReason;
    column?: string;
    value: string;
    shown: string | RegExp;
  }[] = [
    { reason: "text_value", column: "name", value: "Erika", shown: hidden },
    { reason: "text_value", column: "status", value: "shipped", shown: "shipped" },
    { reason: "text_value", column: "STATUS", value: "shipped", shown: "shipped" },
    { reason: "text_value", column: "city", value: "Bonn", shown: "Bonn" },
    { reason: "text_value", column: "zip", value: "53111", shown: hidden },
    { reason: "error_on_shadow", value: "SELECT 3", shown: "SELECT 3" },
    { reason: "error_on_shadow", value: "3 rows", shown: "3 rows" },
    { reason: "error_on_shadow", value: "22P02", shown: "22P02" },
    { reason: "error_on_shadow", value: 'PINGU says "x"', shown: /^PINGU ‹text 8 chars #/ },
    { reason: "error_code", value: "22P02 invalid input", shown: /^22P02 ‹text 13 chars #/ },
    { reason: "error_code", value: "secret words", shown: hidden },
    { reason: "command_tag", value: "INSERT 0 1", shown: "INSERT 0 1" },
    { reason: "command_tag", value: "insert the secret", shown: hidden },
    { reason: "row_count", value: "17", shown: "17" },
    { reason: "row_count", value: "(Erika,1)", shown: hidden },
    { reason: "row_missing", value: "(Erika,1)", shown: hidden },
    { reason: "column_name", value: "_000", shown: "_000" },
    { reason: "column_type", value: "timestamp", shown: "timestamp" },
    { reason: "transaction_status", value: "I", shown: "I" },
  ];
  const reveal = new Set(["status", "orders.city", "customers.zip"]);
  for (const { reason, column, value, shown } of rows) {
    const place = column === undefined ? { reason } : { reason, column };
    const { finding, statement } = occurrenceOf(statementOf("a"), { ...place, primary: value });
    const sample = sampleOf(finding, statement, 0, { mask, reveal });
    const name = `${reason} ${column ?? ""} ${value}`;
    if (typeof shown === "string") test.equal(sample.primary, shown, name);
    else test.match(sample.primary, shown, name);
    test.equal(sample.shadow, null);
  }
  const long = occurrenceOf(statementOf("a"), { column: "status", primary: "x".repeat(5000) });
  const cut = sampleOf(long.finding, long.statement, 0, { mask, reveal });
  test.equal(cut.primary?.length, 201, "long values are cut");
});
