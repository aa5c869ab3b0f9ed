import { quoteLiteral } from "./table-shape.ts";

/**
 * What changes the target by our hand begins with a touch of a row of the stream, like everything that is applied; not of the
 * applier's own row, which it may hold at that moment.
 */
export function markOf(stream: string): string {
  return `INSERT INTO twinwire.progress (stream, worker, epoch, pos) VALUES (${quoteLiteral(stream)}, ${MARK_WORKER}, 0, '0/0')
    ON CONFLICT (stream, worker) DO UPDATE SET updated_at = pg_catalog.clock_timestamp()`;
}

/** Below all that copy. */
const MARK_WORKER = -1_000_000;
