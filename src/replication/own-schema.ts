/**
 * What Twinwire keeps inside both databases. Since PostgreSQL 9.5; run by the admin role, may be run again.
 *
 * - `progress`: how far a stream has been applied here, written by the first statement of every transaction
 *   that applies anything, which makes it the mark of such transactions for the opposite reader.
 *   Worker 0 and above apply the stream; workers below 0 copy chunks and have no position.
 *   `phase` is `copying` until every table is complete and the position is past every chunk's, then `streaming`.
 * - `chunk`: what has been copied here, written in the transaction that copies it.
 * - `canary`: a row per side that is beaten on that side and travels to the other.
 */
export const OWN_SCHEMA_SQL = `
  CREATE SCHEMA IF NOT EXISTS twinwire;
  CREATE TABLE IF NOT EXISTS twinwire.progress (
    stream text NOT NULL, worker int NOT NULL, epoch bigint NOT NULL,
    pos text NOT NULL, pos_seq bigint NOT NULL DEFAULT 0,
    marker_epoch bigint NOT NULL DEFAULT 0, phase text NOT NULL DEFAULT 'copying',
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (stream, worker)) WITH (fillfactor = 20);
  CREATE TABLE IF NOT EXISTS twinwire.chunk (
    stream text NOT NULL, source_table text NOT NULL, chunk int NOT NULL,
    lo text, hi text, state text NOT NULL, snap text, lsn text,
    rows bigint NOT NULL DEFAULT 0, bytes bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (stream, source_table, chunk));
  CREATE TABLE IF NOT EXISTS twinwire.canary (
    migration text NOT NULL, side text NOT NULL, beat bigint NOT NULL,
    sent_at timestamptz NOT NULL, PRIMARY KEY (migration, side));
`;
