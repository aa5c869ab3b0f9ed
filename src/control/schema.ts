/** The control store's tables. Never edit a version that was released: add one. */
export const CONTROL_SCHEMA: readonly string[] = [
  `CREATE TABLE migration (
     name TEXT PRIMARY KEY,
     phase TEXT NOT NULL,
     primary_side TEXT NOT NULL CHECK (primary_side IN ('old', 'new')),
     epoch INTEGER NOT NULL,
     attempt TEXT,
     revision INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE attempt (
     id TEXT PRIMARY KEY,
     migration TEXT NOT NULL,
     started_at TEXT NOT NULL,
     document TEXT NOT NULL
   ) STRICT;
   CREATE INDEX attempt_by_migration ON attempt (migration, started_at);
   CREATE TABLE event (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     migration TEXT NOT NULL,
     at TEXT NOT NULL,
     type TEXT NOT NULL,
     detail TEXT NOT NULL
   ) STRICT;
   CREATE INDEX event_by_migration ON event (migration, sequence);
   CREATE TABLE lease (
     name TEXT PRIMARY KEY,
     holder TEXT NOT NULL,
     expires_at_ms INTEGER NOT NULL
   ) STRICT;`,
];

export const SELECT_MIGRATION =
  "SELECT phase, primary_side, epoch, attempt, revision FROM migration WHERE name = ?";

export const INSERT_MIGRATION =
  "INSERT INTO migration (name, phase, primary_side, epoch, attempt, revision) VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT (name) DO NOTHING";

export const UPDATE_MIGRATION =
  "UPDATE migration SET phase = ?, primary_side = ?, epoch = ?, attempt = ?, revision = revision + 1 WHERE name = ? AND revision = ?";

export const UPSERT_ATTEMPT =
  "INSERT INTO attempt (id, migration, started_at, document) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document";

export const SELECT_ATTEMPTS =
  "SELECT document FROM attempt WHERE migration = ? ORDER BY started_at DESC, rowid DESC LIMIT ?";

export const INSERT_EVENT = "INSERT INTO event (migration, at, type, detail) VALUES (?, ?, ?, ?)";

/** Parameters: migration, migration, number of events to keep. */
export const TRIM_EVENTS =
  "DELETE FROM event WHERE migration = ? AND sequence <= (SELECT sequence FROM event WHERE migration = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)";

export const SELECT_EVENTS =
  "SELECT at, type, detail FROM event WHERE migration = ? ORDER BY sequence DESC LIMIT ?";

/** Parameters: name, holder, expiry, now. Changes a row only if the lease is free, run out or the holder's own. */
export const TAKE_LEASE =
  "INSERT INTO lease (name, holder, expires_at_ms) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at_ms = excluded.expires_at_ms WHERE lease.expires_at_ms <= ? OR lease.holder = excluded.holder";

export const DROP_LEASE = "DELETE FROM lease WHERE name = ? AND holder = ?";

export const DROP_ALL_LEASES = "DELETE FROM lease";
