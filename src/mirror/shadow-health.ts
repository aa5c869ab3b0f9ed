import { Backoff } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";

const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 10_000;

/**
 * Whether the shadow can be reached, as learned by all sessions together: when it is down, a
 * thousand sessions must not dial it a thousand times.
 */
export class ShadowHealth {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #downUntilMs = 0;
  #failing = false;
  /** It has been reached, and not lost since. */
  #seen = false;
  #connections = 0;
  #failures = 0;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#backoff = new Backoff(FIRST_RETRY_MS, LAST_RETRY_MS, random);
  }

  /** Open connections of all sessions. */
  get connections(): number {
    return this.#connections;
  }

  /** Dials that failed, ever. */
  get failures(): number {
    return this.#failures;
  }

  /** A dial may be tried now. */
  get mayDial(): boolean {
    return this.#clock.monotonicMs() >= this.#downUntilMs;
  }

  get state(): "on" | "down" | "connecting" {
    if (this.#failing) return "down";
    return this.#seen ? "on" : "connecting";
  }

  dialFailed(): void {
    this.#failing = true;
    this.#failures++;
    // Failures of dials begun before the last one was known to fail count once.
    if (this.mayDial) this.#downUntilMs = this.#clock.monotonicMs() + this.#backoff.nextMs();
  }

  connected(): void {
    this.#failing = false;
    this.#seen = true;
    this.#downUntilMs = 0;
    this.#backoff.reset();
    this.#connections++;
  }

  disconnected(): void {
    this.#connections--;
  }

  /** Another side became the shadow: nothing is known of it. */
  forget(): void {
    this.#failing = false;
    this.#seen = false;
    this.#downUntilMs = 0;
    this.#backoff.reset();
  }
}
