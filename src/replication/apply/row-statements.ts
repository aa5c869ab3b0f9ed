import type { WorkStatement } from "../../upstream/work-session.ts";
import type { SourceRow, SourceValue } from "../source/source-transaction.ts";
import { UNCHANGED } from "../source/source-transaction.ts";
import { arrayLiteral } from "./array-literal.ts";
import type { RowChange } from "./row-writer.ts";
import type { Batch } from "./schedule.ts";
import type { TargetColumn, TargetTable } from "./target-table.ts";

/** A statement and how many rows it must change; undefined where any number is right. */
export type RowStatement = WorkStatement & { readonly expected: number | undefined };

type Value = Uint8Array | null;

/** One statement for all changes of a batch, each of another row. The table has a key, unless they are inserts. */
export function batchStatement(table: TargetTable, batch: Batch): RowStatement {
  const [first] = batch.changes;
  if (first !== undefined && (batch.changes.length === 1 || table.columns.length === 0))
    return singleStatement(table, first, batch.shape);
  const expected = batch.changes.length;
  const arrayOf = (column: TargetColumn, valueOf: (change: RowChange) => SourceValue | undefined) =>
    arrayLiteral(
      batch.changes.map((change) => known(valueOf(change))),
      column.type.inArrays ? column.type.delimiter : undefined,
    );
  const keys = (): Buffer[] =>
    table.key.map((column, index) => arrayOf(column, (change) => keyOf(change)[index]));
  switch (batch.kind) {
    case "insert": {
      const from = unnested(table.columns, "c", 0);
      return {
        sql: `INSERT INTO ${table.name} (${list(table.columns)})${table.overriding} SELECT ${from.values.join(", ")} FROM unnest(${from.parameters}) AS v(${from.names})`,
        values: table.columns.map((column, index) =>
          arrayOf(column, (change) => valuesOf(change)[index]),
        ),
        expected,
      };
    }
    case "delete": {
      const from = unnested(table.key, "k", 0);
      return {
        sql: `DELETE FROM ${table.itself} AS t USING unnest(${from.parameters}) AS v(${from.names}) WHERE ${keyJoin(table, from.values)}`,
        values: keys(),
        expected,
      };
    }
    case "update": {
      const places = placesToSet(table, batch.shape);
      const set = places.map((place) => columnAt(table, place));
      const key = unnested(table.key, "k", 0);
      const fresh = unnested(set, "c", table.key.length);
      const parameters = [key.parameters, fresh.parameters].filter(Boolean).join(", ");
      const names = [key.names, fresh.names].filter(Boolean).join(", ");
      return {
        sql: `UPDATE ${table.itself} AS t SET ${assignments(table, set, fresh.values)} FROM unnest(${parameters}) AS v(${names}) WHERE ${keyJoin(table, key.values)}${guards(set, fresh.values)}`,
        values: [
          ...keys(),
          ...set.map((column, index) =>
            arrayOf(column, (change) => valuesOf(change)[places[index] ?? -1]),
          ),
        ],
        expected,
      };
    }
  }
}

/** One change by itself: of the one row with its key, or of one of those that equal it where there is no key. */
export function singleStatement(
  table: TargetTable,
  change: RowChange,
  shape: string,
): RowStatement {
  const expected = 1;
  if (change.kind === "insert") {
    if (table.columns.length === 0)
      return { sql: `INSERT INTO ${table.name} DEFAULT VALUES`, expected };
    const values = table.columns.map((column, index) => cast(column, index + 1)).join(", ");
    return {
      sql: `INSERT INTO ${table.name} (${list(table.columns)})${table.overriding} VALUES (${values})`,
      values: change.values.map(known),
      expected,
    };
  }
  const found = table.key.length === 0 ? byAllValues(table, change.key) : byKey(table, change.key);
  if (change.kind === "delete")
    return {
      sql: `${found.before}DELETE FROM ${table.itself} AS t${found.using} WHERE ${found.where}`,
      values: found.values,
      expected,
    };
  const places = placesToSet(table, shape);
  const set = places.map((place) => columnAt(table, place));
  const offset = found.values.length;
  const fresh = set.map((column, index) => cast(column, offset + index + 1));
  const values = [...found.values, ...places.map((place) => known(change.values[place]))];
  if (set.some(({ always }) => always))
    return { ...moved(table, shape, found, { places, fresh }), values, expected };
  return {
    sql: `${found.before}UPDATE ${table.itself} AS t SET ${assignments(table, set, fresh)}${found.from} WHERE ${found.where}`,
    values,
    expected,
  };
}

type Found = {
  readonly before: string;
  readonly from: string;
  readonly using: string;
  readonly where: string;
  readonly values: readonly Value[];
};

function byKey(table: TargetTable, key: SourceRow): Found {
  const where = table.key.map((column, i) => `t.${column.name} = ${cast(column, i + 1)}`);
  return { before: "", from: "", using: "", where: where.join(" AND "), values: key.map(known) };
}

/** Rows that are equal cannot be told apart, so any one of them will do. */
function byAllValues(table: TargetTable, row: SourceRow): Found {
  const values: Value[] = [];
  const equal = table.columns.map((column, index) => {
    const value = known(row[index]);
    if (value === null) return `${column.name} IS NULL`;
    values.push(value);
    const { name, type } = column;
    return type.comparable
      ? `${name} = ${cast(column, values.length)}`
      : `${name}::pg_catalog.text = ${textCast(column, values.length)}`;
  });
  const where = equal.length === 0 ? "true" : equal.join(" AND ");
  if (!table.partitioned)
    return {
      before: "",
      from: "",
      using: "",
      where: `t.ctid = (SELECT ctid FROM ${table.itself} WHERE ${where} LIMIT 1)`,
      values,
    };
  return {
    before: `WITH v AS MATERIALIZED (SELECT tableoid, ctid FROM ${table.itself} WHERE ${where} LIMIT 1) `,
    from: " FROM v",
    using: " USING v",
    where: "t.tableoid = v.tableoid AND t.ctid = v.ctid",
    values,
  };
}

/** An UPDATE may not set a column GENERATED ALWAYS AS IDENTITY: the row is made anew with the rest of what it was. */
function moved(
  table: TargetTable,
  shape: string,
  found: Found,
  { places, fresh }: { readonly places: readonly number[]; readonly fresh: readonly string[] },
): { readonly sql: string } {
  const values = table.columns.map((column, place) => {
    const index = shape[place] === "s" ? places.indexOf(place) : -1;
    return index === -1 ? `d.${column.name}` : fresh[index];
  });
  const ctes = found.before === "" ? "WITH " : `${found.before}, `;
  return {
    sql: `${ctes}d AS (DELETE FROM ${table.itself} AS t${found.using} WHERE ${found.where} RETURNING t.*) INSERT INTO ${table.name} (${list(table.columns)}) OVERRIDING SYSTEM VALUE SELECT ${values.join(", ")} FROM d`,
  };
}

function placesToSet(table: TargetTable, shape: string): number[] {
  return table.columns.flatMap((_, place) => (shape[place] === "s" ? [place] : []));
}

/** A column that may not be set is compared instead, see `guards`; something has to be set. */
function assignments(
  table: TargetTable,
  set: readonly TargetColumn[],
  values: readonly string[],
): string {
  const pairs = set.flatMap(({ name, always }, index) =>
    always ? [] : [`${name} = ${values[index]}`],
  );
  if (pairs.length > 0) return pairs.join(", ");
  const same = [...table.key, ...table.columns].find(({ always }) => !always);
  return same === undefined
    ? `${table.columns[0]?.name} = DEFAULT`
    : `${same.name} = t.${same.name}`;
}

/** Rows whose identity column has changed do not match, are missed in the count, and tried one by one. */
function guards(set: readonly TargetColumn[], values: readonly string[]): string {
  return set
    .map(({ name, always }, index) => (always ? ` AND t.${name} = ${values[index]}` : ""))
    .join("");
}

function keyJoin(table: TargetTable, values: readonly string[]): string {
  return table.key.map(({ name }, index) => `t.${name} = ${values[index]}`).join(" AND ");
}

/** Parameters, names and values of columns that come as arrays. */
function unnested(
  columns: readonly TargetColumn[],
  prefix: string,
  offset: number,
): { readonly parameters: string; readonly names: string; readonly values: readonly string[] } {
  const name = (index: number): string => `${prefix}${index}`;
  return {
    parameters: columns
      .map(
        ({ type }, i) => `$${offset + i + 1}::${type.inArrays ? type.name : "pg_catalog.text"}[]`,
      )
      .join(", "),
    names: columns.map((_, i) => name(i)).join(", "),
    values: columns.map(({ type }, i) =>
      type.inArrays ? `v.${name(i)}` : `v.${name(i)}::${type.name}`,
    ),
  };
}

function cast({ type }: TargetColumn, parameter: number): string {
  return `$${parameter}::${type.name}`;
}

/** What the value would print as, which need not be how the source printed it. */
function textCast(column: TargetColumn, parameter: number): string {
  return `${cast(column, parameter)}::pg_catalog.text`;
}

function list(columns: readonly TargetColumn[]): string {
  return columns.map(({ name }) => name).join(", ");
}

function columnAt(table: TargetTable, place: number): TargetColumn {
  const column = table.columns[place];
  if (column === undefined) throw new Error("a shape names a column that is not there");
  return column;
}

function valuesOf(change: RowChange): SourceRow {
  return change.kind === "delete" ? [] : change.values;
}

function keyOf(change: RowChange): SourceRow {
  return change.kind === "insert" ? [] : change.key;
}

/** An insert has all its values; whoever made the change has seen to it. */
function known(value: SourceValue | undefined): Value {
  if (value === UNCHANGED) throw new Error("a value that is not known was to be written");
  return value ?? null;
}
