import { CodedError } from "../../base/errors.ts";
import { parseLsn } from "../../wire/position.ts";
import type { Lsn } from "../../wire/position.ts";
import { parseVisibility } from "../visibility.ts";
import type { Visibility } from "../visibility.ts";

/** What a snapshot of the source sees, and up to where the log goes that it may see. */
export type SourceSnapshot = Visibility & {
  /** As `pg_current_snapshot()` prints it. */
  readonly text: string;
  /** The log's end after the snapshot was taken: every transaction it sees has its commit record before. */
  readonly lsn: Lsn;
};

/**
 * Taken as the first statement of a transaction. Since PostgreSQL 13. The insert position, because a transaction that commits
 * asynchronously is visible before its record is written.
 */
export const TAKE_SNAPSHOT =
  "SELECT pg_catalog.pg_current_snapshot(), pg_catalog.pg_current_wal_insert_lsn()";

/** @throws CodedError `protocol_violation` for what is none */
export function parseSnapshot(text: string, lsnText: string): SourceSnapshot {
  const lsn = parseLsn(lsnText);
  const visibility = parseVisibility(text);
  if (visibility === undefined || lsn === undefined)
    throw new CodedError("protocol_violation", "the source told a snapshot that is none");
  return { ...visibility, text, lsn };
}
