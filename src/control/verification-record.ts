import type { EmbeddedDatabase } from "./embedded-database.ts";

const VERIFICATION_SCHEMA: readonly string[] = [
  `CREATE TABLE verification (
     migration TEXT PRIMARY KEY,
     state TEXT NOT NULL
   ) STRICT, WITHOUT ROWID`,
];
const SELECT = "SELECT state FROM verification WHERE migration = ?";
const KEEP =
  "INSERT INTO verification (migration, state) VALUES (?, ?) ON CONFLICT (migration) DO UPDATE SET state = excluded.state";

/** What was last known of the rows of a migration's sides, as text. Throws `CodedError` `store_failed`. */
export type VerificationRecord = {
  /** undefined before anything was kept. */
  readonly state: string | undefined;
  keep(state: string): void;
};

export function openVerificationRecord(
  database: EmbeddedDatabase,
  migration: string,
): VerificationRecord {
  database.migrate("verification", VERIFICATION_SCHEMA);
  return {
    get state() {
      const text = database.all(SELECT, [migration])[0]?.["state"];
      return typeof text === "string" ? text : undefined;
    },
    keep: (state) =>
      database.transaction("durable", () => void database.run(KEEP, [migration, state])),
  };
}
