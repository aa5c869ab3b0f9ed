/** Two correct servers that sort texts by different collations are told from rows in a wrong order. */
import type { Buffer } from "node:buffer";
import { orderedBy, selectAnswer } from "./answers.ts";
import type { CellSpec } from "./answers.ts";
import { ID, NAME, check } from "./cases.ts";

const byName = { statements: [orderedBy([0])] };
const texts = (...values: readonly CellSpec[]): Buffer =>
  selectAnswer(
    [NAME],
    values.map((value) => [value]),
  );
const pairs = (...rows: readonly (readonly [string, string])[]): Buffer =>
  selectAnswer([ID, NAME], rows);

await check("the order of texts tells by which collation they were sorted", [
  {
    why: "bytes and a dictionary",
    primary: texts("A", "B", "a", "b"),
    shadow: texts("a", "A", "b", "B"),
    expected: "divergent collation_order",
    parts: byName,
  },
  {
    why: "downwards",
    primary: texts("b", "a", "B", "A"),
    shadow: texts("B", "b", "A", "a"),
    expected: "divergent collation_order",
    parts: byName,
  },
  {
    why: "umlauts",
    primary: texts("Zebra", "Äpfel"),
    shadow: texts("Äpfel", "Zebra"),
    expected: "divergent collation_order",
    parts: byName,
  },
  {
    why: "punctuation that one of them does not see",
    primary: texts("a-b", "a-c", "aa"),
    shadow: texts("aa", "a-b", "a-c"),
    expected: "divergent collation_order",
    parts: byName,
  },
  {
    why: "digits read as numbers",
    primary: texts("x10", "x9"),
    shadow: texts("x9", "x10"),
    expected: "divergent collation_order",
    parts: byName,
  },
  {
    why: "three of them leave no doubt about the direction",
    primary: texts("a", "x10", "x9"),
    shadow: texts("a", "x9", "x10"),
    expected: "divergent collation_order",
    parts: byName,
  },
  {
    why: "one side is in no order at all",
    primary: texts("A", "B", "a", "b"),
    shadow: texts("b", "A", "a", "B"),
    expected: "divergent row_order",
    parts: byName,
  },
  {
    why: "one side is sorted the other way round",
    primary: texts("a", "b", "c"),
    shadow: texts("c", "b", "a"),
    expected: "divergent row_order",
    parts: byName,
  },
  {
    why: "NULLs stand apart",
    primary: texts(null, "A", "a", "b"),
    shadow: texts(null, "a", "A", "b"),
    expected: "divergent collation_order",
    parts: byName,
  },
  {
    why: "texts behind another key are sorted among rows that have the same",
    primary: pairs(["1", "B"], ["1", "a"], ["2", "A"], ["2", "b"]),
    shadow: pairs(["1", "a"], ["1", "B"], ["2", "A"], ["2", "b"]),
    expected: "divergent collation_order",
    parts: { statements: [orderedBy([0, 1])] },
  },
  {
    why: "numbers have no collation",
    primary: selectAnswer([ID], [["1"], ["2"]]),
    shadow: selectAnswer([ID], [["2"], ["1"]]),
    expected: "divergent row_order",
    parts: byName,
  },
  {
    why: "texts that do not care for case are tied",
    primary: selectAnswer(
      [{ name: "name", oid: 16_400 }, ID],
      [
        ["A", "1"],
        ["a", "2"],
        ["b", "3"],
      ],
    ),
    shadow: selectAnswer(
      [{ name: "name", oid: 16_500 }, ID],
      [
        ["a", "2"],
        ["A", "1"],
        ["b", "3"],
      ],
    ),
    expected: "tolerated row_order_free",
    parts: { ...byName, primaryTypes: () => "citext", shadowTypes: () => "citext" },
  },
  {
    why: "LIMIT cuts off other rows",
    primary: texts("Anna", "Zoe", "anna"),
    shadow: texts("anna", "Anna", "berta"),
    expected: "divergent collation_order",
    parts: { statements: [orderedBy([0], { limited: true })] },
  },
  {
    why: "other rows in an order that is right by one collation are other rows",
    primary: texts("anna", "berta", "carl"),
    shadow: texts("anna", "berta", "dora"),
    expected: "divergent text_value",
    parts: { statements: [orderedBy([0], { limited: true })] },
  },
]);
