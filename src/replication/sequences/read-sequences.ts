import { OWN_SCHEMA } from "../names.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import { quoteIdent, quoteTable } from "../table-shape.ts";
import type { TableName } from "../table-shape.ts";

/** A sequence of one side and where it stands. Numbers are those of the server, up to 64 bits. */
export type SequenceState = TableName & {
  readonly oid: number;
  readonly start: bigint;
  readonly increment: bigint;
  readonly min: bigint;
  readonly max: bigint;
  readonly cycles: boolean;
  /** How many values a session takes at once; those of before a `setval` are still handed out there. */
  readonly cache: bigint;
  /** Columns that take their values from it: that own it, or draw from it by default. */
  readonly columns: readonly SequenceColumn[];
  /** undefined where the role may not look. */
  readonly position: SequencePosition | undefined;
  /** The role may set it. */
  readonly settable: boolean;
};

/** With `isCalled` the last value handed out, or put apart for it; without, the next one. */
export type SequencePosition = { readonly lastValue: bigint; readonly isCalled: boolean };

export type SequenceColumn = {
  readonly table: TableName;
  readonly column: string;
  /** The greatest and least value of its type; undefined for one that is no whole number. */
  readonly range: { readonly min: bigint; readonly max: bigint } | undefined;
  /** An index begins with it: its greatest and least value are found at once. */
  readonly isIndexed: boolean;
};

/** Since PostgreSQL 10. Owned ones depend on their column, and defaults on the sequence they draw from. */
const SEQUENCES = `
  WITH uses AS (
    SELECT d.objid AS seq, d.refobjid AS rel, d.refobjsubid AS att FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0
    UNION
    SELECT d.refobjid, f.adrelid, f.adnum FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_attrdef AS f ON f.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass),
  used AS (
    SELECT u.seq, n.nspname, c.relname, a.attname, pg_catalog.format_type(b.oid, NULL) AS type,
      EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisvalid
        AND i.indpred IS NULL AND i.indkey[0] = a.attnum) AS indexed
    FROM uses AS u JOIN pg_catalog.pg_class AS c ON c.oid = u.rel AND c.relkind IN ('r', 'p')
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = u.rel AND a.attnum = u.att
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    JOIN pg_catalog.pg_type AS b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END)
  SELECT s.seqrelid, n.nspname, c.relname, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle, s.seqcache,
    pg_catalog.has_sequence_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
    pg_catalog.has_sequence_privilege(c.oid, 'UPDATE') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('schema', u.nspname, 'name', u.relname,
       'column', u.attname, 'type', u.type, 'indexed', u.indexed)) FROM used AS u WHERE u.seq = c.oid)
  FROM pg_catalog.pg_sequence AS s JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relpersistence <> 't' AND n.nspname <> '${OWN_SCHEMA}'
    AND (EXISTS (SELECT FROM used AS u
        JOIN pg_catalog.json_to_recordset($1::pg_catalog.json) AS w(schema text, name text)
          ON w.schema = u.nspname AND w.name = u.relname
        WHERE u.seq = c.oid)
      OR (n.nspname = ANY ($2::pg_catalog.text[]) AND NOT EXISTS (SELECT FROM used AS u WHERE u.seq = c.oid)))
  ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`;

/** Positions of so many are asked for in one statement. */
const AT_ONCE = 500;

/** Sequences that the tables' columns draw from, and those of the schemas that no column of any table draws from. */
export async function readSequences(
  session: WorkSession,
  tables: readonly TableName[],
  schemas: readonly string[],
): Promise<readonly SequenceState[]> {
  const names = tables.map(({ schema, name }) => ({ schema, name }));
  const { rows } = await session.query({
    sql: SEQUENCES,
    values: [
      JSON.stringify(names),
      `{${schemas.map((name) => `"${name.replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`,
    ],
  });
  const states = rows.map((row) => stateOf(row));
  const readable = states.filter(({ isReadable }) => isReadable).map(({ state }) => state);
  const positions = await readPositions(session, readable);
  return states.map(({ state }) => ({ ...state, position: positions.get(state.oid) }));
}

/** Where sequences stand now, by oid; one statement for all. */
export async function readPositions(
  session: WorkSession,
  sequences: readonly (TableName & { readonly oid: number })[],
): Promise<ReadonlyMap<number, SequencePosition>> {
  const positions = new Map<number, SequencePosition>();
  for (let from = 0; from < sequences.length; from += AT_ONCE) {
    const selects = sequences
      .slice(from, from + AT_ONCE)
      .map(
        (each) => `SELECT ${each.oid}::text, last_value::text, is_called FROM ${quoteTable(each)}`,
      );
    const { rows } = await session.query({ sql: selects.join(" UNION ALL ") });
    for (const [oid, lastValue, isCalled] of rows) {
      positions.set(Number(oid), {
        lastValue: BigInt(lastValue ?? "0"),
        isCalled: isCalled === "t",
      });
    }
  }
  return positions;
}

/** The greatest value, or the least for a sequence that descends, of each column; undefined for an empty table. */
export async function readExtremes(
  session: WorkSession,
  columns: readonly { readonly column: SequenceColumn; readonly descends: boolean }[],
): Promise<readonly (bigint | undefined)[]> {
  const found: (bigint | undefined)[] = [];
  for (let from = 0; from < columns.length; from += AT_ONCE) {
    const selects = columns
      .slice(from, from + AT_ONCE)
      .map(
        ({ column, descends }, index) =>
          `SELECT ${index} AS at, (SELECT pg_catalog.${descends ? "min" : "max"}(${quoteIdent(column.column)})` +
          ` FROM ${quoteTable(column.table)})::text`,
      );
    const { rows } = await session.query({ sql: `${selects.join(" UNION ALL ")} ORDER BY at` });
    found.push(...rows.map(([, value]) => (value ? BigInt(value) : undefined)));
  }
  return found;
}

const RANGES: Readonly<Record<string, { readonly min: bigint; readonly max: bigint }>> = {
  smallint: { min: -(2n ** 15n), max: 2n ** 15n - 1n },
  integer: { min: -(2n ** 31n), max: 2n ** 31n - 1n },
  bigint: { min: -(2n ** 63n), max: 2n ** 63n - 1n },
};

type UsedColumn = {
  readonly schema: string;
  readonly name: string;
  readonly column: string;
  readonly type: string;
  readonly indexed: boolean;
};

function stateOf(row: readonly (string | null)[]): {
  readonly state: SequenceState;
  readonly isReadable: boolean;
} {
  const [oid, schema, name, start, increment, min, max, cycles, cache, ...more] = row;
  const [isReadable, settable, columns] = more;
  const used = columns ? (JSON.parse(columns) as UsedColumn[]) : [];
  return {
    isReadable: isReadable === "t",
    state: {
      oid: Number(oid),
      schema: schema ?? "",
      name: name ?? "",
      start: BigInt(start ?? "1"),
      increment: BigInt(increment ?? "1"),
      min: BigInt(min ?? "1"),
      max: BigInt(max ?? "1"),
      cycles: cycles === "t",
      cache: BigInt(cache ?? "1"),
      settable: settable === "t",
      position: undefined,
      columns: used.map((each) => ({
        table: { schema: each.schema, name: each.name },
        column: each.column,
        range: Object.hasOwn(RANGES, each.type) ? RANGES[each.type] : undefined,
        isIndexed: each.indexed,
      })),
    },
  };
}
