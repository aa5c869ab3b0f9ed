import { arrayLiteral } from "../replication/apply/array-literal.ts";
import type { ColumnStep, RowProgram } from "../replication/mapping/row-program.ts";
import { filterSql, fromTable, valueSql } from "../replication/snapshot/copy-sql.ts";
import { rangeFinder } from "../replication/snapshot/key-order.ts";
import { quoteIdent, quoteLiteral } from "../replication/table-shape.ts";
import type { ColumnShape, TableShape } from "../replication/table-shape.ts";
import type { WorkStatement } from "../upstream/work-session.ts";

/** Of the first column of the key, in OLD's text; from `lo` on, before `hi`. null: no bound. */
export type KeyRange = { readonly lo: string | null; readonly hi: string | null };

export const WHOLE: KeyRange = { lo: null, hi: null };

/** Rows whose keys, or values where there is no key, hash to `index` of `of`, a power of two. */
export type Part = { readonly index: number; readonly of: number };

/** One side's SQL for the rows of a mapped table. Key columns come as text, in the order of the program's key. */
export type SideSql = {
  /** `count, sum, sum`: sums of the halves of the rows' hashes, whatever their order. */
  checksum(range: KeyRange): string;
  /** `key…, hash` for each row of the part. */
  hashes(range: KeyRange, part: Part): string;
  /** `key…, value…` of the rows with these keys, one array of texts for each column of the key. */
  values(keys: readonly (readonly string[])[]): WorkStatement;
};

export type TableSql = {
  readonly old: SideSql;
  readonly fresh: SideSql;
  /** Columns of NEW that name a row; empty where nothing does. */
  readonly keyNames: readonly string[];
  /** Columns of NEW in the order of `values`. */
  readonly columns: readonly ColumnShape[];
  /** Ranges mean the same on both sides. */
  readonly hasRanges: boolean;
  /** The key that is so many rows behind `lo`; no row where the table ends before. Of OLD. */
  bound(lo: string | null, rows: number): string;
};

/** The canonical text of a row is that of NEW's columns: OLD's values are read as NEW's types would read them. */
export function tableSql(program: RowProgram): TableSql {
  const { source, target, filter, emptied = [] } = program;
  const key = program.key.filter((each) => each.source !== "");
  const columns = program.columns.map(({ name }) => columnOf(target, name));
  const oldKey = key.map((each) => columnOf(source, each.source));
  const freshKey = key.map((each) => columnOf(target, each.target));
  const old = sideSql({
    from: fromTable(source),
    where: filterSql(filter),
    key: oldKey,
    values: program.columns.map(({ step }, index) => oldValue(source, step, columns[index])),
  });
  const fresh = sideSql({
    from: fromTable(target),
    where: emptied.flatMap(filterSql),
    key: freshKey,
    values: columns.map(({ name }) => `t.${quoteIdent(name)}`),
  });
  const [first] = oldKey;
  return {
    old,
    fresh,
    keyNames: freshKey.map(({ name }) => name),
    columns,
    hasRanges: isOrdered(first) && isOrdered(freshKey[0]),
    bound(lo, rows) {
      const name = `t.${quoteIdent(first?.name ?? "")}`;
      const where = [
        ...filterSql(filter),
        ...(lo === null ? [] : [`${name} >= ${quoteLiteral(lo)}`]),
      ];
      return `SELECT ${asText(name)} ${fromTable(source)}${whereSql(where)} ORDER BY ${name} OFFSET ${rows} LIMIT 1`;
    },
  };
}

type Side = {
  readonly from: string;
  readonly where: readonly string[];
  readonly key: readonly ColumnShape[];
  readonly values: readonly string[];
};

function sideSql({ from, where, key, values }: Side): SideSql {
  const keyColumns = key.map(({ name }) => `t.${quoteIdent(name)}`);
  const within = ({ lo, hi }: KeyRange, ...more: string[]): string => {
    const first = keyColumns[0] ?? "";
    const bounds = [
      ...(lo === null ? [] : [`${first} >= ${quoteLiteral(lo)}`]),
      ...(hi === null ? [] : [`${first} < ${quoteLiteral(hi)}`]),
    ];
    return `${from}${whereSql([...where, ...bounds, ...more])}`;
  };
  const keyTexts = keyColumns.map(asText);
  const hash = hashOf(values);
  const partHash = keyTexts.length === 0 ? hash : hashOf(keyTexts);
  return {
    checksum: (range) =>
      `SELECT pg_catalog.count(*), ${sumOf("h & 4294967295")}, ${sumOf("(h >> 32) & 4294967295")} FROM (SELECT ${hash} AS h ${within(range)}) AS r`,
    hashes: (range, { index, of }) =>
      `SELECT ${[...keyTexts, hash].join(", ")} ${within(range, ...(of === 1 ? [] : [`(${partHash} & ${of - 1}) = ${index}`]))}`,
    values: (keys) => {
      const names = key.map((_, index) => `k${index}`);
      const casts = key.map(({ typeName }, index) => `v.k${index}::${typeName}`);
      const arrays = key.map((_, index) => `$${index + 1}::pg_catalog.text[]`);
      const found = `(${keyColumns.join(", ")}) IN (SELECT ${casts.join(", ")} FROM unnest(${arrays.join(", ")}) AS v(${names.join(", ")}))`;
      return {
        sql: `SELECT ${[...keyTexts, ...values.map(asText)].join(", ")} ${from}${whereSql([...where, found])}`,
        values: key.map((_, index) =>
          arrayLiteral(keys.map((each) => Buffer.from(each[index] ?? ""))),
        ),
      };
    },
  };
}

/** A column as the log and COPY print it, read by the target's type where that is another one. */
function oldValue(source: TableShape, step: ColumnStep, column: ColumnShape | undefined): string {
  const type = column?.type ?? "text";
  const value = valueSql(step);
  if (step.kind !== "copy") return `${value}::${type}`;
  const isSame = source.columns.some((each) => each.name === step.source && each.type === type);
  return isSame ? value : `${asText(value)}::${type}`;
}

/** As the type's output function prints it; NULL stays NULL. */
function asText(value: string): string {
  return `CASE WHEN ${value} IS NULL THEN NULL ELSE pg_catalog.format('%s', ${value}) END`;
}

/** A record's text tells NULL from an empty text and one column from the next. */
function hashOf(values: readonly string[]): string {
  return `pg_catalog.hashtextextended(ROW(${values.join(", ")})::pg_catalog.text COLLATE "C", 0)`;
}

function sumOf(half: string): string {
  return `COALESCE(pg_catalog.sum(${half}), 0)`;
}

function whereSql(conditions: readonly string[]): string {
  return conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
}

/** Its order is that of its texts or numbers, whatever the collation of a side is. */
function isOrdered(column: ColumnShape | undefined): boolean {
  return column !== undefined && rangeFinder(column, []) !== undefined;
}

function columnOf(table: TableShape, name: string): ColumnShape {
  const column = table.columns.find((each) => each.name === name);
  if (column === undefined) throw new Error(`a program names a column that is not there: ${name}`);
  return column;
}
