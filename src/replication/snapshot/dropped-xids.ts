import { sees } from "../visibility.ts";
import type { SourceSnapshot } from "./source-snapshot.ts";

/**
 * Transactions whose changes were dropped because a snapshot yet to be taken would hold them. A commit stands in the log a
 * moment before it becomes visible, and much longer where the source waits for a synchronous standby: a snapshot taken in that
 * moment does not hold them, and must not be used.
 */
export class DroppedXids {
  readonly #xids = new Set<number>();

  get size(): number {
    return this.#xids.size;
  }

  add(xid: number): void {
    this.#xids.add(xid);
  }

  /** Forgets those it sees: later snapshots see them, too. */
  allSeenBy(snapshot: SourceSnapshot): boolean {
    for (const xid of this.#xids) if (sees(snapshot, xid)) this.#xids.delete(xid);
    return this.#xids.size === 0;
  }
}
