/** The tables of verdicts. Never edit a version that was released: add one. Times are milliseconds since 1970. */
export const DIVERGENCE_SCHEMA: readonly string[] = [
  `CREATE TABLE coverage (
     migration TEXT NOT NULL,
     fingerprint TEXT NOT NULL,
     statement TEXT NOT NULL,
     counters TEXT NOT NULL,
     PRIMARY KEY (migration, fingerprint)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE divergence (
     migration TEXT NOT NULL,
     id TEXT NOT NULL,
     fingerprint TEXT NOT NULL,
     statement TEXT NOT NULL,
     reason TEXT NOT NULL,
     column_name TEXT,
     explanation TEXT NOT NULL,
     count INTEGER NOT NULL,
     first_seen_ms INTEGER NOT NULL,
     last_seen_ms INTEGER NOT NULL,
     samples TEXT NOT NULL,
     PRIMARY KEY (migration, id)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE drifted_table (
     migration TEXT NOT NULL,
     name TEXT NOT NULL,
     since_ms INTEGER NOT NULL,
     reason TEXT NOT NULL,
     PRIMARY KEY (migration, name)
   ) STRICT, WITHOUT ROWID;`,
];

export const SELECT_COVERAGE =
  "SELECT fingerprint, statement, counters FROM coverage WHERE migration = ?";
export const UPSERT_COVERAGE =
  "INSERT INTO coverage (migration, fingerprint, statement, counters) VALUES (?, ?, ?, ?) ON CONFLICT (migration, fingerprint) DO UPDATE SET counters = excluded.counters";

export const SELECT_DIVERGENCES =
  "SELECT id, fingerprint, statement, reason, column_name, explanation, count, first_seen_ms, last_seen_ms, samples FROM divergence WHERE migration = ?";
export const UPSERT_DIVERGENCE =
  "INSERT INTO divergence (migration, id, fingerprint, statement, reason, column_name, explanation, count, first_seen_ms, last_seen_ms, samples) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (migration, id) DO UPDATE SET count = excluded.count, last_seen_ms = excluded.last_seen_ms, samples = excluded.samples";

export const SELECT_DRIFTED =
  "SELECT name, since_ms, reason FROM drifted_table WHERE migration = ? ORDER BY since_ms, name";
/** The first reason stays. */
export const INSERT_DRIFTED =
  "INSERT INTO drifted_table (migration, name, since_ms, reason) VALUES (?, ?, ?, ?) ON CONFLICT (migration, name) DO NOTHING";
