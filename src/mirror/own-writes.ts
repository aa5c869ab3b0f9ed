import type { Lsn } from "../wire/position.ts";
import type { Reached } from "./shadow-position.ts";

type OwnWritesDeps = {
  readonly position: {
    readonly applied: Lsn | undefined;
    here(): Promise<Lsn | undefined>;
    reached(lsn: Lsn, timeoutMs: number): Promise<Reached>;
  };
  readonly timeoutMs: () => number;
};

/** Something of the session that waits for the shadow to have its writes. */
type Held = {
  /** How many writes had been sent before it. */
  readonly writes: number;
  readonly go: (reached: boolean) => void;
};

/**
 * What one session has written, so that its reads wait on the shadow until they can see it. Where
 * nothing tells how far the shadow is, nothing waits.
 */
export class OwnWrites {
  readonly #deps: OwnWritesDeps;
  #sent = 0;
  #answered = 0;
  /** The writes up to here have been committed, or never will be. */
  #ended = 0;
  #open = false;
  /** Not before the last of its commits; undefined until it is known. */
  #position: Promise<Lsn | undefined> | undefined;
  #known: Lsn | undefined;
  #held: Held[] = [];

  constructor(deps: OwnWritesDeps) {
    this.#deps = deps;
  }

  /** A request that writes goes to the primary. */
  sent(): void {
    this.#sent++;
  }

  /** The primary has answered one that writes. */
  answered(): void {
    this.#answered++;
    this.#open = true;
  }

  /** No transaction is open on the primary any more. */
  ended(committed: boolean): void {
    if (this.#ended === this.#answered && this.#held.length === 0) return;
    this.#ended = this.#answered;
    if (this.#open && committed) this.#locate();
    this.#open = false;
    const free = this.#held.filter(({ writes }) => writes <= this.#ended);
    this.#held = this.#held.filter(({ writes }) => writes > this.#ended);
    for (const { go } of free) void this.#await(go);
  }

  /**
   * Calls back once the shadow has what the session wrote before, or is too late with it.
   * @returns false when there is nothing to wait for
   */
  hold(go: (reached: boolean) => void): boolean {
    const { applied } = this.#deps.position;
    if (applied === undefined) return false;
    if (this.#sent > this.#ended) {
      this.#held.push({ writes: this.#sent, go });
      return true;
    }
    if (this.#position === undefined) return false;
    if (this.#known !== undefined && applied >= this.#known) {
      this.#position = undefined;
      return false;
    }
    void this.#await(go);
    return true;
  }

  /** The client is gone, or the sides have swapped: what waits goes on. */
  forget(): void {
    this.#ended = this.#answered = this.#sent = 0;
    this.#open = false;
    this.#position = undefined;
    for (const { go } of this.#held.splice(0)) go(true);
  }

  #locate(): void {
    const position = this.#deps.position.here();
    this.#position = position;
    this.#known = undefined;
    void position.then((lsn) => {
      if (this.#position === position) this.#known = lsn;
    });
  }

  async #await(go: (reached: boolean) => void): Promise<void> {
    const { position, timeoutMs } = this.#deps;
    const lsn = await this.#position;
    const outcome = lsn === undefined ? "unknown" : await position.reached(lsn, timeoutMs());
    go(outcome !== "late");
  }
}
