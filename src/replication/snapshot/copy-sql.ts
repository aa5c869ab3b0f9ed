import { CodedError } from "../../base/errors.ts";
import type { ColumnStep, RowFilter, RowProgram } from "../mapping/row-program.ts";
import { quoteIdent, quoteLiteral, quoteTable, tableKey } from "../table-shape.ts";
import type { TableShape } from "../table-shape.ts";
import type { ChunkRange } from "./chunk-table.ts";

/** A table's own rows and those of its partitions, but not those of tables that inherit from it. */
export function fromTable(table: TableShape): string {
  return `FROM ${table.kind === "p" ? "" : "ONLY "}${quoteTable(table)} AS t`;
}

/**
 * Reads a chunk on the source. Everything a program does with a row is done here, so that the frames can be passed on as they
 * are. A bound is a literal of unknown type, which takes the column's type and collation.
 */
export function copyOutSql(
  program: RowProgram,
  keyColumn: string | undefined,
  range: ChunkRange,
): string {
  const values = program.columns.map(({ step }) => valueSql(step)).join(", ");
  return `COPY (SELECT ${values} ${chunkSql(program, keyColumn, range, [])}) TO STDOUT`;
}

/**
 * Whether a chunk holds values that the target would not refuse but change; undefined where no column is of that kind.
 * @throws CodedError `refused_by_guard` where the source cannot be asked
 */
export function misfitSql(
  program: RowProgram,
  keyColumn: string | undefined,
  range: ChunkRange,
  serverVersion: number,
): string | undefined {
  const misfits = program.columns.flatMap(({ step, name }, index) => {
    const fit = program.fits?.[index];
    if (fit?.isSilent !== true || step.kind === "constant") return [];
    const misfit = fit.misfit?.(`t.${quoteIdent(step.source)}`, serverVersion);
    if (misfit !== undefined) return [`(${misfit})`];
    const what = `whether "${name}" of ${tableKey(program.target)} holds all values cannot be asked`;
    throw new CodedError("refused_by_guard", `${what}: widen its type for the time of the copy`);
  });
  if (misfits.length === 0) return undefined;
  const where = chunkSql(program, keyColumn, range, [`(${misfits.join(" OR ")})`]);
  return `SELECT EXISTS (SELECT ${where})`;
}

function chunkSql(
  { source, filter }: RowProgram,
  keyColumn: string | undefined,
  { lo, hi }: ChunkRange,
  more: readonly string[],
): string {
  const conditions: string[] = [];
  if (keyColumn !== undefined) {
    const key = `t.${quoteIdent(keyColumn)}`;
    if (lo !== null) conditions.push(`${key} >= ${quoteLiteral(lo)}`);
    if (hi !== null) conditions.push(`${key} < ${quoteLiteral(hi)}`);
  }
  conditions.push(...filterSql(filter), ...more);
  const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
  return `${fromTable(source)}${where}`;
}

/** Keeps off what empties or rewrites the table, and nothing else. Takes no snapshot. */
export function lockSql(table: TableShape): string {
  const only = table.kind === "p" ? "" : "ONLY ";
  return `LOCK TABLE ${only}${quoteTable(table)} IN ACCESS SHARE MODE`;
}

/** Whether the target holds rows where the program's go. */
export function holdsRowsSql({ target, emptied = [] }: RowProgram): string {
  const where = emptied.length === 0 ? "" : ` WHERE ${emptied.flatMap(filterSql).join(" AND ")}`;
  return `SELECT EXISTS (SELECT ${fromTable(target)}${where})`;
}

/** Takes back all that was copied. Rows that others hold in the same table stay. */
export function emptySql({ target, emptied = [] }: RowProgram): string {
  return emptied.length === 0
    ? `TRUNCATE ${target.kind === "p" ? "" : "ONLY "}${quoteTable(target)}`
    : `DELETE ${fromTable(target)} WHERE ${emptied.flatMap(filterSql).join(" AND ")}`;
}

/** An identity column takes what COPY brings, whatever it is declared as. */
export function copyInSql({ target, columns }: RowProgram): string {
  const names = columns.map(({ name }) => quoteIdent(name)).join(", ");
  return `COPY ${quoteTable(target)} (${names}) FROM STDIN`;
}

/** What COPY brings of a column, within `fromTable`. */
export function valueSql(step: ColumnStep): string {
  switch (step.kind) {
    case "copy":
      return `t.${quoteIdent(step.source)}`;
    case "constant":
      return `${step.value === null ? "NULL" : quoteLiteral(step.value)}::pg_catalog.text`;
    case "convert": {
      const column = `t.${quoteIdent(step.source)}`;
      // An integer other than 0 and 1 is refused, as it is when it comes by the log.
      return step.with === "boolean_to_integer"
        ? `${column}::pg_catalog.int4`
        : `${column}::pg_catalog.text::pg_catalog.bool`;
    }
  }
}

/** Compares what the log would print: `format` uses the type's output function, as the log does, and a cast to text does not always. */
export function filterSql(filter: RowFilter | undefined): readonly string[] {
  if (filter === undefined) return [];
  const { source, oneOf, and } = filter;
  const value = `t.${quoteIdent(source)}`;
  const texts = oneOf.filter((each) => each !== null).map(quoteLiteral);
  const alternatives = [
    ...(oneOf.includes(null) ? [`${value} IS NULL`] : []),
    ...(texts.length === 0
      ? []
      : [`(${value} IS NOT NULL AND pg_catalog.format('%s', ${value}) IN (${texts.join(", ")}))`]),
  ];
  const own = `(${alternatives.length === 0 ? "false" : alternatives.join(" OR ")})`;
  return [own, ...filterSql(and)];
}
