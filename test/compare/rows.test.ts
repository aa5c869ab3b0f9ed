import { Buffer } from "node:buffer";
import {
  dataRow,
  frame,
  orderedBy,
  readyForQuery,
  rowDescription,
  selectAnswer,
} from "./answers.ts";
import type { ColumnSpec } from "./answers.ts";
import { ID, NAME, PRICE, check, done, pairsOf, rowsOf } from "./cases.ts";

const TIMESTAMPTZ = 1184;
const copyOut = (...lines: readonly string[]): Buffer =>
  Buffer.concat([
    frame("H", Buffer.from([0, 0, 1, 0, 0])),
    ...lines.map((line) => frame("d", Buffer.from(line))),
    frame("c", Buffer.alloc(0)),
    done(`COPY ${lines.length}`),
  ]);
const suspended = (value: string): Buffer =>
  Buffer.concat([
    rowDescription([ID]),
    dataRow([value]),
    frame("s", Buffer.alloc(0)),
    readyForQuery("T"),
  ]);
const manyFloats = (shift: number): readonly (readonly string[])[] =>
  Array.from({ length: 300 }, (_, index) => [String(index), String(index / 7 + shift)]);

const AT: ColumnSpec = { name: "at", oid: TIMESTAMPTZ };
const manyMoments = (zone: string, hour: number): readonly (readonly string[])[] =>
  Array.from({ length: 3000 }, (_, index) => [
    String(index),
    `2024-01-15 ${hour}:${String(index % 60).padStart(2, "0")}:00${zone}`,
  ]);

await check("rows are compared in the order that the statement asks for", [
  {
    why: "another order where none was asked for",
    primary: rowsOf("1", "2", "3"),
    shadow: rowsOf("3", "1", "2"),
    expected: "tolerated row_order_free",
  },
  {
    why: "another order with equal rows",
    primary: rowsOf("1", "1", "2"),
    shadow: rowsOf("2", "1", "1"),
    expected: "tolerated row_order_free",
  },
  {
    why: "duplicates count",
    primary: rowsOf("1", "1", "2"),
    shadow: rowsOf("1", "2", "2"),
    expected: "divergent numeric_value",
  },
  {
    why: "another order on the key",
    primary: rowsOf("1", "2", "3"),
    shadow: rowsOf("1", "3", "2"),
    expected: "divergent row_order",
    parts: { statements: [orderedBy([0])] },
  },
  {
    why: "ties are free",
    primary: pairsOf([PRICE, NAME], "1 a", "1 b", "2 c"),
    shadow: pairsOf([PRICE, NAME], "1 b", "1 a", "2 c"),
    expected: "tolerated row_order_free",
    parts: { statements: [orderedBy([0])] },
  },
  {
    why: "ties of one key, the second decides",
    primary: pairsOf([PRICE, NAME], "1 a", "1 b", "2 c"),
    shadow: pairsOf([PRICE, NAME], "1 b", "1 a", "2 c"),
    expected: "divergent row_order",
    parts: { statements: [orderedBy([0, 1])] },
  },
  {
    why: "a hidden key leaves the order open",
    primary: pairsOf([PRICE, NAME], "1 a", "2 b"),
    shadow: pairsOf([PRICE, NAME], "2 b", "1 a"),
    expected: "tolerated row_order_free",
    parts: { statements: [orderedBy([], { complete: false })] },
  },
  {
    why: "a key beside a hidden one has its place all the same",
    primary: pairsOf([PRICE, NAME], "1 a", "2 b"),
    shadow: pairsOf([PRICE, NAME], "2 b", "1 a"),
    expected: "divergent row_order",
    parts: { statements: [orderedBy([0], { complete: false })] },
  },
  {
    why: "keys behind a star are found by their names",
    primary: pairsOf([PRICE, NAME], "1 a", "2 b"),
    shadow: pairsOf([PRICE, NAME], "2 b", "1 a"),
    expected: "divergent row_order",
    parts: { statements: [orderedBy([], { names: ["name"], complete: false })] },
  },
  {
    why: "a name that two columns have says nothing",
    primary: pairsOf([NAME, NAME], "1 a", "2 b"),
    shadow: pairsOf([NAME, NAME], "2 b", "1 a"),
    expected: "tolerated row_order_free",
    parts: { statements: [orderedBy([], { names: ["name"], complete: false })] },
  },
  {
    why: "hundreds of rows in another order, each within its tolerance",
    primary: selectAnswer([ID, { name: "f", oid: 701 }], manyFloats(0)),
    shadow: selectAnswer([ID, { name: "f", oid: 701 }], manyFloats(0.001).toReversed()),
    expected: "tolerated numeric_value",
    parts: {
      rules: [{ name: "r", match: { column: "f" }, action: { kind: "tolerate", absolute: 0.01 } }],
    },
  },
  {
    why: "thousands of rows written differently are not all read",
    primary: selectAnswer([ID, AT], manyMoments("+00", 10)),
    shadow: selectAnswer([ID, AT], manyMoments("+02", 12)),
    expected: "incomparable large_result",
  },
  {
    why: "nor are they in another order",
    primary: selectAnswer([ID, AT], manyMoments("+00", 10)),
    shadow: selectAnswer([ID, AT], manyMoments("+02", 12).toReversed()),
    expected: "incomparable large_result",
  },
  {
    why: "thousands of rows with other values of one spelling are divergent",
    primary: selectAnswer([ID, NAME], manyMoments("+00", 10)),
    shadow: selectAnswer([ID, NAME], manyMoments("+02", 12).toReversed()),
    expected: "divergent row_missing",
  },
  {
    why: "thousands of rows in another order",
    primary: selectAnswer([ID, AT], manyMoments("+00", 10)),
    shadow: selectAnswer([ID, AT], manyMoments("+00", 10).toReversed()),
    expected: "tolerated row_order_free",
  },
  {
    why: "a row less",
    primary: rowsOf("1", "2"),
    shadow: rowsOf("1"),
    expected: "divergent row_count",
  },
  {
    why: "no rows at all on one side",
    primary: rowsOf("1"),
    shadow: rowsOf(),
    expected: "divergent row_count",
  },
  {
    why: "a changed value in a row of another order",
    primary: pairsOf([ID, NAME, PRICE], "1 a 10", "2 b 20", "3 c 30"),
    shadow: pairsOf([ID, NAME, PRICE], "3 c 30", "2 b 21", "1 a 10"),
    expected: "divergent numeric_value",
  },
  {
    why: "a row that is not there, and another in its place",
    primary: pairsOf([ID, NAME, PRICE], "1 a 10", "2 b 20"),
    shadow: pairsOf([ID, NAME, PRICE], "1 a 10", "7 x 70"),
    expected: "divergent row_missing",
  },
  {
    why: "rows in another order, each written differently",
    primary: selectAnswer(
      [{ name: "at", oid: TIMESTAMPTZ }],
      [["2024-01-15 10:00:00+00"], ["2024-01-15 11:00:00+00"]],
    ),
    shadow: selectAnswer(
      [{ name: "at", oid: TIMESTAMPTZ }],
      [["2024-01-15 13:00:00+02"], ["2024-01-15 12:00:00+02"]],
    ),
    expected: "tolerated timestamp_zone",
  },
  {
    why: "floats that only comparing can bring together",
    primary: selectAnswer(
      [{ name: "f", oid: 701 }, ID],
      [
        ["0.1234567890123455", "1"],
        ["5", "2"],
      ],
    ),
    shadow: selectAnswer(
      [{ name: "f", oid: 701 }, ID],
      [
        ["5", "2"],
        ["0.1234567890123449", "1"],
      ],
    ),
    expected: "tolerated float_precision",
  },
  {
    why: "COPY of a table in another order",
    primary: copyOut("1\ta\n", "2\tb\n"),
    shadow: copyOut("2\tb\n", "1\ta\n"),
    expected: "tolerated row_order_free",
  },
  {
    why: "COPY with another row",
    primary: copyOut("1\ta\n", "2\tb\n"),
    shadow: copyOut("1\ta\n", "2\tc\n"),
    expected: "divergent value",
  },
]);

await check("LIMIT leaves ties at its edge open", [
  {
    why: "another row of the last key",
    primary: pairsOf([NAME, PRICE, ID], "a 10 1", "b 20 2"),
    shadow: pairsOf([NAME, PRICE, ID], "a 10 1", "x 20 9"),
    expected: "incomparable underspecified",
    parts: { statements: [orderedBy([1], { limited: true })] },
  },
  {
    why: "the same row of the last key with a changed value",
    primary: pairsOf([NAME, PRICE, ID], "a 10 1", "b 20 2"),
    shadow: pairsOf([NAME, PRICE, ID], "a 10 1", "b 20 3"),
    expected: "divergent numeric_value",
    parts: { statements: [orderedBy([1], { limited: true })] },
  },
  {
    why: "another row in the middle",
    primary: pairsOf([NAME, PRICE, ID], "a 10 1", "b 20 2", "c 30 3"),
    shadow: pairsOf([NAME, PRICE, ID], "a 10 1", "x 20 9", "c 30 3"),
    expected: "divergent row_missing",
    parts: { statements: [orderedBy([1], { limited: true })] },
  },
  {
    why: "a key that no two rows share",
    primary: pairsOf([ID, NAME], "1 a"),
    shadow: pairsOf([ID, NAME], "1 b"),
    expected: "divergent text_value",
    parts: { statements: [orderedBy([0], { limited: true })] },
  },
  {
    why: "a key behind a star that no two rows share",
    primary: pairsOf([NAME, ID], "a 1"),
    shadow: pairsOf([NAME, ID], "b 1"),
    expected: "divergent text_value",
    parts: { statements: [orderedBy([], { names: ["id"], complete: false, limited: true })] },
  },
  {
    why: "other rows by a hidden key",
    primary: pairsOf([NAME, ID], "a 1"),
    shadow: pairsOf([NAME, ID], "b 2"),
    expected: "incomparable underspecified",
    parts: { statements: [orderedBy([], { complete: false, limited: true })] },
  },
  {
    why: "the first rows of a portal without order",
    primary: suspended("1"),
    shadow: suspended("2"),
    expected: "incomparable underspecified",
  },
  {
    why: "the first rows of a portal with an order",
    primary: suspended("1"),
    shadow: suspended("2"),
    expected: "divergent numeric_value",
    parts: { statements: [orderedBy([0])] },
  },
]);
