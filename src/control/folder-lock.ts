import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import { CodedError, messageOf } from "../base/errors.ts";

/** Held until `release` or the end of the process, however it ends. */
export type FolderLock = { release(): void };

/**
 * Makes this process the only user of a folder. The kernel holds the lock, so it ends with the
 * process, kill -9 included; a file left behind by a dead process locks nobody out. The pid is
 * written beside it only to name the owner in the refusal.
 *
 * @throws {CodedError} `conflict` when another process, or this one already, holds the folder.
 */
export function lockFolder(folder: string): FolderLock {
  const ownerPath = join(folder, "owner.pid");
  const holder = takeFileLock(join(folder, "lock"), folder, ownerPath);
  writeFileSync(ownerPath, `${process.pid}\n`, { mode: 0o600 });
  let released = false;
  return {
    release(): void {
      if (released) return;
      released = true;
      rmSync(ownerPath, { force: true });
      // The rollback gives the lock back at once; closing alone waits for the garbage collector.
      holder.exec("ROLLBACK");
      holder.close();
    },
  };
}

/** An open exclusive transaction on an empty database file: a kernel lock that Node itself cannot take. */
function takeFileLock(path: string, folder: string, ownerPath: string): Database.Database {
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { timeout: 0 });
    database.exec("PRAGMA journal_mode = DELETE");
    database.exec("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    if (isBusy(error)) throw alreadyOwned(folder, ownerPath, error);
    throw new CodedError(
      "store_failed",
      `The store folder ${folder} cannot be locked: ${messageOf(error)}. The folder must be writable for the user that runs Twinwire.`,
      { cause: error },
    );
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "SQLITE_BUSY";
}

function alreadyOwned(folder: string, ownerPath: string, cause: unknown): CodedError {
  const pid = readOwner(ownerPath);
  const owner = pid === undefined ? "another process" : `process ${pid}`;
  return new CodedError(
    "conflict",
    `The store folder ${folder} is in use by ${owner}. One process at a time may open it: stop that process, or give this one another store.path.`,
    { cause },
  );
}

function readOwner(ownerPath: string): string | undefined {
  try {
    return /^\d+/.exec(readFileSync(ownerPath, "utf8"))?.[0];
  } catch {
    // The owner has the lock but has not written its name yet; the refusal stands without it.
    return undefined;
  }
}
