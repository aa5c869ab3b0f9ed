import type { Mistake } from "./mistakes.ts";

const entry = (text: string): string => `    replication: { mapping: [{ ${text} }] }`;

const WHERE = "7:30 migrations[0].replication.mapping[0]";

/** Mistakes of the `replication` section. */
export const REPLICATION_MISTAKES: readonly Mistake[] = [
  {
    why: "an unknown key of replication",
    more: "    replication: { wal_buget: 1GiB }",
    says: [
      "7:20 migrations[0].replication.wal_buget: unknown key wal_buget: did you mean wal_budget?",
    ],
  },
  {
    why: "an unknown key of a mapping",
    more: entry("table: a.b, column: { a: b }"),
    says: [
      "7:44 migrations[0].replication.mapping[0].column: unknown key column: did you mean columns?",
    ],
  },
  {
    why: "an unknown policy",
    more: "    replication: { ddl: additiv }",
    says: [
      "7:25 migrations[0].replication.ddl: expected stop, additive or ignore: did you mean additive?",
    ],
  },
  {
    why: "tables without their schema",
    more: "    replication: { tables: [orders] }",
    says: [
      "7:29 migrations[0].replication.tables[0]: expected schema.table, either with * in it, and ! before what is left out",
    ],
  },
  {
    why: "no table at all",
    more: "    replication: { tables: [] }",
    says: ["7:28 migrations[0].replication.tables: must not be empty"],
  },
  {
    why: "a mapping of nothing",
    more: entry("to: a.b"),
    says: [`${WHERE}: needs a table or a schema`],
  },
  {
    why: "a mapping of both",
    more: entry("table: a.b, schema: a, to: c"),
    says: [`${WHERE}: needs a table or a schema`],
  },
  {
    why: "a schema with columns",
    more: entry("schema: a, to: b, columns: { c: d }"),
    says: [`${WHERE}: a schema takes only to, its name on NEW`],
  },
  {
    why: "a table that becomes something without a schema",
    more: entry("table: a.b, to: c"),
    says: [`${WHERE}: to: expected schema.table, the name on NEW`],
  },
  {
    why: "two columns that become one",
    more: entry("table: a.b, columns: { c: e, d: e }"),
    says: [`${WHERE}: columns: two columns become one`],
  },
  {
    why: "a constant where a column goes",
    more: entry('table: a.b, columns: { c: e }, constants: { e: "1" }'),
    says: [`${WHERE}: constants: a column of NEW is both a constant and a renamed column`],
  },
  {
    why: "a dropped column that is converted",
    more: entry("table: a.b, columns: { c: null }, convert: { c: boolean_to_integer }"),
    says: [`${WHERE}: convert: a column is converted and dropped`],
  },
  {
    why: "a number as a constant: its spelling on NEW is not known",
    more: entry("table: a.b, constants: { tenant: 7 }"),
    says: [
      "7:65 migrations[0].replication.mapping[0].constants.tenant: expected text or null, found a number: put it in quotes",
    ],
  },
  {
    why: "a filter that lets nothing pass",
    more: entry("table: a.b, where: { column: c, in: [] }"),
    says: ["7:68 migrations[0].replication.mapping[0].where.in: must not be empty"],
  },
  {
    why: "one table mapped twice",
    more: "    replication: { mapping: [{ table: a.b, to: c.d }, { table: a.b, to: c.e }] }",
    says: ["7:64 migrations[0].replication.mapping[1].table: another entry maps this table"],
  },
  {
    why: "two tables that become one",
    more: "    replication: { mapping: [{ table: a.b, to: c.d }, { table: a.c, to: c.d }] }",
    says: ["7:73 migrations[0].replication.mapping[1].to: another table becomes this one"],
  },
  {
    why: "replication without the roles for it",
    more: "    replication: { managed: true }",
    says: [
      "4:10 migrations[0].old: replication needs the role that administers it: set admin",
      "5:10 migrations[0].new: replication needs the role that administers it: set admin",
    ],
  },
  {
    why: "writes that would come twice",
    lines: {
      4: '    old: { url: "postgres://app@old/orders", admin: "postgres://t@old/orders" }',
      5: '    new: { url: "postgres://app@new/orders", admin: "postgres://t@new/orders" }',
    },
    more: "    replication: { managed: true }\n    shadow: { writes: apply }",
    says: [
      "8:23 migrations[0].shadow.writes: would write twice: replication (managed: true) brings every write to NEW",
    ],
  },
];
