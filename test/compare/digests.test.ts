import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import process from "node:process";
import fc from "fast-check";
import t from "tap";
import { compareObservations } from "../../src/compare/compare.ts";
import type { Observation } from "../../src/compare/observation.ts";
import { openReplyDigester } from "../../src/compare/reply-digester.ts";
import type { ReplyDigester } from "../../src/compare/reply-digester.ts";
import type { ResultDigest } from "../../src/compare/result-digest.ts";
import { hashRow, RowHash } from "../../src/compare/row-hash.ts";
import {
  answered,
  commandComplete,
  context,
  dataRow,
  errorResponse,
  frame,
  inWords,
  orderedBy,
  readyForQuery,
  rowDescription,
  statement,
} from "./answers.ts";
import type { CellSpec, ColumnSpec } from "./answers.ts";

const ID: ColumnSpec = { name: "id", oid: 23 };
const AT: ColumnSpec = { name: "at", oid: 1184 };
const NAME: ColumnSpec = { name: "name", oid: 25 };
const LIMITS = { firstRows: 5, firstBytes: 1000 };

function digestOf(frames: Buffer, cuts: readonly number[] = []): readonly ResultDigest[] {
  const digester = openReplyDigester(LIMITS);
  let at = 0;
  for (const cut of [...cuts].toSorted((a, b) => a - b)) {
    digester.push(frames, at, cut);
    at = cut;
  }
  digester.push(frames, at, frames.length);
  return digester.results();
}

function digested(frames: Buffer): Observation {
  return { kind: "digested", elapsedMs: 1, bytes: frames.length, results: digestOf(frames) };
}

function answer(columns: readonly ColumnSpec[], rows: readonly (readonly CellSpec[])[]): Buffer {
  return Buffer.concat([
    rowDescription(columns),
    ...rows.map(dataRow),
    commandComplete(`SELECT ${rows.length}`),
    readyForQuery(),
  ]);
}

const numbers = Array.from({ length: 50 }, (_, index) => [String(index), `name ${index}`]);
const NUMBERED = [ID, NAME];
const changed = (row: number, cells: readonly string[]): (readonly string[])[] =>
  numbers.map((original, index) => (index === row ? cells : original));
const zoned = (zone: string, hours: number, last = "Z"): (readonly string[])[] =>
  Array.from({ length: 50 }, (_, index) => [
    String(index),
    `2024-01-15 ${String(10 + hours).padStart(2, "0")}:00:${String(index).padStart(2, "0")}${zone}`,
    index === 49 ? last : "a",
  ]);

await t.test("answers too large to keep are compared by digest and first rows", (test) => {
  const ordered = { statements: [orderedBy([0])] };
  const cases = [
    ["the same rows", answer(NUMBERED, numbers), answer(NUMBERED, numbers), "match", {}],
    [
      "the same rows with other table oids",
      answer([{ ...ID, table: 1 }, NAME], numbers),
      answer([{ ...ID, table: 2 }, NAME], numbers),
      "match",
      {},
    ],
    [
      "another order that nobody asked for",
      answer(NUMBERED, numbers),
      answer(NUMBERED, numbers.toReversed()),
      "tolerated row_order_free",
      {},
    ],
    [
      "another order on the key",
      answer(NUMBERED, numbers),
      answer(NUMBERED, numbers.toReversed()),
      "divergent row_order",
      ordered,
    ],
    [
      "another order behind the first rows",
      answer(NUMBERED, numbers),
      answer(NUMBERED, [...numbers.slice(0, 40), ...numbers.slice(40).toReversed()]),
      "incomparable large_result",
      ordered,
    ],
    [
      "a row less",
      answer(NUMBERED, numbers),
      answer(NUMBERED, numbers.slice(1)),
      "divergent row_count",
      {},
    ],
    [
      "a changed value among the first rows",
      answer(NUMBERED, numbers),
      answer(NUMBERED, changed(2, ["2", "other"])),
      "divergent text_value",
      ordered,
    ],
    [
      "a changed value behind them",
      answer(NUMBERED, numbers),
      answer(NUMBERED, changed(40, ["40", "other"])),
      "divergent large_result",
      ordered,
    ],
    [
      "a changed value behind them, and no order",
      answer(NUMBERED, numbers),
      answer(NUMBERED, changed(40, ["40", "other"])),
      "divergent large_result",
      {},
    ],
    [
      "other rows in another order",
      answer(NUMBERED, numbers),
      answer(NUMBERED, changed(40, ["40", "other"]).toReversed()),
      "divergent large_result",
      {},
    ],
    [
      "another time zone",
      answer([ID, AT, NAME], zoned("+00", 0)),
      answer([ID, AT, NAME], zoned("+02", 2)),
      "incomparable large_result",
      ordered,
    ],
    [
      "another time zone in another order",
      answer(
        [AT],
        zoned("+00", 0).map((row) => row.slice(1, 2)),
      ),
      answer(
        [AT],
        zoned("+02", 2)
          .map((row) => row.slice(1, 2))
          .toReversed(),
      ),
      "incomparable large_result",
      {},
    ],
    [
      "another time in every row",
      answer([ID, AT, NAME], zoned("+00", 0)),
      answer([ID, AT, NAME], zoned("+00", 2)),
      "divergent timestamp_value",
      ordered,
    ],
    [
      "another column",
      answer([ID, NAME], numbers),
      answer([ID, { ...NAME, name: "title" }], numbers),
      "divergent column_name",
      {},
    ],
    [
      "an error in the middle",
      answer(NUMBERED, numbers),
      Buffer.concat([
        rowDescription(NUMBERED),
        ...numbers.slice(0, 10).map(dataRow),
        errorResponse("22012", "division by zero"),
        readyForQuery(),
      ]),
      "divergent error_on_shadow",
      {},
    ],
    [
      "noise",
      answer(NUMBERED, numbers),
      answer(NUMBERED, changed(2, ["2", "other"])),
      "incomparable volatile",
      { statements: [statement({ noise: ["volatile"] })] },
    ],
    [
      "a column that a rule ignores",
      answer(NUMBERED, numbers),
      answer(NUMBERED, changed(2, ["2", "other"])),
      "incomparable rule",
      {
        statements: [orderedBy([0])],
        rules: [{ name: "r", match: { column: "name" }, action: { kind: "ignore" } }],
      },
    ],
  ] as const;
  for (const [why, primary, shadow, expected, parts] of cases) {
    const verdict = compareObservations(digested(primary), digested(shadow), context(parts));
    test.equal(inWords(verdict), expected, why);
    const back = compareObservations(digested(shadow), digested(primary), context(parts));
    test.equal(back.kind, verdict.kind, `${why}, the other way round`);
  }
  test.end();
});

await t.test("an answer kept and one digested are compared by their digests", (test) => {
  const small = answer(NUMBERED, numbers.slice(0, 4));
  const verdict = (frames: Buffer): string =>
    inWords(compareObservations(answered(small), digested(frames), context()));
  test.equal(verdict(small), "match");
  test.equal(verdict(answer(NUMBERED, numbers)), "divergent row_count");
  test.equal(
    verdict(answer(NUMBERED, numbers.slice(0, 4).toReversed())),
    "tolerated row_order_free",
  );
  test.end();
});

await t.test("digests of COPY compare its lines", (test) => {
  const copy = (...lines: readonly string[]): Buffer =>
    Buffer.concat([
      frame("H", Buffer.from([0, 0, 1, 0, 0])),
      ...lines.map((line) => frame("d", Buffer.from(line))),
      frame("c", Buffer.alloc(0)),
      commandComplete(`COPY ${lines.length}`),
      readyForQuery(),
    ]);
  const verdict = (a: Buffer, b: Buffer): string =>
    inWords(compareObservations(digested(a), digested(b), context()));
  test.equal(verdict(copy("1\n", "2\n"), copy("1\n", "2\n")), "match");
  test.equal(verdict(copy("1\n", "2\n"), copy("2\n", "1\n")), "tolerated row_order_free");
  test.equal(verdict(copy("1\n", "2\n"), copy("1\n", "3\n")).split(" ")[0], "divergent");
  test.end();
});

await t.test("any cutting of an answer gives the same digest", (test) => {
  const cell = fc.option(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)));
  const rows = fc.array(fc.array(cell, { minLength: 2, maxLength: 2 }), { maxLength: 20 });
  const property = fc.property(rows, fc.array(fc.nat()), (cells, cuts) => {
    const frames = Buffer.concat([answer(NUMBERED, cells), answer([ID], [["1"]])]);
    const places = cuts.map((cut) => cut % (frames.length + 1));
    assert.deepEqual(digestOf(frames, places), digestOf(frames));
  });
  test.doesNotThrow(() => fc.assert(property, { numRuns: 200 }));
  test.end();
});

await t.test("the unordered digest does not see the order, the ordered one does", (test) => {
  const property = fc.property(
    fc.uniqueArray(fc.integer().map(String), { minLength: 2, maxLength: 30 }),
    (values) => {
      const rows = values.map((value) => [value]);
      const [forth] = digestOf(answer([ID], rows));
      const [back] = digestOf(answer([ID], rows.toReversed()));
      assert.equal(forth?.unordered, back?.unordered);
      assert.notEqual(forth?.ordered, back?.ordered);
    },
  );
  test.doesNotThrow(() => fc.assert(property, { numRuns: 200 }));
  test.end();
});

await t.test("a row has the same hash however it is cut, and like rows differ", (test) => {
  const seen = new Set<bigint>();
  const count = 20_000;
  const hash = new RowHash();
  for (let index = 0; index < count; index++) {
    const row = Buffer.from(`\0\x02\0\0\0\x05${String(index).padStart(5, "0")}\0\0\0\x01x`);
    const whole = hashRow(row, 0, row.length);
    seen.add(whole);
    const cut = index % row.length;
    hash.update(row, 0, cut);
    hash.update(row, cut, row.length);
    if (hash.finish() !== whole) test.fail(`cut at ${cut}`);
  }
  test.equal(seen.size, count);
  test.end();
});

const VALUE_MB = 500;

/** A row of one value of 500 MB, of which the last byte is `last`. */
function pushValue(digester: ReplyDigester, last: string): void {
  const megabyte = Buffer.alloc(1 << 20, 0x61);
  const head = Buffer.alloc(11);
  head.write("D", 0);
  head.writeUInt32BE(4 + 6 + VALUE_MB * megabyte.length, 1);
  head.writeUInt16BE(1, 5);
  head.writeUInt32BE(VALUE_MB * megabyte.length, 7);
  digester.push(head, 0, head.length);
  for (let index = 1; index < VALUE_MB; index++) digester.push(megabyte, 0, megabyte.length);
  megabyte.write(last, megabyte.length - 1);
  digester.push(megabyte, 0, megabyte.length);
  const tail = commandComplete("SELECT 1");
  digester.push(tail, 0, tail.length);
}

const described = (columns: readonly ColumnSpec[]): ReplyDigester => {
  const digester = openReplyDigester(LIMITS);
  const head = rowDescription(columns);
  digester.push(head, 0, head.length);
  return digester;
};
const seen = (digester: ReplyDigester): Observation => ({
  kind: "digested",
  elapsedMs: 1,
  bytes: 0,
  results: digester.results(),
});

await t.test("two values of 500 MB are told apart by their last byte", (test) => {
  const value = (last: string): Observation => {
    const digester = described([NAME]);
    pushValue(digester, last);
    return seen(digester);
  };
  const [primary, same, other] = [value("a"), value("a"), value("b")];
  test.equal(inWords(compareObservations(primary, same, context())), "match");
  test.equal(inWords(compareObservations(primary, other, context())), "divergent large_result");
  test.end();
});

await t.test("a million rows have the right verdict in constant memory", (test) => {
  const BATCHES = 1000;
  const PER_BATCH = 1000;
  const digits = (row: number): string => String(row).padStart(7, "0");
  const rowOf = (row: number, name = `name ${digits(row)}`): Buffer => dataRow([digits(row), name]);
  const { length } = rowOf(0);
  const changedFrom = 777;
  /** How each answer has the rows of one batch, of which the others are as the primary's. */
  const variants: Readonly<Record<string, (rows: Buffer[], batch: number) => Buffer[]>> = {
    primary: (rows) => rows,
    same: (rows) => rows,
    reordered: (rows) => rows.toReversed(),
    changed: (rows, batch) =>
      batch === changedFrom
        ? [...rows.slice(0, 7), rowOf(777_007, "name 000000x"), ...rows.slice(8)]
        : rows,
    missing: (rows, batch) => (batch === changedFrom ? rows.slice(1) : rows),
    doubled: (rows, batch) =>
      batch === changedFrom ? [...rows.slice(0, 7), ...rows.slice(8, 9), ...rows.slice(8)] : rows,
  };
  const answers = Object.entries(variants).map(([name, of]) => {
    return { name, of, digester: described(NUMBERED) };
  });
  const plain = Buffer.concat(Array.from({ length: PER_BATCH }, (_, row) => rowOf(row)));
  for (let batch = 0; batch < BATCHES; batch++) {
    const rows: Buffer[] = [];
    for (let at = 0; at < PER_BATCH; at++) {
      // In place, for making a million rows is slower than reading them.
      const row = plain.subarray(at * length, (at + 1) * length);
      row.write(digits(batch * PER_BATCH + at), 11, "latin1");
      row.write(digits(batch * PER_BATCH + at), length - 7, "latin1");
      rows.push(row);
    }
    for (const { name, of, digester } of answers) {
      const isPlain = name === "primary" || name === "same";
      const bytes = isPlain ? plain : Buffer.concat(of(rows, batch));
      digester.push(bytes, 0, bytes.length);
    }
  }
  const observed = new Map(answers.map(({ name, digester }) => [name, seen(digester)]));
  const primary = observed.get("primary");
  const ordered = { statements: [orderedBy([0])] };
  const verdict = (name: string, parts = {}): string => {
    const shadow = observed.get(name);
    if (primary === undefined || shadow === undefined) throw new Error(name);
    return inWords(compareObservations(primary, shadow, context(parts)));
  };
  test.equal(verdict("same"), "match");
  test.equal(verdict("reordered"), "tolerated row_order_free");
  test.equal(verdict("reordered", ordered), "divergent row_order");
  test.equal(verdict("changed"), "divergent large_result");
  test.equal(verdict("changed", ordered), "divergent large_result");
  test.equal(verdict("missing"), "divergent row_count");
  test.equal(verdict("doubled"), "divergent large_result");
  const [result] = primary?.kind === "digested" ? primary.results : [];
  const kept = result?.firstRows.reduce((sum, row) => sum + row.length, 0) ?? 0;
  test.equal(result?.rowCount, BATCHES * PER_BATCH);
  test.ok(kept <= LIMITS.firstBytes, `${kept} bytes of a million rows are kept`);
  test.end();
});

await t.test("a digester holds the first rows and no more, whatever comes", (test) => {
  const digester = openReplyDigester(LIMITS);
  const before = process.memoryUsage().arrayBuffers;
  pushValue(digester, "a");
  const after = process.memoryUsage().arrayBuffers;
  test.match(digester.results(), [{ rowCount: 1, firstRows: [], tag: "SELECT 1" }]);
  test.ok(after - before < 2 << 20, `${after - before} bytes held for a value of 500 MB`);
  const many = openReplyDigester(LIMITS);
  const tags = Buffer.concat(Array.from({ length: 20_000 }, () => commandComplete("INSERT 0 1")));
  many.push(tags, 0, tags.length);
  const results = many.results();
  test.ok(results.length <= 4096, "a batch of twenty thousand statements has a bounded digest");
  const other = openReplyDigester(LIMITS);
  other.push(tags, 0, tags.length - 2);
  other.push(Buffer.from("2\0"), 0, 2);
  test.not(other.results().at(-1)?.ordered, results.at(-1)?.ordered, "in which every tag counts");
  test.end();
});

await t.test("garbage does not make a digester throw", (test) => {
  const property = fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    const frames = Buffer.from(bytes);
    const verdict = compareObservations(digested(frames), digested(frames), context());
    assert.ok(verdict.kind === "match" || verdict.kind === "incomparable");
  });
  test.doesNotThrow(() => fc.assert(property, { numRuns: 500 }));
  test.end();
});
