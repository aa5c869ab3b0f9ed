import type { EmbeddedDatabase } from "./embedded-database.ts";

const REPLICATION_SCHEMA: readonly string[] = [
  `CREATE TABLE replication (
     migration TEXT PRIMARY KEY,
     wanted INTEGER NOT NULL DEFAULT 0,
     epoch INTEGER NOT NULL DEFAULT 0,
     incident TEXT
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE replication_object (
     migration TEXT NOT NULL,
     side TEXT NOT NULL,
     kind TEXT NOT NULL,
     name TEXT NOT NULL,
     PRIMARY KEY (migration, side, kind, name)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE replication_source (
     migration TEXT NOT NULL,
     side TEXT NOT NULL,
     system TEXT NOT NULL,
     timeline TEXT,
     PRIMARY KEY (migration, side)
   ) STRICT, WITHOUT ROWID`,
];
const SELECT = "SELECT wanted, epoch, incident FROM replication WHERE migration = ?";
const INSERT = "INSERT INTO replication (migration) VALUES (?) ON CONFLICT DO NOTHING";
const SET_WANTED = "UPDATE replication SET wanted = ?, incident = NULL WHERE migration = ?";
const SET_INCIDENT = "UPDATE replication SET incident = ? WHERE migration = ?";
const NEXT_EPOCH = "UPDATE replication SET epoch = max(epoch + 1, ?) WHERE migration = ?";
const INSERT_OBJECT =
  "INSERT INTO replication_object (migration, side, kind, name) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
const INSERT_SOURCE =
  "INSERT INTO replication_source (migration, side, system, timeline) VALUES (?, ?, ?, ?) ON CONFLICT (migration, side) DO UPDATE SET system = excluded.system, timeline = excluded.timeline";
const SELECT_SOURCE =
  "SELECT system, timeline FROM replication_source WHERE migration = ? AND side = ?";
const DELETE_SOURCE = "DELETE FROM replication_source WHERE migration = ? AND side = ?";
const SELECT_OBJECTS =
  "SELECT side, kind, name FROM replication_object WHERE migration = ? ORDER BY side, kind, name";

/** Something of ours inside a database. `kind` is a slot, publication, origin, schema or event trigger. */
export type ReplicationObject = {
  readonly side: "old" | "new";
  readonly kind: string;
  readonly name: string;
};

/** What has to be known of a migration's replication before anything is asked of a database. Throws `CodedError` `store_failed`. */
export type ReplicationRecord = {
  /** It was started and not stopped since: a restarted Twinwire goes on with it. */
  readonly wanted: boolean;
  /** Why it stopped by itself; undefined while nothing is wrong. */
  readonly incident: string | undefined;
  /** Forgets the incident, too. */
  setWanted(wanted: boolean): void;
  setIncident(incident: string): void;
  /**
   * A number above all before: whoever applies with a smaller one is turned away by the databases. Not below the seconds since
   * 1970, so that it grows even where the store was lost.
   */
  nextEpoch(nowMs: number): number;
  /** Written down before it is made, so that it is found even if making it is the last thing that was done. */
  register(objects: readonly ReplicationObject[]): void;
  objects(): readonly ReplicationObject[];
  /** Who a side was when its slot was first seen; undefined before. */
  source(side: "old" | "new"): SourceServer | undefined;
  rememberSource(side: "old" | "new", server: SourceServer): void;
  /** A new beginning: the server is taken as it is. */
  forgetSource(side: "old" | "new"): void;
};

/** As in `pg_control_system` and the file names of the log. */
export type SourceServer = {
  readonly systemIdentifier: string;
  readonly timeline: string | undefined;
};

export function openReplicationRecord(
  database: EmbeddedDatabase,
  migration: string,
): ReplicationRecord {
  database.migrate("replication", REPLICATION_SCHEMA);
  const durably = (work: () => void): void => database.transaction("durable", work);
  durably(() => void database.run(INSERT, [migration]));
  const row = () => database.all(SELECT, [migration])[0];
  return {
    get wanted() {
      return row()?.["wanted"] === 1;
    },
    get incident() {
      const text = row()?.["incident"];
      return typeof text === "string" ? text : undefined;
    },
    setWanted: (wanted) =>
      durably(() => void database.run(SET_WANTED, [Number(wanted), migration])),
    setIncident: (incident) =>
      durably(() => void database.run(SET_INCIDENT, [incident, migration])),
    nextEpoch(nowMs) {
      durably(() => void database.run(NEXT_EPOCH, [Math.floor(nowMs / 1000), migration]));
      return Number(row()?.["epoch"]);
    },
    register: (objects) =>
      durably(() => {
        for (const { side, kind, name } of objects)
          database.run(INSERT_OBJECT, [migration, side, kind, name]);
      }),
    source(side) {
      const [found] = database.all(SELECT_SOURCE, [migration, side]);
      if (found === undefined) return undefined;
      const { system, timeline } = found;
      return {
        systemIdentifier: String(system),
        timeline: typeof timeline === "string" ? timeline : undefined,
      };
    },
    rememberSource: (side, { systemIdentifier, timeline }) =>
      durably(() => {
        database.run(INSERT_SOURCE, [migration, side, systemIdentifier, timeline ?? null]);
      }),
    forgetSource: (side) => durably(() => void database.run(DELETE_SOURCE, [migration, side])),
    objects: () =>
      database.all(SELECT_OBJECTS, [migration]).map((each) => ({
        side: each["side"] === "new" ? "new" : "old",
        kind: String(each["kind"]),
        name: String(each["name"]),
      })),
  };
}
