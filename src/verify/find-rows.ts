import type { WorkSession } from "../upstream/work-session.ts";
import { causeOf } from "./causes.ts";
import type { KeyRange, SideSql, TableSql } from "./table-sql.ts";
import type { RowDifference } from "./verify-state.ts";

/** Rows of a side that are compared at once. */
const PART_ROWS = 100_000;
/** Rows whose values are asked for at once. */
const VALUES_AT_ONCE = 500;

export type FoundRow = Pick<RowDifference, "key" | "kind" | "columns" | "cause">;

type Sessions = { readonly old: WorkSession; readonly fresh: WorkSession };
type Row = readonly (string | null)[];

/** The rows that differ, in two transactions that see the same. @throws WorkError */
export async function* findRows(
  { old, fresh }: Sessions,
  sql: TableSql,
  range: KeyRange,
  rows: number,
): AsyncGenerator<FoundRow, void, undefined> {
  const of = 2 ** Math.max(0, Math.ceil(Math.log2(rows / PART_ROWS)));
  for (let index = 0; index < of; index++) {
    const part = { index, of };
    const [ofOld, ofFresh] = await Promise.all([
      old.query({ sql: sql.old.hashes(range, part) }),
      fresh.query({ sql: sql.fresh.hashes(range, part) }),
    ]);
    if (sql.keyNames.length === 0) yield* withoutKeys(ofOld.rows, ofFresh.rows);
    else yield* withKeys({ old, fresh }, sql, ofOld.rows, ofFresh.rows);
  }
}

/** Rows that are equal cannot be told apart: only how many there are of each can. */
function* withoutKeys(ofOld: readonly Row[], ofFresh: readonly Row[]): Generator<FoundRow> {
  const counts = new Map<string, number>();
  for (const [hash] of ofOld) counts.set(hash ?? "", (counts.get(hash ?? "") ?? 0) + 1);
  for (const [hash] of ofFresh) counts.set(hash ?? "", (counts.get(hash ?? "") ?? 0) - 1);
  for (const count of counts.values()) {
    const kind = count > 0 ? "missing" : "extra";
    for (let i = 0; i < Math.abs(count); i++)
      yield { key: {}, kind, columns: [], cause: CAUSES[kind] };
  }
}

const CAUSES = { missing: "the row is not in NEW", extra: "the row is not in OLD" } as const;

async function* withKeys(
  sessions: Sessions,
  sql: TableSql,
  ofOld: readonly Row[],
  ofFresh: readonly Row[],
): AsyncGenerator<FoundRow, void, undefined> {
  const hashes = new Map(ofFresh.map((row) => [textOf(row.slice(0, -1)), row.at(-1)] as const));
  let different: string[][] = [];
  for (const row of ofOld) {
    const key = row.slice(0, -1).map(String);
    const text = textOf(key);
    const hash = hashes.get(text);
    if (hashes.delete(text)) {
      if (hash === row.at(-1)) continue;
      different.push(key);
      if (different.length < VALUES_AT_ONCE) continue;
      yield* compared(sessions, sql, different);
      different = [];
    } else {
      yield { key: named(sql, key), kind: "missing", columns: [], cause: CAUSES.missing };
    }
  }
  if (different.length > 0) yield* compared(sessions, sql, different);
  for (const text of hashes.keys()) {
    const key = JSON.parse(text) as string[];
    yield { key: named(sql, key), kind: "extra", columns: [], cause: CAUSES.extra };
  }
}

async function* compared(
  { old, fresh }: Sessions,
  sql: TableSql,
  keys: readonly (readonly string[])[],
): AsyncGenerator<FoundRow, void, undefined> {
  const [before, after] = await Promise.all([
    valuesOf(old, sql.old, keys),
    valuesOf(fresh, sql.fresh, keys),
  ]);
  for (const key of keys) {
    const one = before.get(textOf(key)) ?? [];
    const other = after.get(textOf(key)) ?? [];
    const columns = sql.columns.flatMap((column, index) => {
      const [here, there] = [one[index] ?? null, other[index] ?? null];
      return here === there ? [] : [{ name: column.name, here, there, type: column.typeName }];
    });
    const causes = columns.map(
      ({ name, here, there, type }) => `${name}: ${causeOf(here, there, type)}`,
    );
    yield {
      key: named(sql, key),
      kind: "different",
      columns: columns.map(({ name }) => name),
      cause: causes.join("; "),
    };
  }
}

async function valuesOf(
  session: WorkSession,
  side: SideSql,
  keys: readonly (readonly string[])[],
): Promise<ReadonlyMap<string, Row>> {
  const { rows } = await session.query(side.values(keys));
  const width = keys[0]?.length ?? 0;
  return new Map(rows.map((row) => [textOf(row.slice(0, width)), row.slice(width)] as const));
}

function named({ keyNames }: TableSql, key: Row): Readonly<Record<string, string | null>> {
  return Object.fromEntries(keyNames.map((name, index) => [name, key[index] ?? null]));
}

function textOf(key: Row): string {
  return JSON.stringify(key);
}
