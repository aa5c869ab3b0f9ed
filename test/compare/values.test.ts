import { Buffer } from "node:buffer";
import t from "tap";
import type { Verdict } from "../../src/compare/verdict.ts";
import { compareFrames, inWords, selectAnswer } from "./answers.ts";
import type { CellSpec } from "./answers.ts";
import { VALUE_PAIRS } from "./value-pairs.ts";

/** Oids of the two databases: those of users' types differ. */
const OIDS: Readonly<Record<string, readonly [primary: number, shadow: number]>> = {
  hstore: [16_401, 17_002],
  mood: [16_402, 17_003],
  _mood: [16_403, 17_004],
  address: [16_404, 17_005],
  citext: [16_405, 17_006],
  ltree: [16_406, 17_007],
  cube: [16_407, 17_008],
};
const BUILTIN_OIDS: Readonly<Record<string, number>> = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  xml: 142,
  point: 600,
  lseg: 601,
  path: 602,
  box: 603,
  polygon: 604,
  line: 628,
  cidr: 650,
  float4: 700,
  float8: 701,
  circle: 718,
  money: 790,
  macaddr: 829,
  inet: 869,
  _bool: 1000,
  _int4: 1007,
  _text: 1009,
  _box: 1020,
  _float8: 1022,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  _timestamptz: 1185,
  interval: 1186,
  _numeric: 1231,
  timetz: 1266,
  bit: 1560,
  varbit: 1562,
  numeric: 1700,
  record: 2249,
  uuid: 2950,
  tsvector: 3614,
  tsquery: 3615,
  pg_lsn: 3220,
  tid: 27,
  pg_snapshot: 5038,
  jsonpath: 4072,
  regclass: 2205,
  int2vector: 22,
  oidvector: 30,
  jsonb: 3802,
  int4range: 3904,
  numrange: 3906,
  tstzrange: 3910,
  daterange: 3912,
  int4multirange: 4451,
};

function oidsOf(type: string): readonly [number, number] {
  const builtin = BUILTIN_OIDS[type];
  const oids = OIDS[type] ?? (builtin === undefined ? undefined : ([builtin, builtin] as const));
  if (oids === undefined) throw new Error(`no oid for ${type}`);
  return oids;
}

function typeNames(side: 0 | 1): (oid: number) => string | undefined {
  const names = new Map(Object.entries(OIDS).map(([name, oids]) => [oids[side], name]));
  return (oid) => names.get(oid);
}

/** `#` and hexadecimal digits stand for the binary format, `~` for NULL. */
function parse(spec: string): { readonly cell: CellSpec; readonly format: 0 | 1 } {
  if (spec === "~") return { cell: null, format: 0 };
  if (/^#(?:[\da-f]{2})*$/.test(spec))
    return { cell: Buffer.from(spec.slice(1), "hex"), format: 1 };
  return { cell: spec, format: 0 };
}

function compareSpecs(type: string, primary: string, shadow: string): Verdict {
  const [a, b] = [parse(primary), parse(shadow)];
  const format = a.format === 1 || b.format === 1;
  const oids = oidsOf(type);
  const answer = (side: 0 | 1): Buffer => {
    const { cell, format: own } = side === 0 ? a : b;
    const column = {
      name: "v",
      oid: oids[side],
      format: cell === null && format ? 1 : own,
    } as const;
    return selectAnswer([column], [[cell]]);
  };
  return compareFrames(answer(0), answer(1), {
    primaryTypes: typeNames(0),
    shadowTypes: typeNames(1),
  });
}

for (const [type, pairs] of Object.entries(VALUE_PAIRS)) {
  await t.test(`${type}: values are compared by what they mean`, (test) => {
    for (const [primary, shadow, expected] of pairs) {
      test.equal(inWords(compareSpecs(type, primary, shadow)), expected, `${primary} / ${shadow}`);
    }
    test.end();
  });
}

await t.test("a verdict is the same kind whichever side is primary", (test) => {
  for (const [type, pairs] of Object.entries(VALUE_PAIRS)) {
    for (const [primary, shadow] of pairs) {
      const forth = inWords(compareSpecs(type, primary, shadow));
      test.equal(
        inWords(compareSpecs(type, shadow, primary)),
        forth,
        `${type} ${primary} / ${shadow}`,
      );
    }
  }
  test.end();
});

await t.test("a value compared with itself matches", (test) => {
  for (const [type, pairs] of Object.entries(VALUE_PAIRS)) {
    for (const value of pairs.flatMap(([primary, shadow]) => [primary, shadow])) {
      test.equal(inWords(compareSpecs(type, value, value)), "match", `${type} ${value}`);
    }
  }
  test.end();
});

await t.test("the table is as large as the families ask for", (test) => {
  const count = Object.values(VALUE_PAIRS).reduce((sum, pairs) => sum + pairs.length, 0);
  test.ok(count >= 250, `${count} pairs of values`);
  test.end();
});
