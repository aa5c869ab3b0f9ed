import type { ReplicationSession } from "../../upstream/replication-session.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import type { Lsn } from "../../wire/position.ts";
import type { StreamNames } from "../names.ts";
import { checkSlot, lookAtSlot } from "./slot-state.ts";
import { asking } from "../read-shapes.ts";
import type { SlotState } from "./slot-state.ts";

/** @returns undefined where there is no slot of this stream */
export async function slotState(
  session: WorkSession,
  names: Pick<StreamNames, "slot">,
): Promise<SlotState | undefined> {
  return (await lookAtSlot(asking(session), names.slot)).slot;
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
  options: { readonly lockTimeoutMs: number },
): Promise<{ readonly created: boolean; readonly position: Lsn }> {
  const { slot } = await lookAtSlot(session.query, names.slot);
  if (slot !== undefined) {
    const [[database] = []] = await session.query("SELECT pg_catalog.current_database()");
    return { created: false, position: checkSlot(slot, names.slot, database ?? "", undefined) };
  }
  return { created: true, position: await session.createSlot(names.slot, options) };
}
