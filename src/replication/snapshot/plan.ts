import type { RowProgram } from "../mapping/row-program.ts";
import type { Ask } from "../read-shapes.ts";
import { quoteIdent } from "../table-shape.ts";
import type { ChunkRange } from "./chunk-table.ts";
import { fromTable } from "./copy-sql.ts";

/** Ranges may become no more than so many, however large the table is. */
const MAX_CHUNKS = 4096;
/** Keys that are looked at for each bound, about. */
const SAMPLES_PER_CHUNK = 60;
/** No more of a table is read for its plan than this. */
const MAX_SAMPLED_BYTES = 256 * 1024 * 1024;

/** Rows of one page stand close to each other: too few pages would make ranges of very different sizes. */
const MIN_SAMPLED_PERCENT = 0.5;

const WHOLE: readonly ChunkRange[] = [{ lo: null, hi: null }];

/**
 * The column whose ranges can be copied from snapshots of different moments; undefined when the table has to come from one.
 * The log has to tell it for every row, and rows that collide in a unique key of the target must be in one range.
 */
export function rangeColumn({ source, target, columns }: RowProgram): string | undefined {
  const [leading] = source.primaryKey;
  if (leading === undefined || !source.identity.includes(leading)) return undefined;
  if (target.otherUnique) return undefined;
  const inTarget = columns.find(({ step }) => step.kind === "copy" && step.source === leading);
  const isKept =
    target.primaryKey.length === 0 ||
    (inTarget !== undefined && target.primaryKey.includes(inTarget.name));
  return isKept ? leading : undefined;
}

/** Since PostgreSQL 9.1. Rows as types and anonymous ones have no text that a bound could be read from. */
const IS_COMPOSITE = `
  SELECT t.typtype = 'c' FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
  WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = $2`;

/**
 * Cuts a table into ranges of its leading key column with about `chunkBytes` of the source's disk each; from a sample, so that
 * they may well differ. A value of the column is never divided. One range: the table is copied from one snapshot.
 */
export async function planRanges(
  ask: Ask,
  program: RowProgram,
  chunkBytes: number,
): Promise<readonly ChunkRange[]> {
  const { source } = program;
  const column = rangeColumn(program);
  const wanted = Math.min(MAX_CHUNKS, Math.ceil(source.estimate.bytes / chunkBytes));
  if (column === undefined || wanted < 2) return WHOLE;
  const [isComposite] = await ask(IS_COMPOSITE, [String(source.oid), column]);
  if (isComposite?.[0] !== "f") return WHOLE;
  const bounds = await ask(boundsSql(program, column, wanted));
  return rangesOf(bounds.map(([bound]) => bound ?? ""));
}

export function rangesOf(bounds: readonly string[]): readonly ChunkRange[] {
  return [null, ...bounds].map((lo, index) => ({ lo, hi: bounds[index] ?? null }));
}

/** Since PostgreSQL 9.5. Whole pages are sampled, because they are what costs. */
function boundsSql({ source }: RowProgram, column: string, wanted: number): string {
  const { rows, bytes } = source.estimate;
  const byRows = (wanted * SAMPLES_PER_CHUNK * 100) / Math.max(rows, 1);
  const percent = Math.min(
    100,
    Math.max(byRows, MIN_SAMPLED_PERCENT),
    (MAX_SAMPLED_BYTES * 100) / bytes,
  );
  const from = fromTable(source);
  const key = `t.${quoteIdent(column)}`;
  return `
    SELECT b.key FROM (
      SELECT DISTINCT c.key FROM (
        SELECT s.key, s.tile, pg_catalog.row_number() OVER (PARTITION BY s.tile ORDER BY s.key) AS place
        FROM (SELECT ${key} AS key, pg_catalog.ntile(${wanted}) OVER (ORDER BY ${key}) AS tile
              ${from} TABLESAMPLE SYSTEM (${percent.toFixed(6)})) AS s) AS c
      WHERE c.place = 1 AND c.tile > 1) AS b
    ORDER BY b.key`;
}
