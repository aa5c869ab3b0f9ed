import type { Clock } from "../base/clock.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import type { Lsn } from "../wire/position.ts";
import { beginMoment, endMoment } from "./moment.ts";
import type { MomentDeps, MomentLocks } from "./moment.ts";

/** How old a moment may be when something else is begun in it. */
const MOMENT_MS = 5_000;

/** Two sessions, and a moment in them that is never old. */
export class Moments {
  readonly old: WorkSession;
  readonly fresh: WorkSession;
  readonly #deps: MomentDeps;
  readonly #clock: Clock;
  #current:
    | { readonly locks: MomentLocks; readonly position: Lsn; readonly atMs: number }
    | undefined;

  constructor(deps: MomentDeps, clock: Clock) {
    this.old = deps.old;
    this.fresh = deps.fresh;
    this.#deps = deps;
    this.#clock = clock;
  }

  /** @returns the position of OLD's log at which both sides are seen. @throws CodedError, WorkError */
  async at(locks: MomentLocks): Promise<Lsn> {
    const nowMs = this.#clock.monotonicMs();
    const current = this.#current;
    if (current?.locks === locks && nowMs - current.atMs < MOMENT_MS) return current.position;
    await this.end();
    const position = await beginMoment(this.#deps, locks);
    this.#current = { locks, position, atMs: this.#clock.monotonicMs() };
    return position;
  }

  async end(): Promise<void> {
    if (this.#current !== undefined) await endMoment(this.#deps);
    this.#current = undefined;
  }
}
