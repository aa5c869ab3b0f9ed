import { setTimeout as delay } from "node:timers/promises";
import { CodedError } from "../../base/errors.ts";
import type { ReplicationSession } from "../../upstream/replication-session.ts";
import { WorkError } from "../../upstream/work-error.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import type { Lsn } from "../../wire/position.ts";
import type { StreamNames } from "../names.ts";
import { checkSlot, readSlotState } from "./slot-state.ts";
import { asking } from "../read-shapes.ts";
import type { SlotState } from "./slot-state.ts";

/** @returns undefined where there is no slot of this stream */
export async function slotState(
  session: WorkSession,
  names: Pick<StreamNames, "slot">,
): Promise<SlotState | undefined> {
  return await readSlotState(asking(session), session.serverVersion, names.slot);
}

/**
 * Makes the slot unless it is there and can be used. The publication must be there first: what is committed before it
 * cannot be read.
 * @returns where it begins: everything committed from there on will be sent
 * @throws CodedError conflict when open transactions keep it from being made, or it is another's; slot_lost when it is lost
 */
export async function ensureSlot(
  session: ReplicationSession,
  names: Pick<StreamNames, "slot">,
  options: { readonly lockTimeoutMs: number; readonly failover?: boolean | undefined },
): Promise<{ readonly created: boolean; readonly position: Lsn }> {
  const state = await readSlotState(session.query, session.serverVersion, names.slot);
  if (state !== undefined) {
    const [[database] = []] = await session.query("SELECT pg_catalog.current_database()");
    return { created: false, position: checkSlot(state, names.slot, database ?? "", undefined) };
  }
  const { lockTimeoutMs, failover = false } = options;
  const position = await session.createSlot(names.slot, { lockTimeoutMs, failover });
  return { created: true, position };
}

const DROP_SQL = `
  SELECT pg_catalog.pg_drop_replication_slot(slot_name)
    FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`;
const OBJECT_IN_USE = "55006";
const UNDEFINED_OBJECT = "42704";
const RETRY_MS = 100;

/**
 * Drops the slot if it is there.
 * @param waitMs for who still reads from it
 * @throws CodedError conflict when that does not end
 */
export async function dropSlot(
  session: WorkSession,
  names: Pick<StreamNames, "slot">,
  waitMs: number,
): Promise<void> {
  for (let left = waitMs; ; left -= RETRY_MS) {
    try {
      await session.query({ sql: DROP_SQL, values: [names.slot] });
      return;
    } catch (error) {
      if (!(error instanceof WorkError)) throw error;
      if (error.sqlstate === UNDEFINED_OBJECT) return;
      if (error.sqlstate !== OBJECT_IN_USE) throw error;
      if (left <= 0) {
        const message = `the replication slot "${names.slot}" is still being read from`;
        throw new CodedError("conflict", message, { cause: error });
      }
      await delay(RETRY_MS);
    }
  }
}
