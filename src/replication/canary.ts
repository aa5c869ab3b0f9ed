import type { WorkSession } from "../upstream/work-session.ts";
import type { TableName } from "./table-shape.ts";

/** A row for each side that is beaten there and travels to the other with everything else, so that a stream is seen to work. */
export const CANARY: TableName = { schema: "twinwire", name: "canary" };

const MAKE = `
  INSERT INTO twinwire.canary (migration, side, beat, sent_at)
  VALUES ($1, 'old', 0, pg_catalog.clock_timestamp()), ($1, 'new', 0, pg_catalog.clock_timestamp())
  ON CONFLICT DO NOTHING`;
const BEAT = `
  UPDATE twinwire.canary SET beat = beat + 1, sent_at = pg_catalog.clock_timestamp()
  WHERE migration = $1 AND side = $2`;
const LAST = "SELECT beat FROM twinwire.canary WHERE migration = $1 AND side = $2";

/** Both rows, on the side of the session; before there is a slot, because they must not travel. */
export async function makeCanary(session: WorkSession, migration: string): Promise<void> {
  await session.query({ sql: MAKE, values: [migration] });
}

export async function beat(session: WorkSession, migration: string, side: string): Promise<void> {
  await session.query({ name: "twinwire_beat", sql: BEAT, values: [migration, side] });
}

/** @returns the beat of a side's row as it stands on the side of the session */
export async function lastBeat(
  session: WorkSession,
  migration: string,
  side: string,
): Promise<number> {
  const { rows } = await session.query({
    name: "twinwire_last_beat",
    sql: LAST,
    values: [migration, side],
  });
  return Number(rows[0]?.[0] ?? 0);
}
