import type { EmbeddedDatabase } from "./embedded-database.ts";

const OWED_SCHEMA: readonly string[] = [
  `CREATE TABLE owed_table (
     migration TEXT NOT NULL,
     name TEXT NOT NULL,
     PRIMARY KEY (migration, name)
   ) STRICT, WITHOUT ROWID`,
];
const SELECT_OWED = "SELECT name FROM owed_table WHERE migration = ?";
const INSERT_OWED = "INSERT INTO owed_table (migration, name) VALUES (?, ?) ON CONFLICT DO NOTHING";
const DELETE_OWED = "DELETE FROM owed_table WHERE migration = ?";

/**
 * Tables to which dual writing may owe the shadow a write. Written down before the primary is asked
 * to write, so that a killed process leaves a note of what it may have lost.
 */
export type OwedTables = {
  /** What an earlier process left. */
  readonly left: readonly string[];
  /** Survives the death of the process when it returns. @throws {CodedError} `store_failed`. */
  note(tables: readonly string[]): void;
  /** Nothing is owed. */
  clear(): void;
};

export function openOwedTables(database: EmbeddedDatabase, migration: string): OwedTables {
  database.migrate("owed", OWED_SCHEMA);
  const left = database.all(SELECT_OWED, [migration]).map((row) => String(row["name"]));
  const noted = new Set<string>(left);
  return {
    left,
    note(tables) {
      const fresh = tables.filter((table) => !noted.has(table));
      if (fresh.length === 0) return;
      database.transaction("lazy", () => {
        for (const table of fresh) database.run(INSERT_OWED, [migration, table]);
      });
      for (const table of fresh) noted.add(table);
    },
    clear() {
      if (noted.size === 0) return;
      database.transaction("lazy", () => {
        database.run(DELETE_OWED, [migration]);
      });
      noted.clear();
    },
  };
}
