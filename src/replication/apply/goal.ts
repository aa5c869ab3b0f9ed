import type { SourceStream, SourceTransaction } from "../source/source-transaction.ts";
import type { Lsn } from "../../wire/position.ts";
import type { Visibility } from "../visibility.ts";
import { sees } from "../visibility.ts";

/** How many transactions the applier remembers: more than can be open at once on any server. */
const REMEMBERED = 1 << 14;

/** The numbers of the transactions applied last. */
export class AppliedTransactions {
  readonly #xids = new Uint32Array(REMEMBERED);
  #count = 0;

  add(xid: number): void {
    this.#xids[this.#count++ % REMEMBERED] = xid;
  }

  /**
   * Whether the snapshot sees all that has been applied. What is forgotten needs no look: since it was applied so many
   * others were that one of them began after the snapshot.
   */
  allSeenBy(snapshot: Visibility): boolean {
    const length = Math.min(this.#count, REMEMBERED);
    for (let i = 0; i < length; i++) if (!sees(snapshot, this.#xids[i] ?? 0)) return false;
    return true;
  }
}

/** How far a goal is; `beyond`: it cannot be reached any more. */
export type GoalState = "waiting" | "reached" | "beyond";

/**
 * Exactly all that a snapshot sees. Everything it sees has its commit before a position of the log that was read after the
 * snapshot was taken; so whoever has read up to there, and applied all it sees, has arrived.
 */
export class Goal {
  readonly #snapshot: Visibility;
  readonly #signal: AbortSignal;
  readonly #sinceMs: number;
  #target: Lsn | undefined;
  /** A transaction that the snapshot does not see has been met; nothing after it may be applied. */
  #isBlocked = false;

  /** @param target read after the snapshot; undefined: where the source says its log ends, the next time it does */
  constructor(
    snapshot: Visibility,
    target: Lsn | undefined,
    since: { readonly signal: AbortSignal; readonly nowMs: number },
  ) {
    this.#snapshot = snapshot;
    this.#target = target;
    this.#signal = since.signal;
    this.#sinceMs = since.nowMs;
  }

  /** May be applied on the way. */
  admits({ xid }: SourceTransaction): boolean {
    return !this.#isBlocked && sees(this.#snapshot, xid);
  }

  /** @param read how far the log has been read @param next the transaction that comes then, if it is known */
  look(
    stream: Pick<SourceStream, "serverEnd">,
    read: Lsn,
    next: SourceTransaction | undefined,
  ): GoalState {
    if (this.#signal.aborted) return "beyond";
    const end = stream.serverEnd;
    if (this.#target === undefined && end !== undefined && end.atMs > this.#sinceMs)
      this.#target = end.lsn;
    if (this.#target !== undefined && read >= this.#target) return "reached";
    if (next === undefined) return "waiting";
    if (this.#target !== undefined && next.commitLsn >= this.#target) return "reached";
    if (!sees(this.#snapshot, next.xid)) this.#isBlocked = true;
    else if (this.#isBlocked) return "beyond";
    return "waiting";
  }
}
