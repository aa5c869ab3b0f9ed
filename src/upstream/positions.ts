import { parseLsn } from "../wire/position.ts";
import type { Lsn } from "../wire/position.ts";
import type { AdminClient } from "./admin-client.ts";

/**
 * How the shadow comes by the primary's rows, as far as it can be seen: as a physical standby, by native
 * subscriptions to slots of the primary, by Twinwire's own replication, or in a way that shows no position.
 */
export type ReplicationSource =
  | { readonly kind: "standby" }
  | { readonly kind: "slots"; readonly slots: readonly string[] }
  | { readonly kind: "progress"; readonly stream: string }
  /** Tables are still being copied, each at a position of its own. */
  | { readonly kind: "copying" }
  | { readonly kind: "unknown" };

/** Since PostgreSQL 10. */
const PRIMARY_POSITION = `
  SELECT pg_catalog.pg_current_wal_insert_lsn(), pg_catalog.pg_current_wal_flush_lsn(),
    (SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name = 'wal_writer_delay')`;

/** Since PostgreSQL 9.0. */
const IN_RECOVERY = "SELECT pg_catalog.pg_is_in_recovery()";

/** Since PostgreSQL 9.4. */
const HAS_OWN_TABLE = "SELECT pg_catalog.to_regclass('twinwire.progress') IS NOT NULL";
const HAS_PROGRESS = `
  SELECT EXISTS (SELECT FROM twinwire.progress AS p WHERE p.stream = $1 AND p.worker >= 0)`;

/** Since PostgreSQL 10. Slots of the subscriptions in this database; those still copying tables are marked. */
const SUBSCRIPTIONS = `
  SELECT s.subslotname, EXISTS (
    SELECT FROM pg_catalog.pg_subscription_rel AS r
    WHERE r.srsubid = s.oid AND r.srsubstate <> 'r')
  FROM pg_catalog.pg_subscription AS s
  JOIN pg_catalog.pg_database AS d ON d.oid = s.subdbid
  WHERE d.datname = pg_catalog.current_database() AND s.subslotname IS NOT NULL`;

/** Since PostgreSQL 10. */
const STANDBY_POSITION = "SELECT pg_catalog.pg_last_wal_replay_lsn()";

/**
 * Since PostgreSQL 10. What a subscriber reports as applied is ahead of what it reports as flushed; without
 * the right to see the former the latter has to do.
 */
const SLOT_POSITIONS = `
  SELECT GREATEST(s.confirmed_flush_lsn, r.replay_lsn)
  FROM pg_catalog.pg_replication_slots AS s
  LEFT JOIN pg_catalog.pg_stat_replication AS r ON r.pid = s.active_pid
  WHERE s.slot_type = 'logical' AND s.database = pg_catalog.current_database()
    AND s.slot_name = ANY ($1::text[])`;

/** The slowest worker's position, and whether all tables are complete. Those that copy have no position. */
const PROGRESS_POSITION = `
  SELECT pg_catalog.min(p.pos::pg_catalog.pg_lsn), pg_catalog.bool_and(p.phase = 'streaming')
  FROM twinwire.progress AS p WHERE p.stream = $1 AND p.worker >= 0`;

const PAGE_BYTES = 8192n;
/** Header of the first page of a segment; other pages have a smaller one. */
const PAGE_HEADER_BYTES = 40n;

/** Where a primary's log is. */
export type PrimaryPosition = {
  /** Not before any commit that has been answered, flushed or not. */
  readonly inserted: Lsn;
  /** Only what is flushed leaves the server. */
  readonly flushed: Lsn;
  /** How often the log writer flushes commits that did not wait for it, in milliseconds. */
  readonly writerDelayMs: number;
};

/**
 * Where the primary is now. Where its next record would begin right behind a page's header, the page's
 * beginning is as far as anything can have been applied until that record comes.
 * @throws CodedError
 */
export async function readPrimaryPosition(
  primary: AdminClient,
): Promise<PrimaryPosition | undefined> {
  const [row] = await primary.query(PRIMARY_POSITION);
  const [inserted, flushed] = [parseLsn(row?.[0] ?? ""), parseLsn(row?.[1] ?? "")];
  if (inserted === undefined || flushed === undefined) return undefined;
  const inPage = inserted % PAGE_BYTES;
  const end = inPage <= PAGE_HEADER_BYTES ? inserted - inPage : inserted;
  return { inserted: end as Lsn, flushed, writerDelayMs: Number(row?.[2]) };
}

/**
 * Looks for what tells how far the shadow is.
 * @param stream name of Twinwire's own stream towards the shadow
 * @throws CodedError
 */
export async function findReplicationSource(
  shadow: AdminClient,
  stream: string,
): Promise<ReplicationSource> {
  if ((await shadow.query(IN_RECOVERY))[0]?.[0] === "t") return { kind: "standby" };
  if (
    (await shadow.query(HAS_OWN_TABLE))[0]?.[0] === "t" &&
    (await shadow.query(HAS_PROGRESS, [stream]))[0]?.[0] === "t"
  ) {
    return { kind: "progress", stream };
  }
  const subscriptions = await shadow.query(SUBSCRIPTIONS);
  if (subscriptions.length === 0) return { kind: "unknown" };
  if (subscriptions.some(([, copying]) => copying === "t")) return { kind: "copying" };
  return { kind: "slots", slots: subscriptions.map(([slot]) => slot ?? "") };
}

/**
 * Up to where the primary's commits are visible on the shadow.
 * @returns `nowhere` while tables are still being copied; undefined when it cannot be told
 * @throws CodedError
 */
export async function readAppliedPosition(
  source: ReplicationSource,
  primary: AdminClient,
  shadow: AdminClient,
): Promise<Lsn | "nowhere" | undefined> {
  switch (source.kind) {
    case "copying":
      return "nowhere";
    case "standby":
      return firstLsn(await shadow.query(STANDBY_POSITION));
    case "progress": {
      const rows = await shadow.query(PROGRESS_POSITION, [source.stream]);
      return rows[0]?.[1] === "f" ? "nowhere" : firstLsn(rows);
    }
    case "slots": {
      const rows = await primary.query(SLOT_POSITIONS, [`{${source.slots.join(",")}}`]);
      const all = rows.map(([text]) => parseLsn(text ?? ""));
      // A slot that is not there belongs to another primary.
      if (all.length < source.slots.length) return undefined;
      return all.reduce((least, lsn) =>
        least === undefined || lsn === undefined || least <= lsn ? least : lsn,
      );
    }
    case "unknown":
      return undefined;
  }
}

function firstLsn(rows: readonly (readonly (string | null)[])[]): Lsn | undefined {
  return parseLsn(rows[0]?.[0] ?? "");
}
