import type { MigrationMirror } from "./migration-mirror.ts";
import { OwnWrites } from "./own-writes.ts";
import type { Pair } from "./pair.ts";
import type { ShadowSession } from "./shadow-session.ts";

/**
 * When the reads of one session may run on a shadow that is behind: not before it has what the session
 * wrote, and if it can be had in time, not before it has what the primary had when it answered them.
 */
export class ReadOrder {
  readonly writes: OwnWrites;
  readonly #mirror: MigrationMirror;
  readonly #shadow: () => ShadowSession;

  constructor(mirror: MigrationMirror, shadow: () => ShadowSession) {
    this.#mirror = mirror;
    this.#shadow = shadow;
    this.writes = new OwnWrites({
      position: mirror.position,
      timeoutMs: () => mirror.limits().lagWaitMs,
    });
  }

  /** Takes a pair before it is queued; what begins no transaction runs behind what does. */
  hold(pair: Pair): void {
    if (!pair.begins || pair.kind !== "mirror") return;
    const { transaction } = pair;
    const isHeld = this.writes.hold((reached) => {
      pair.ready = true;
      if (reached) this.#shadow().pump();
      else this.#shadow().drop((other) => other.transaction === transaction, "lag");
    });
    pair.followsAnswer = !isHeld && this.#mayFollow(pair);
    if (isHeld || pair.followsAnswer) pair.ready = false;
  }

  primaryAnswered(pair: Pair): void {
    if (pair.followsAnswer) void this.#follow(pair);
  }

  /** A transaction that may be rehearsed is to run beside the primary's, not behind it. */
  #mayFollow({ statements }: Pair): boolean {
    const { position, limits, policy } = this.#mirror;
    if (!position.isWithin(limits().lagWaitMs)) return false;
    return policy().writes !== "rehearse" || statements.every(({ kind }) => kind !== "transaction");
  }

  /** The shadow is asked when it has what the primary had when it answered, or is too late with it. */
  async #follow(pair: Pair): Promise<void> {
    const { position, limits } = this.#mirror;
    const lsn = await position.here();
    if (lsn !== undefined) await position.reached(lsn, limits().lagWaitMs);
    pair.ready = true;
    this.#shadow().pump();
  }
}
