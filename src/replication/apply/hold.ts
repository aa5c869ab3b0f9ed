import { deferred } from "./deferred.ts";
import type { Deferred } from "./deferred.ts";
import type { Goal } from "./goal.ts";

/** Somebody's hold on an applier: nothing is applied under it but what leads to a goal. */
export class Hold {
  readonly #stopped: Deferred<boolean> = deferred();
  readonly #over: Deferred<void> = deferred();
  readonly #ring: () => void;
  #goal: Goal | undefined;
  #arrival: Deferred<boolean> | undefined;
  #isOver = false;

  /** @param ring wakes the applier */
  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Whether it stands; false when the hold was over before it did. */
  get stopped(): Promise<boolean> {
    return this.#stopped.promise;
  }

  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** It is given up, released, or its applier has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Where to go before it stands again. */
  get goal(): Goal | undefined {
    return this.#goal;
  }

  /** @returns whether it stands there; if not it stands wherever it came to */
  goTo(goal: Goal): Promise<boolean> {
    if (this.#isOver || this.#arrival !== undefined) return Promise.resolve(false);
    this.#goal = goal;
    this.#arrival = deferred();
    this.#ring();
    return this.#arrival.promise;
  }

  /** The applier stands, on its goal or as near as it can come. */
  stands(isReached: boolean): void {
    this.#goal = undefined;
    this.#stopped.resolve(true);
    this.#arrival?.resolve(isReached);
    this.#arrival = undefined;
  }

  /** @returns whether it has stood until now */
  end(): boolean {
    if (this.#isOver) return false;
    const stood = this.#arrival === undefined;
    this.#isOver = true;
    this.#stopped.resolve(false);
    this.#arrival?.resolve(false);
    this.#over.resolve();
    this.#ring();
    return stood;
  }
}
