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
  `ALTER TABLE divergence ADD COLUMN standing TEXT NOT NULL DEFAULT '{}';
   CREATE TABLE recorded_exchange (
     migration TEXT NOT NULL,
     divergence TEXT NOT NULL,
     document TEXT NOT NULL,
     PRIMARY KEY (migration, divergence)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE made_rule (
     migration TEXT NOT NULL,
     name TEXT NOT NULL,
     document TEXT NOT NULL,
     made_at_ms INTEGER NOT NULL,
     divergence TEXT,
     PRIMARY KEY (migration, name)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE rule_use (
     migration TEXT NOT NULL,
     name TEXT NOT NULL,
     applied INTEGER NOT NULL,
     PRIMARY KEY (migration, name)
   ) STRICT, WITHOUT ROWID;`,
];

export const SELECT_COVERAGE =
  "SELECT fingerprint, statement, counters FROM coverage WHERE migration = ?";
export const UPSERT_COVERAGE =
  "INSERT INTO coverage (migration, fingerprint, statement, counters) VALUES (?, ?, ?, ?) ON CONFLICT (migration, fingerprint) DO UPDATE SET counters = excluded.counters";

export const SELECT_DIVERGENCES =
  "SELECT id, fingerprint, statement, reason, column_name, explanation, count, first_seen_ms, last_seen_ms, samples, standing FROM divergence WHERE migration = ?";
export const UPSERT_DIVERGENCE =
  "INSERT INTO divergence (migration, id, fingerprint, statement, reason, column_name, explanation, count, first_seen_ms, last_seen_ms, samples, standing) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (migration, id) DO UPDATE SET count = excluded.count, last_seen_ms = excluded.last_seen_ms, samples = excluded.samples, standing = excluded.standing";

export const SELECT_DRIFTED =
  "SELECT name, since_ms, reason FROM drifted_table WHERE migration = ? ORDER BY since_ms, name";
/** The first reason stays. */
export const INSERT_DRIFTED =
  "INSERT INTO drifted_table (migration, name, since_ms, reason) VALUES (?, ?, ?, ?) ON CONFLICT (migration, name) DO NOTHING";

export const SELECT_EXCHANGES =
  "SELECT divergence, document FROM recorded_exchange WHERE migration = ?";
export const UPSERT_EXCHANGE =
  "INSERT INTO recorded_exchange (migration, divergence, document) VALUES (?, ?, ?) ON CONFLICT (migration, divergence) DO UPDATE SET document = excluded.document";
export const DELETE_EXCHANGES = "DELETE FROM recorded_exchange WHERE migration = ?";

export const SELECT_RULES =
  "SELECT name, document, made_at_ms, divergence FROM made_rule WHERE migration = ? ORDER BY made_at_ms, name";
export const INSERT_RULE =
  "INSERT INTO made_rule (migration, name, document, made_at_ms, divergence) VALUES (?, ?, ?, ?, ?)";
export const DELETE_RULE = "DELETE FROM made_rule WHERE migration = ? AND name = ?";

export const SELECT_RULE_USE = "SELECT name, applied FROM rule_use WHERE migration = ?";
export const UPSERT_RULE_USE =
  "INSERT INTO rule_use (migration, name, applied) VALUES (?, ?, ?) ON CONFLICT (migration, name) DO UPDATE SET applied = excluded.applied";
export const DELETE_RULE_USE = "DELETE FROM rule_use WHERE migration = ? AND name = ?";
