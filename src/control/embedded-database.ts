import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import { CodedError, messageOf } from "../base/errors.ts";
import { lockFolder } from "./folder-lock.ts";

/** What the store can hold in a cell. */
export type SqlValue = string | number | null;
export type SqlRow = Readonly<Record<string, SqlValue>>;

/**
 * `durable` waits until the disk has it: it survives a power cut. `lazy` survives the death of the
 * process only, and does not stop the event loop for the disk.
 */
export type Durability = "durable" | "lazy";

/**
 * The embedded SQL store: one file in a folder that this process owns alone. Synchronous; shared by
 * everybody who keeps tables in it. Every method throws `CodedError` `store_failed`.
 */
export type EmbeddedDatabase = {
  readonly folder: string;
  /** Runs the versions of a component's schema that the file has not seen, each in a transaction. */
  migrate(component: string, versions: readonly string[]): void;
  /** @returns the number of rows changed. */
  run(sql: string, parameters?: readonly SqlValue[]): number;
  all(sql: string, parameters?: readonly SqlValue[]): readonly SqlRow[];
  /** All of `work` or nothing. Not nested. */
  transaction<T>(durability: Durability, work: () => T): T;
  /** Gives the folder back. Whoever uses the database afterwards gets an error. */
  close(): void;
};

const FILE_NAME = "twinwire.db";

/**
 * Opens the store in `folder`, creating both where missing.
 *
 * @throws {CodedError} `conflict` when another process owns the folder, `store_failed` when the file
 * cannot be used, with what to do about it.
 */
export function openEmbeddedDatabase(folder: string): EmbeddedDatabase {
  makeFolder(folder);
  const lock = lockFolder(folder);
  try {
    const connection = openConnection(folder);
    return embeddedDatabase(folder, connection, () => lock.release());
  } catch (error) {
    lock.release();
    throw error;
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new CodedError(
      "store_failed",
      `The store folder ${folder} cannot be made: ${messageOf(error)}. Name a writable place in store.path.`,
      { cause: error },
    );
  }
}

function openConnection(folder: string): Database.Database {
  const path = join(folder, FILE_NAME);
  let connection: Database.Database | undefined;
  try {
    // Made here for its mode; the log beside it is given the same.
    closeSync(openSync(path, "a", 0o600));
    connection = new Database(path, { timeout: 0 });
    connection.exec("PRAGMA journal_mode = WAL");
    connection.exec("PRAGMA synchronous = NORMAL");
    connection.exec("PRAGMA foreign_keys = ON");
    // What is deleted is gone from the file, and not merely not shown.
    connection.exec("PRAGMA secure_delete = ON");
    checkIntegrity(connection);
    return connection;
  } catch (error) {
    connection?.close();
    throw storeError(folder, error);
  }
}

/** Pages are checked at the start, when someone is looking, and not first in the middle of a cutover. */
function checkIntegrity(connection: Database.Database): void {
  const rows = connection.prepare("PRAGMA quick_check(1)").all() as readonly SqlRow[];
  const found = rows[0]?.["quick_check"];
  if (found !== "ok") throw new DamagedFile(String(found));
}

class DamagedFile extends Error {}

function embeddedDatabase(
  folder: string,
  connection: Database.Database,
  release: () => void,
): EmbeddedDatabase {
  const prepared = new Map<string, Database.Statement>();
  let open = true;

  function guarded<T>(work: () => T): T {
    if (!open) throw new CodedError("store_failed", `The store in ${folder} was closed.`);
    try {
      return work();
    } catch (error) {
      // An error of the caller's own work inside a transaction is not the store's.
      throw sqlCode(error) === "" ? error : storeError(folder, error);
    }
  }
  function prepare(sql: string): Database.Statement {
    let statement = prepared.get(sql);
    if (statement === undefined) {
      statement = connection.prepare(sql);
      prepared.set(sql, statement);
    }
    return statement;
  }
  // The parameters go as one array: a lone null would be taken for a set of named ones.
  const database: EmbeddedDatabase = {
    folder,
    run: (sql, parameters = []) => guarded(() => prepare(sql).run(parameters).changes),
    all: (sql, parameters = []) => guarded(() => prepare(sql).all(parameters) as readonly SqlRow[]),
    transaction: (durability, work) => guarded(() => inTransaction(connection, durability, work)),
    migrate: (component, versions) =>
      guarded(() => migrate(database, connection, component, versions)),
    close(): void {
      if (!open) return;
      open = false;
      prepared.clear();
      try {
        connection.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      } finally {
        connection.close();
        release();
      }
    },
  };
  return database;
}

function inTransaction<T>(connection: Database.Database, durability: Durability, work: () => T): T {
  connection.exec(`PRAGMA synchronous = ${durability === "durable" ? "FULL" : "NORMAL"}`);
  connection.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    connection.exec("COMMIT");
    return result;
  } catch (error) {
    if (connection.inTransaction) connection.exec("ROLLBACK");
    throw error;
  }
}

const CREATE_VERSIONS =
  "CREATE TABLE IF NOT EXISTS schema_version (component TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT";
const SELECT_VERSION = "SELECT version FROM schema_version WHERE component = ?";
const UPSERT_VERSION =
  "INSERT INTO schema_version (component, version) VALUES (?, ?) ON CONFLICT (component) DO UPDATE SET version = excluded.version";

function migrate(
  database: EmbeddedDatabase,
  connection: Database.Database,
  component: string,
  versions: readonly string[],
): void {
  connection.exec(CREATE_VERSIONS);
  const stored = Number(database.all(SELECT_VERSION, [component])[0]?.["version"] ?? 0);
  if (stored > versions.length) {
    throw new CodedError(
      "store_failed",
      `The store in ${database.folder} was written by a newer Twinwire (${component} version ${stored}, this one knows ${versions.length}). Start that version again, or name another folder in store.path.`,
    );
  }
  for (let version = stored; version < versions.length; version++) {
    inTransaction(connection, "durable", () => {
      connection.exec(versions[version] ?? "");
      database.run(UPSERT_VERSION, [component, version + 1]);
    });
  }
}

const DAMAGED = new Set(["SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT"]);

/** `SQLITE_…`, or empty for an error of another kind. */
function sqlCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code.startsWith("SQLITE_") ? code : "";
}

/** Says what is wrong with the file and what to do. Never holds a parameter's value. */
function storeError(folder: string, error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  const code = sqlCode(error);
  const path = join(folder, FILE_NAME);
  if (error instanceof DamagedFile || DAMAGED.has(code.split("_").slice(0, 2).join("_"))) {
    return new CodedError(
      "store_failed",
      `The store file ${path} is damaged (${messageOf(error)}). Restore the folder from a backup; or move it away to start anew, which forgets the route: every migration then starts with old as the primary, so do that only where old is the primary.`,
      { cause: error },
    );
  }
  const cause = code === "" ? messageOf(error) : `${messageOf(error)}, ${code}`;
  return new CodedError(
    "store_failed",
    `The store file ${path} could not be used: ${cause}. See that the disk has room and the file belongs to the user that runs Twinwire.`,
    { cause: error },
  );
}
