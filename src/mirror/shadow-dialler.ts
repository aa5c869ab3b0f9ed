import type { Clock } from "../base/clock.ts";
import type { Dialled, DialOutcome } from "../upstream/dial.ts";
import type { ShadowHealth } from "./shadow-health.ts";

type DiallerDeps = {
  readonly clock: Clock;
  readonly health: ShadowHealth;
  readonly dial: () => Promise<DialOutcome>;
  /** The shadow refused the session's login. */
  readonly refused: (sqlstate: string) => void;
};

const REFUSED_RETRY_MS = 5_000;

/** Opens one shadow session's connection, not more often than it makes sense. */
export class ShadowDialler {
  readonly #deps: DiallerDeps;
  #refusedUntilMs = 0;
  #dialling = false;

  constructor(deps: DiallerDeps) {
    this.#deps = deps;
  }

  get dialling(): boolean {
    return this.#dialling;
  }

  get mayDial(): boolean {
    return this.#deps.health.mayDial && this.#deps.clock.monotonicMs() >= this.#refusedUntilMs;
  }

  /** @param dialled undefined when it came to nothing */
  dial(dialled: (server: Dialled | undefined) => void): void {
    this.#dialling = true;
    const ended = (outcome: DialOutcome | undefined): void => {
      this.#dialling = false;
      if (outcome?.kind !== "ready") this.#failed(outcome);
      dialled(outcome?.kind === "ready" ? outcome.server : undefined);
    };
    this.#deps.dial().then(ended, () => ended(undefined));
  }

  /** A server that is there and refuses this session may still take the others. */
  #failed(outcome: DialOutcome | undefined): void {
    if (outcome?.kind === "refused") {
      this.#refusedUntilMs = this.#deps.clock.monotonicMs() + REFUSED_RETRY_MS;
      this.#deps.refused(outcome.sqlstate);
    } else {
      this.#deps.health.dialFailed();
    }
  }
}
