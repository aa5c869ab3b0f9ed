import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import t from "tap";
import { openComparer } from "../../src/compare/compare.ts";
import type { Verdict } from "../../src/compare/verdict.ts";
import type { TypeShapes } from "../../src/compare/context.ts";
import { openSideTypes } from "../../src/compare/side-types.ts";
import { familyOf } from "../../src/compare/values/families.ts";
import {
  answered,
  compareFrames,
  context,
  inWords,
  orderedBy,
  selectAnswer,
  statement,
} from "./answers.ts";
import type { CellSpec, ColumnSpec } from "./answers.ts";

const TYPES: readonly (readonly [oid: number, text: fc.Arbitrary<string>])[] = [
  [16, fc.constantFrom("t", "f")],
  [23, fc.integer({ min: -3, max: 3 }).map(String)],
  [1700, fc.constantFrom("1", "1.0", "1.00", "2", "NaN", "-0.5", "-0.50")],
  [701, fc.constantFrom("0.1", "0.10000000000000001", "0.2", "1e20", "100000000000000000000")],
  [25, fc.constantFrom("a", "A", "a ", "b", "", "é")],
  [1042, fc.constantFrom("a  ", "a", "b  ")],
  [17, fc.constantFrom("\\x61", "a", "\\x62", "\\142")],
  [1082, fc.constantFrom("2024-01-02", "01/02/2024", "02/01/2024", "02.01.2024", "infinity")],
  [
    1184,
    fc.constantFrom("2024-01-02 00:00:00+00", "2024-01-02 02:00:00+02", "2024-01-02 00:00:01+00"),
  ],
  [1186, fc.constantFrom("1 day", "P1D", "24:00:00", "-1 days +02:03:00", "P-1DT2H3M")],
  [3802, fc.constantFrom('{"a": 1}', '{"a": 1.0}', '{"a": 2}', "[1]", "null")],
  [1007, fc.constantFrom("{1,2}", "{2,1}", "{}", "[0:1]={1,2}", "{1,NULL}")],
  [3904, fc.constantFrom("[1,2)", "empty", "(,1)", "[1,3)")],
  [2249, fc.constantFrom("(1,a)", "(1,b)", "(1,)", '(1,"a")')],
];

type Table = { readonly columns: readonly ColumnSpec[]; readonly rows: readonly CellSpec[][] };

/** Two tables of the same columns, with values that are likely to be equal, alike or different. */
const twoTables: fc.Arbitrary<readonly [Table, Table]> = fc
  .array(fc.integer({ min: 0, max: TYPES.length - 1 }), { minLength: 1, maxLength: 3 })
  .chain((picks) => {
    const columns = picks.map((pick, index) => ({
      name: `c${index}`,
      oid: TYPES[pick]?.[0] ?? 25,
    }));
    const cells = picks.map((pick) =>
      fc.option(TYPES[pick]?.[1] ?? fc.string(), { freq: 8, nil: null }),
    );
    const rows = fc.array(fc.tuple(...cells), { maxLength: 5 });
    const table = rows.map((values): Table => ({ columns, rows: values }));
    return fc.tuple(table, table);
  });

const anyStatement = fc.constantFrom(
  statement(),
  orderedBy([0]),
  orderedBy([0], { limited: true }),
  orderedBy([], { complete: false, limited: true }),
  orderedBy([], { names: ["c0"], complete: false }),
);

const framesOf = ({ columns, rows }: Table): Buffer => selectAnswer(columns, rows);

await t.test("an answer compared with itself matches", (test) => {
  const property = fc.property(twoTables, anyStatement, ([table], one) => {
    const verdict = compareFrames(framesOf(table), framesOf(table), { statements: [one] });
    assert.equal(inWords(verdict), "match");
  });
  test.doesNotThrow(() => fc.assert(property, { numRuns: 300 }));
  test.end();
});

await t.test("the verdict is of the same kind whichever side is primary", (test) => {
  const property = fc.property(twoTables, anyStatement, ([left, right], one) => {
    const [a, b] = [framesOf(left), framesOf(right)];
    const forth = compareFrames(a, b, { statements: [one] });
    const back = compareFrames(b, a, { statements: [one] });
    assert.equal(forth.kind, back.kind, `${inWords(forth)} / ${inWords(back)}`);
  });
  test.doesNotThrow(() => fc.assert(property, { numRuns: 2000 }));
  test.end();
});

await t.test("a comparer that remembers gives the verdict of one that does not", (test) => {
  const compare = openComparer();
  const property = fc.property(twoTables, anyStatement, ([left, right], one) => {
    const [a, b] = [framesOf(left), framesOf(right)];
    const parts = context({ statements: [one] });
    assert.deepEqual(compare(answered(a), answered(b), parts), compareFrames(a, b, parts));
  });
  test.doesNotThrow(() => fc.assert(property, { numRuns: 500 }));
  test.end();
});

await t.test("shuffled rows are never divergent where no order was asked for", (test) => {
  const shuffled = twoTables.chain(([table]) =>
    fc
      .shuffledSubarray([...table.rows], { minLength: table.rows.length })
      .map((rows): readonly [Table, Table] => [table, { ...table, rows }]),
  );
  const property = fc.property(shuffled, ([left, right]) => {
    const verdict = inWords(compareFrames(framesOf(left), framesOf(right)));
    assert.match(verdict, /^(?:match|tolerated)/);
  });
  test.doesNotThrow(() => fc.assert(property, { numRuns: 1000 }));
  test.end();
});

await t.test("shuffled rows are divergent under keys exactly if a key moved", (test) => {
  const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }).map(String), fc.uuid()), {
    minLength: 2,
    maxLength: 8,
  });
  const columns: readonly ColumnSpec[] = [
    { name: "k", oid: 23 },
    { name: "v", oid: 25 },
  ];
  const shuffled = rows.chain((all) =>
    fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
  );
  const property = fc.property(shuffled, ([left, right]) => {
    const verdict = compareFrames(selectAnswer(columns, left), selectAnswer(columns, right), {
      statements: [orderedBy([0])],
    });
    const keysMoved = left.some(([key], index) => key !== right[index]?.[0]);
    if (keysMoved) assert.equal(inWords(verdict), "divergent row_order");
    else assert.match(inWords(verdict), /^(?:match|tolerated row_order_free)/);
  });
  test.doesNotThrow(() => fc.assert(property, { numRuns: 500 }));
  test.end();
});

await t.test("a changed row is found wherever it is, in whatever order", (test) => {
  const columns: readonly ColumnSpec[] = [
    { name: "k", oid: 23 },
    { name: "v", oid: 25 },
    { name: "w", oid: 25 },
  ];
  const rows = fc.uniqueArray(fc.integer(), { minLength: 1, maxLength: 20 });
  const property = fc.property(rows, fc.nat(), fc.nat(), (keys, place, turn) => {
    const before = keys.map((key): CellSpec[] => [String(key), `v${key}`, "same"]);
    const at = place % before.length;
    const changed = before.map((row, index) =>
      index === at ? [row[0] ?? "", "changed", "same"] : row,
    );
    const by = turn % changed.length;
    const turned = [...changed.slice(by), ...changed.slice(0, by)];
    const verdict = compareFrames(selectAnswer(columns, before), selectAnswer(columns, turned));
    assert.equal(inWords(verdict), "divergent text_value");
    const { finding } = verdict as Extract<Verdict, { kind: "divergent" }>;
    assert.deepEqual(
      [finding.column, finding.row, finding.primary, finding.shadow],
      ["v", at, `v${keys[at]}`, "changed"],
    );
  });
  test.doesNotThrow(() => fc.assert(property, { numRuns: 300 }));
  test.end();
});

await t.test("answers with broken bytes get a verdict and no exception", (test) => {
  const property = fc.property(
    twoTables,
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }),
    fc.option(fc.nat()),
    ([left, right], changes, cut) => {
      const broken = framesOf(right);
      for (const [at, byte] of changes) broken[at % broken.length] = byte;
      const shown = cut === null ? broken : broken.subarray(0, cut % broken.length);
      assert.ok(compareFrames(framesOf(left), shown).kind);
      assert.ok(compareFrames(shown, framesOf(left)).kind);
      assert.notEqual(compareFrames(shown, shown).kind, "divergent");
    },
  );
  test.doesNotThrow(() => fc.assert(property, { numRuns: 2000 }));
  test.end();
});

/** Users' types made of anything, themselves included. */
const shapeOf: TypeShapes = (oid) => {
  const kinds = ["enum", "domain", "array", "composite", "range", "multirange"] as const;
  const kind = kinds[oid % 8];
  return kind && { kind, parts: [oid % 97, (oid * 7) % 100_000] };
};

await t.test("no family chokes on bytes that are not of its type", (test) => {
  const names =
    `bool int4 oid numeric float4 float8 money text bpchar bytea uuid date time timetz timestamp
    timestamptz interval jsonb inet macaddr bit point path polygon tsvector hstore record int4range
    tstzrange int4multirange _int4 _numeric _record mood`.split(/\s+/);
  const raw = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  const property = fc.property(
    fc.constantFrom(...names),
    raw,
    raw,
    fc.boolean(),
    (name, a, b, text) => {
      const types = openSideTypes((oid) => names[oid % 64], shapeOf);
      const family = name === "mood" ? types.family(10_000 + a.length) : familyOf(name);
      const [left, right] = [a, b].map((bytes) => ({
        raw: text ? bytes.toString("latin1") : bytes,
        types,
      }));
      if (left === undefined || right === undefined) return;
      family.canonical(left);
      const forth = family.compare(left, right);
      assert.equal(forth?.tolerated, family.compare(right, left)?.tolerated, name);
      family.hint?.(left, right);
      if (typeof left.raw !== "string") family.render?.(left.raw);
    },
  );
  test.doesNotThrow(() => fc.assert(property, { numRuns: 5000 }));
  test.end();
});

await t.test("values nested beyond reason are compared all the same", (test) => {
  const deep = (depth: number, core: string): Buffer =>
    selectAnswer([{ name: "v", oid: 114 }], [[`${"[".repeat(depth)}${core}${"]".repeat(depth)}`]]);
  test.equal(
    inWords(compareFrames(deep(100_000, "1"), deep(100_000, "2"))),
    "divergent json_value",
  );
  let record = Buffer.from("00000001000008c9ffffffff", "hex");
  for (let depth = 0; depth < 20_000; depth++) {
    const head = Buffer.from("00000001000008c900000000", "hex");
    head.writeInt32BE(record.length, 8);
    record = Buffer.concat([head, record]);
  }
  const other = Buffer.from(record);
  other.writeInt32BE(0x17, other.length - 8);
  const answer = (value: Buffer): Buffer =>
    selectAnswer([{ name: "v", oid: 2249, format: 1 }], [[value]]);
  test.equal(inWords(compareFrames(answer(record), answer(other))).split(" ")[0], "divergent");
  test.end();
});
