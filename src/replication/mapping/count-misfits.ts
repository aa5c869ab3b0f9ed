import type { WorkSession } from "../../upstream/work-session.ts";
import { quoteIdent, quoteTable, tableKey } from "../table-shape.ts";
import type { RowProgram, TableMapping, ValueFit } from "./row-program.ts";

/** Rows of NEW whose value in one column OLD could not hold. */
export type Misfit = {
  /** As `schema.name`, of NEW. */
  readonly table: string;
  readonly column: string;
  readonly count: number;
  /** `12 rows of app.customers hold values in "email" longer than 50 characters, which public.users cannot hold` */
  readonly sentence: string;
};

export type MisfitCount = {
  readonly misfits: readonly Misfit[];
  /** Columns whose values could not be asked about on this server, in words. */
  readonly unasked: readonly string[];
};

/** What OLD can hold of one column of NEW. */
type Watched = { readonly column: string; readonly fit: ValueFit };

/** What would not go back, of one way back; a table with no such column is not asked. */
function watchedOf(reverse: RowProgram): readonly Watched[] {
  return reverse.columns.flatMap(({ step }, index) => {
    const fit = reverse.fits?.[index];
    return fit === undefined || step.kind === "constant" ? [] : [{ column: step.source, fit }];
  });
}

/**
 * Counts rows on NEW that no longer fit OLD: one statement for each table that has columns wider than they were, which reads
 * the whole table.
 * @param encoding of OLD, as its `server_encoding` calls it
 */
export async function countMisfits(
  target: WorkSession,
  tables: readonly TableMapping[],
  encoding: string,
): Promise<MisfitCount> {
  const misfits: Misfit[] = [];
  const unasked: string[] = [];
  for (const { reverse } of tables) {
    if (reverse === undefined) continue;
    const watched = [...watchedOf(reverse), ...encodingWatched(reverse, encoding)];
    const asked = watched.flatMap(({ column, fit }) => {
      const condition = fit.misfit?.(quoteIdent(column), target.serverVersion);
      if (condition !== undefined) return [{ column, fit, condition }];
      unasked.push(
        `"${column}" of ${tableKey(reverse.source)}: whether there are any ${fit.words}`,
      );
      return [];
    });
    if (asked.length === 0) continue;
    const counts = asked.map(({ condition }) => `count(*) FILTER (WHERE ${condition})`);
    const { rows } = await target.query({
      sql: `SELECT ${counts.join(", ")} FROM ${quoteTable(reverse.source)}`,
    });
    misfits.push(
      ...asked.flatMap(({ column, fit }, index) => {
        const count = Number(rows[0]?.[index] ?? 0);
        return count === 0 ? [] : [misfitOf(reverse, { column, fit }, count)];
      }),
    );
  }
  return { misfits, unasked };
}

/** A database that is not in UTF-8 has no bytes for some characters. */
function encodingWatched(reverse: RowProgram, encoding: string): readonly Watched[] {
  if (encoding === "UTF8" || encoding === "SQL_ASCII") return [];
  const fit: ValueFit = {
    words: `with characters that ${encoding} does not have`,
    isSilent: false,
    test: undefined,
    misfit: (column) =>
      encoding === "LATIN1" ? String.raw`${column}::text ~ '[^\u0001-\u00ff]'` : undefined,
  };
  const texts = /^(text|character varying|character|bpchar|json|jsonb|xml)(\[\])?$/;
  return reverse.columns.flatMap(({ step }) => {
    if (step.kind !== "copy") return [];
    const column = reverse.source.columns.find(({ name }) => name === step.source);
    return column !== undefined && texts.test(column.typeName)
      ? [{ column: step.source, fit }]
      : [];
  });
}

function misfitOf(reverse: RowProgram, { column, fit }: Watched, count: number): Misfit {
  const table = tableKey(reverse.source);
  const rows = count === 1 ? "1 row" : `${count} rows`;
  const verb = count === 1 ? "holds" : "hold";
  const sentence = `${rows} of ${table} ${verb} values in "${column}" ${fit.words}, which ${tableKey(reverse.target)} cannot hold`;
  return { table, column, count, sentence };
}
