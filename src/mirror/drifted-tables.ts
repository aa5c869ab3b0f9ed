import type { Statement } from "../sql/statement.ts";

/** Stands for writes whose tables are not known. */
export const ANY_TABLE = "*";

/** Tables in which dual writing lost a write on the shadow. */
export type DriftedTables = {
  readonly add: (tables: readonly string[], reason: string) => void;
  readonly touchedBy: (statements: readonly Statement[]) => boolean;
  readonly list: () => readonly string[];
};

/** @param save called with each table that drifts for the first time */
export function openDriftedTables(
  known: readonly string[],
  save: (table: string, reason: string) => void,
): DriftedTables {
  const drifted = new Set(known);
  return {
    add(tables, reason) {
      for (const table of tables.length === 0 ? [ANY_TABLE] : tables) {
        const name = table === ANY_TABLE ? table : bareName(table);
        if (drifted.has(name)) continue;
        drifted.add(name);
        save(name, reason);
      }
    },
    touchedBy(statements) {
      if (drifted.size === 0) return false;
      return statements.some(
        (statement) =>
          readsUnnamed(statement) ||
          statement.tables.some((table) => drifted.has(ANY_TABLE) || drifted.has(bareName(table))),
      );
    },
    list: () => [...drifted],
  };
}

/** FETCH reads what its cursor reads, lo_get what lies in no table of the application's. */
function readsUnnamed({ kind, functions }: Statement): boolean {
  return kind === "cursor" || functions.some((name) => LARGE_OBJECTS.test(name));
}

const LARGE_OBJECTS = /^(?:pg_catalog\.)?(?:lo_|loread$|lowrite$)/;

/** Without its schema, since the search path decides which one an unqualified name means. */
function bareName(table: string): string {
  return table.slice(table.lastIndexOf(".") + 1);
}
