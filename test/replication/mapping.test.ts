import fc from "fast-check";
import tap from "tap";
import { compileMapping } from "../../src/replication/mapping/compile-mapping.ts";
import type { CompiledMapping } from "../../src/replication/mapping/compile-mapping.ts";
import type { MappingInput } from "../../src/replication/mapping/mapping-input.ts";
import { readShapesThere, targetNameOf } from "../../src/replication/mapping/mapping-input.ts";
import { probeCasts } from "../../src/replication/mapping/probe-casts.ts";
import { countMisfits } from "../../src/replication/mapping/count-misfits.ts";
import { compileTried } from "../../src/replication/mapping/compile-tried.ts";
import { readTypeFacts } from "../../src/replication/mapping/type-facts.ts";
import { readTableShapes } from "../../src/replication/read-shapes.ts";
import type { RowProgram } from "../../src/replication/mapping/row-program.ts";
import { UNCHANGED } from "../../src/replication/source/source-transaction.ts";
import type { SourceRelation, SourceRow } from "../../src/replication/source/source-transaction.ts";
import type { TableShape } from "../../src/replication/table-shape.ts";
import { startWorkSide, stopSides } from "./work-pair.ts";

const [old, fresh] = await Promise.all([startWorkSide(14), startWorkSide(16)]);
tap.teardown(() => stopSides([old, fresh]));

const NOTHING: MappingInput = { tables: [], schemas: [] };

type Entry = Partial<MappingInput["tables"][number]>;

/** The mapping of one table, `a.t`. */
function entry(given: Entry): MappingInput {
  const nothing = { to: undefined, columns: {}, constants: {}, convert: {}, where: undefined };
  return { schemas: [], tables: [{ table: { schema: "a", name: "t" }, ...nothing, ...given }] };
}

/** Makes `a.t` on both sides, whatever was there. */
async function compiled(
  oldSql: string,
  newSql: string,
  input: MappingInput = NOTHING,
): Promise<CompiledMapping> {
  const clean = (sql: string): string =>
    `drop schema if exists a, b cascade; create schema a; ${sql}`;
  await Promise.all([old.session.execute(clean(oldSql)), fresh.session.execute(clean(newSql))]);
  const sources = await readTableShapes(old.ask, [{ schema: "a", name: "t" }]);
  const targets = await readShapesThere(
    fresh.ask,
    sources.map((source) => targetNameOf(input, source)),
  );
  return compileMapping(input, sources, targets, {
    source: await readTypeFacts(old.ask, sources),
    target: await readTypeFacts(fresh.ask, targets),
  });
}

/** A relation as the log describes a table. */
function relationOf(shape: TableShape): SourceRelation {
  return {
    schema: shape.schema,
    name: shape.name,
    oid: shape.oid,
    identity: shape.identityKind,
    columns: shape.columns
      .filter((column) => !column.generated)
      .map(({ name, typeOid }) => ({
        name,
        typeOid,
        typeModifier: -1,
        isKey: shape.identity.includes(name),
      })),
  };
}

function row(...values: readonly (string | null)[]): SourceRow {
  return values.map((value) => (value === null ? null : Buffer.from(value)));
}

function texts(values: SourceRow): (string | null)[] {
  return values.map((value) =>
    Buffer.isBuffer(value) ? value.toString() : value === null ? null : "unchanged",
  );
}

function there(program: RowProgram | undefined): RowProgram {
  if (program === undefined) throw new Error("no program");
  return program;
}

await tap.test("tables of the same shape pass through as they are, and back", async (t) => {
  const sql =
    "create table a.t (id bigint primary key, v varchar(50), n numeric(10,2), e int generated always as (1) stored)";
  const { tables, problems, notes } = await compiled(sql, sql);
  t.strictSame([problems, notes], [[], []]);
  const { forward, reverse } = tables[0] ?? {};
  t.match(forward, {
    isPlain: true,
    key: [{ target: "id", source: "id" }],
    overridesIdentity: false,
  });
  t.equal(reverse?.isPlain, true);
  t.strictSame(
    forward?.columns.map(({ name }) => name),
    ["id", "v", "n"],
  );
  const values = row("1", "x", "2.50");
  t.equal(forward?.bind(relationOf(forward.source)).values(values), values, "without a copy");
});

await tap.test(
  "columns are found by name, whatever their order and whatever is gone",
  async (t) => {
    const { tables } = await compiled(
      "create table a.t (x int, id int primary key, y int, z text)",
      "create table a.t (id int primary key, z text not null default '', x int, y int)",
    );
    const forward = there(tables[0]?.forward);
    const relation = relationOf(forward.source);
    const bound = forward.bind(relation);
    t.strictSame(texts(bound.values(row("1", "2", "3", "z"))), ["2", "z", "1", "3"]);
    t.strictSame(texts(bound.keyOf(row(null, "2", null, null))), ["2"]);
    t.strictSame(texts(bound.values([...row("1", "2", "3"), UNCHANGED])), [
      "2",
      "unchanged",
      "1",
      "3",
    ]);
    const without = (name: string): SourceRelation => ({
      ...relation,
      columns: relation.columns.filter((column) => column.name !== name),
    });
    const reduced = forward.bind(without("x"));
    t.strictSame(
      reduced.program.columns.map(({ name }) => name),
      ["id", "z", "y"],
    );
    t.strictSame(texts(reduced.values(row("2", "3", "z"))), ["2", "z", "3"]);
    t.throws(() => forward.bind(without("id")), /no values any more for column "id"/);
    const nameless = relation.columns.map((column) => ({ ...column, isKey: false }));
    t.throws(() => forward.bind({ ...relation, columns: nameless }), /replica identity/);
  },
);

await tap.test("names, constants, filters and conversions go there and come back", async (t) => {
  const { tables, problems } = await compiled(
    "create table a.t (id int, email varchar(50), note text, active boolean, region text, primary key (id, region))",
    `create table a.c (tenant_id int not null, id int, email_address text, active int, region text,
       primary key (tenant_id, id, region))`,
    entry({
      to: { schema: "a", name: "c" },
      columns: { email: "email_address", note: null },
      constants: { tenant_id: "7" },
      convert: { active: "boolean_to_integer" },
      where: { column: "region", in: ["eu", null] },
    }),
  );
  t.strictSame(problems, []);
  const forward = there(tables[0]?.forward).bind(relationOf(there(tables[0]?.forward).source));
  const there7 = forward.values(row("1", "a@b", "n", "t", "eu"));
  t.strictSame(texts(there7), ["7", "1", "a@b", "1", "eu"]);
  t.strictSame(texts(forward.keyOf(row("1", null, null, null, "eu"))), ["1", "eu", "7"]);
  t.strictSame(
    forward.program.key.map(({ target }) => target),
    ["id", "region", "tenant_id"],
  );
  t.strictSame(
    ["eu", "us", null].map((region) => forward.passes(row("1", null, null, null, region))),
    [true, false, true],
  );
  t.throws(() => forward.passes([...row("1", null, null, null), UNCHANGED]), /does not repeat/);
  t.strictSame(forward.program.emptied, [{ source: "tenant_id", oneOf: ["7"] }]);
  const program = there(tables[0]?.reverse);
  const reverse = program.bind(relationOf(program.source));
  t.strictSame(
    program.columns.map(({ name }) => name),
    ["id", "email", "active", "region"],
  );
  t.strictSame(texts(reverse.values(there7)), ["1", "a@b", "t", "eu"]);
  t.strictSame(
    [reverse.passes(there7), reverse.passes(row("8", "1", "", "1", "eu"))],
    [true, false],
  );
  t.strictSame(program.emptied, [{ source: "region", oneOf: ["eu", null] }]);
  t.throws(() => reverse.values(row("7", "1", "a@b", "2", "eu")), /neither 0 nor 1/);
  const long = row("7", "1", "x".repeat(51), "1", "eu");
  t.throws(() => reverse.values(long), { key: { id: "1", region: "eu" }, message: /narrower/ });
});

/** What two types are to each other: whether values get there and what is said where not. */
const CASTS: readonly (readonly [
  from: string,
  to: string,
  says: RegExp | "plain" | "guarded" | "checked",
])[] = [
  ["varchar(50)", "text", "plain"],
  ["text", "varchar(50)", "guarded"],
  ["int", "bigint", "plain"],
  ["bigint", "int", "checked"],
  ["numeric(10,2)", "numeric", "plain"],
  ["numeric", "numeric(10,2)", "guarded"],
  ["numeric(10,2)", "int", /does not read/],
  ["real", "double precision", "plain"],
  ["double precision", "real", "guarded"],
  ["bigint", "double precision", "guarded"],
  ["timestamp", "timestamptz", "plain"],
  ["timestamptz", "date", "guarded"],
  ["date", "timestamp", "plain"],
  ["timestamp", "timestamp(3)", "guarded"],
  ["boolean", "int", /cannot become/],
  ["boolean", "text", "plain"],
  ["uuid", "text", "plain"],
  ["text", "uuid", "checked"],
  ["json", "jsonb", "checked"],
  ["jsonb", "json", "plain"],
  ["bytea", "text", /does not read/],
  ["text", "bytea", /does not read/],
  ["uuid", "int", /does not read/],
  ["int[]", "bigint[]", "plain"],
  ["numeric[]", "numeric(5,2)[]", /would be changed/],
  ["text[]", "int", /does not read/],
  ["a.mood", "a.mood", /may hold 'sad'/],
  ["a.mood", "text", "plain"],
  ["a.code", "varchar(5)", "guarded"],
  ["a.code", "varchar(10)", "plain"],
  ["int4range", "int4range", "plain"],
  ["bit(3)", "bit(4)", "checked"],
  ["char(5)", "text", "plain"],
  ["inet", "cidr", "checked"],
  ["macaddr8", "macaddr", /does not read/],
  ["interval", "interval(2)", "guarded"],
];

await tap.test("whether one type reads the other is known for each pair", async (t) => {
  const types = (labels: string): string =>
    `create type a.mood as enum (${labels}); create domain a.code as varchar(10)`;
  for (const [from, to, says] of CASTS) {
    const { tables, problems, doubts } = await compiled(
      `${types("'ok', 'sad'")}; create table a.t (id int primary key, v ${from})`,
      `${types("'ok'")}; create table a.t (id int primary key, v ${to})`,
    );
    const what = `${from} to ${to}`;
    if (says instanceof RegExp) {
      t.match(problems.map(({ message }) => message).join(), says, what);
      continue;
    }
    const forward = tables[0]?.forward;
    const fit = forward?.fits?.[1];
    const kind = fit === undefined ? "plain" : fit.isSilent ? "guarded" : "checked";
    t.strictSame([doubts, problems], [[], []], what);
    t.equal(forward === undefined ? "none" : kind, says, what);
    t.equal(forward?.isPlain, says !== "guarded", what);
  }
});

await tap.test("what cannot be is said before anything is moved, with its cure", async (t) => {
  const cases: readonly (readonly [
    from: string,
    to: string,
    input: MappingInput,
    says: RegExp,
    cure: RegExp,
  ])[] = [
    [
      "id int primary key, v int",
      "id int primary key",
      NOTHING,
      /has no column "v"/,
      /ADD COLUMN "v" integer/,
    ],
    [
      "id int primary key",
      "id int primary key, v int not null",
      NOTHING,
      /nothing fills it/,
      /DROP NOT NULL/,
    ],
    ["id int primary key", "id int", NOTHING, /no key of a.t holds/, /CREATE UNIQUE INDEX/],
    [
      "id int primary key, b int not null unique",
      "id int, b int primary key",
      NOTHING,
      /no key of a.t holds/,
      /"id"/,
    ],
    ["id int", "id int", NOTHING, /which row of a.t is changed/, /REPLICA IDENTITY FULL/],
    [
      "id int primary key, g int generated always as (1) stored",
      "id int primary key, g int",
      NOTHING,
      /is computed there/,
      /compute "g"/,
    ],
    [
      "id int primary key",
      "id int primary key",
      entry({ columns: { x: "y" } }),
      /has no column "x"/,
      /mend columns/,
    ],
    [
      "id int primary key",
      "id int primary key",
      entry({ constants: { k: "1" } }),
      /has no column "k"/,
      /constants/,
    ],
    [
      "id int primary key, r text",
      "id int primary key, r text",
      entry({ where: { column: "r", in: ["a"] } }),
      /before they are changed/,
      /REPLICA IDENTITY FULL/,
    ],
    [
      "id int primary key",
      "id int primary key",
      entry({ to: { schema: "a", name: "gone" } }),
      /no table a.gone/,
      /schema/,
    ],
    [
      "id int primary key",
      "id int primary key",
      entry({ table: { schema: "a", name: "u" } }),
      /not among the tables/,
      /tables/,
    ],
  ];
  for (const [from, to, input, says, cure] of cases) {
    const { tables, problems } = await compiled(
      `create table a.t (${from})`,
      `create table a.t (${to})`,
      input,
    );
    t.match(problems, [{ table: /^a\.[tu]$/, message: says, cure }], String(says));
    t.equal(tables.length, problems[0]?.table === "a.u" ? 1 : 0);
  }
  const { problems } = await compiled(
    "create unlogged table a.t (id int primary key)",
    "create table a.t (id int primary key)",
  );
  t.match(problems, [{ message: /unlogged/, cure: /SET LOGGED/ }]);
});

await tap.test(
  "a way back that cannot be is named with its reason, and the way there stays",
  async (t) => {
    const cases: readonly (readonly [
      from: string,
      to: string,
      input: MappingInput,
      why: RegExp,
    ])[] = [
      [
        "id int primary key, n int not null",
        "id int primary key",
        entry({ columns: { n: null } }),
        /nothing fills it/,
      ],
      [
        "id int primary key, n int",
        "id int primary key, n int generated always as (1) stored",
        NOTHING,
        /log does not carry it/,
      ],
      ["id int primary key, n macaddr", "id int primary key, n macaddr8", NOTHING, /does not read/],
    ];
    for (const [from, to, input, why] of cases) {
      const { tables, problems } = await compiled(
        `create table a.t (${from})`,
        `create table a.t (${to})`,
        input,
      );
      t.strictSame(problems, []);
      t.match(tables, [{ reverse: undefined, whyNoInverse: why }]);
    }
    const { tables } = await compiled(
      "create table a.t (id int primary key, n int not null default 5, r text not null)",
      "create table a.t (id int primary key)",
      entry({ columns: { n: null, r: null }, where: undefined }),
    );
    t.match(tables, [{ reverse: undefined, whyNoInverse: /"r" of a.t must not be NULL/ }]);
  },
);

await tap.test("keys: full identities, keys of partitioned tables, rows without any", async (t) => {
  const full = "; alter table a.t replica identity full";
  const plain = await compiled(
    `create table a.t (id int, v text)${full}`,
    `create table a.t (id int, v text)${full}`,
  );
  const program = there(plain.tables[0]?.forward);
  t.strictSame(program.key, []);
  t.strictSame(texts(program.bind(relationOf(program.source)).keyOf(row("1", "x"))), ["1", "x"]);
  const wider = await compiled(
    "create table a.t (id int primary key, at date not null)",
    "create table a.t (id int, at date, primary key (at, id)) partition by range (at)",
  );
  t.strictSame(wider.tables[0]?.forward.key, [{ target: "id", source: "id" }]);
  t.match(wider.notes, [{ note: /alone names a row/ }]);
  t.strictSame(wider.tables[0]?.reverse?.key, [{ target: "id", source: "id" }]);
  const always = "create table a.t (id int generated always as identity primary key)";
  t.equal((await compiled(always, always)).tables[0]?.forward.overridesIdentity, true);
});

await tap.test("types that only a try can tell are tried", async (t) => {
  const type = (attributes: string): string =>
    `create type a.p as (${attributes}); create table a.t (id int primary key, v a.p)`;
  const apart = await compiled(type("x int, y int"), type("x int, y text"));
  t.match(apart.doubts, [{ column: "v", type: "a.p" }]);
  t.equal(apart.tables[0]?.reverse, undefined);
  await old.session.execute("insert into a.t values (1, row(1, 2)), (2, null)");
  t.strictSame(await probeCasts(old.session, fresh.session, apart.doubts), []);
  const wrong = await compiled(type("x int, y text"), type("x int, y int"));
  await old.session.execute(`insert into a.t values (1, row(1, 'a "quoted" \\ word'))`);
  t.match(await probeCasts(old.session, fresh.session, wrong.doubts), [
    { message: /SQLSTATE 22P02/ },
  ]);
  const a = [{ schema: "a", name: "t" }];
  const read = await compileTried(old.session, fresh.session, NOTHING, {
    sources: await readTableShapes(old.ask, a),
    targets: await readTableShapes(fresh.ask, a),
  });
  t.match(read, { tables: [], problems: [{ message: /SQLSTATE 22P02/ }] });
});

await tap.test("rows that would no longer fit OLD are counted, and told of in words", async (t) => {
  const labels = (list: string): string => `create type a.mood as enum (${list})`;
  const { tables } = await compiled(
    `${labels("'ok'")}; create table a.t (id int primary key, v varchar(3), i int not null, n numeric(5,2), m a.mood, d date, f real, u uuid, at timestamp(3), c char(3), x numeric(5,2))`,
    `${labels("'ok', 'sad'")}; create table a.t (id bigint primary key, v text, i bigint, n numeric, m a.mood, d timestamp, f float8, u text, at timestamp, c text, x text)`,
  );
  const uuid = "00000000-0000-0000-0000-000000000000";
  const good = [
    "2147483647",
    "äöü",
    "1",
    "999.990",
    "ok",
    "2024-01-01 00:00:00",
    "0.1",
    uuid,
    "2024-01-01 00:00:00.123",
    "ab    ",
    "1.5",
  ];
  const bad = [
    "2147483648",
    "äöüß",
    null,
    "1.005",
    "sad",
    "2024-01-01 00:00:01",
    "0.123456789",
    "x",
    "2024-01-01 00:00:00.1234",
    "abcd",
    "1.005",
  ];
  await fresh.session.query({
    sql: `insert into a.t values ${[good, bad].map((_row, at) => `(${good.map((_v, i) => `$${at * good.length + i + 1}`).join()})`).join()}`,
    values: [...good, ...bad],
  });
  const counted = await countMisfits(fresh.session, tables, "UTF8");
  t.strictSame(counted.unasked, []);
  t.strictSame(
    counted.misfits.map(({ column, count }) => [column, count]),
    ["id", "v", "i", "n", "m", "d", "f", "u", "at", "c", "x"].map((column) => [column, 1]),
  );
  t.equal(
    counted.misfits[1]?.sentence,
    '1 row of a.t holds values in "v" longer than 3 characters, which a.t cannot hold',
  );
  const latin = await countMisfits(fresh.session, tables, "LATIN1");
  t.notOk(latin.misfits.some(({ sentence }) => sentence.includes("LATIN1")));
  await fresh.session.execute("update a.t set u = '€' where id = 2147483648");
  const euro = await countMisfits(fresh.session, tables, "LATIN1");
  t.match(euro.misfits.at(-1), { column: "u", count: 1, sentence: /LATIN1/ });
});

await tap.test("there and back is where it was, for every program with an inverse", async (t) => {
  const base = (
    await compiled(
      "create table a.t (id int primary key, v text)",
      "create table a.t (id int primary key, v text)",
    )
  ).tables[0];
  const [key, text] = there(base?.forward).source.columns;
  if (key === undefined || text === undefined) throw new Error("no columns");
  const value = fc.option(fc.string({ maxLength: 8 }), { nil: null });
  const column = fc.record({
    rename: fc.boolean(),
    kind: fc.constantFrom("copy", "drop", "boolean", "widen"),
    value,
    bit: fc.boolean(),
    unchanged: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(column, { maxLength: 8 }),
      fc.integer(),
      fc.boolean(),
      (columns, seed, isTenant) => {
        const boolean = { ...text, type: "boolean", typeName: "boolean", typeOid: 16 };
        const integer = { ...text, type: "integer", typeName: "integer", typeOid: 23 };
        const narrow = {
          ...text,
          type: "character varying(8)",
          typeName: "character varying",
          typeOid: 1043,
        };
        const parts = columns.map((each, index) => ({
          ...each,
          name: `c${index}`,
          to: each.rename ? `r${index}` : `c${index}`,
          source: { copy: text, drop: text, boolean, widen: narrow }[each.kind],
          target: each.kind === "boolean" ? integer : text,
          text:
            each.kind === "boolean" && each.value !== null ? (each.bit ? "t" : "f") : each.value,
        }));
        const kept = parts.filter(({ kind }) => kind !== "drop");
        const shape = { ...there(base?.forward).source };
        const source = {
          ...shape,
          columns: [key, ...parts.map((part) => ({ ...part.source, name: part.name }))],
        };
        const shuffled = kept.toSorted(
          (a, b) => ((seed >> a.name.length) & 1) - (b.rename ? 1 : 0),
        );
        const tenant = { ...key, name: "tenant" };
        const target = {
          ...shape,
          primaryKey: isTenant ? ["tenant", "id"] : ["id"],
          identity: isTenant ? ["tenant", "id"] : ["id"],
          columns: [
            ...shuffled.map((part) => ({ ...part.target, name: part.to })),
            key,
            ...(isTenant ? [tenant] : []),
          ],
        };
        const { tables } = compileMapping(
          entry({
            columns: Object.fromEntries(
              parts
                .filter(({ rename, kind }) => rename || kind === "drop")
                .map((part) => [part.name, part.kind === "drop" ? null : part.to]),
            ),
            convert: Object.fromEntries(
              parts
                .filter(({ kind }) => kind === "boolean")
                .map(({ name }) => [name, "boolean_to_integer" as const]),
            ),
            constants: isTenant ? { tenant: "7" } : {},
          }),
          [source],
          [target],
        );
        const there1 = there(tables[0]?.forward).bind(relationOf(source));
        const back1 = there(tables[0]?.reverse);
        const before: SourceRow = [
          Buffer.from(String(seed)),
          ...parts.map((part) =>
            part.unchanged ? UNCHANGED : part.text === null ? null : Buffer.from(part.text),
          ),
        ];
        const moved = there1.values(before);
        const inverse = back1.bind(relationOf(target));
        const placed = target.columns.map(
          ({ name }) =>
            moved[there1.program.columns.findIndex((each) => each.name === name)] ?? null,
        );
        if (!inverse.passes(placed)) return false;
        const after = inverse.values(placed);
        return back1.columns.every(({ name }, index) => {
          const original = before[source.columns.findIndex((each) => each.name === name)];
          return String(original) === String(after[index]);
        });
      },
    ),
    { numRuns: 500 },
  );
  t.pass("500 programs");
});
