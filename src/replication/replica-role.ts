import { WorkError } from "../upstream/work-error.ts";
import type { WorkSession } from "../upstream/work-session.ts";

const INSUFFICIENT_PRIVILEGE = "42501";

/**
 * Has a session write as what applies another's changes: foreign keys and ordinary triggers have done their work where the
 * changes were made, and do not act.
 * @returns false where the role may not
 */
export async function asReplica(session: WorkSession): Promise<boolean> {
  try {
    await session.execute("SET session_replication_role = replica");
    return true;
  } catch (error) {
    if (error instanceof WorkError && error.sqlstate === INSUFFICIENT_PRIVILEGE) return false;
    throw error;
  }
}
