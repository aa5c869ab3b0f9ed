import type { Side } from "./side.ts";

/** What the conductor needs of the proxies of one migration. Implemented by `proxy/`. */
export type TrafficPort = {
  /**
   * Opens, ahead of the pause, one connection to `to` for every session, so that the pause does not
   * contain a login. Failing for some sessions is no error: they are dialled again in `move`.
   */
  prepare(
    to: Side,
    signal: AbortSignal,
  ): Promise<{ readonly ready: number; readonly failed: number }>;
  /**
   * Holds back new transactions and waits for open ones to end, until `deadlineMs` (monotonic) at
   * the latest. Clients wait; they get no error. After `held` the caller resumes.
   */
  pause(deadlineMs: number): Promise<PauseOutcome>;
  /** While paused: makes `to` the primary and moves every session there. */
  move(to: Side, epoch: number): Promise<MoveOutcome>;
  /** Lets the queued transactions go, to whichever side is primary now. */
  resume(): void;
};

export type PauseOutcome =
  | { readonly kind: "quiet" }
  | { readonly kind: "held"; readonly holders: readonly Holder[] };

/** A session that held up the pause. */
export type Holder = {
  readonly session: number;
  readonly user: string;
  readonly applicationName: string;
  /** Client's address and port. */
  readonly client: string;
  readonly reason: "open_transaction" | "running_statement" | "shadow_queue";
  readonly forMs: number;
  /** Normalised text of the last statement. */
  readonly statement: string;
};

export type MoveOutcome = {
  readonly moved: number;
  /** Sessions that got 57P01, by reason: `temporary_table`, `advisory_lock`, `held_cursor`, `listen`, … */
  readonly ended: Readonly<Record<string, number>>;
};
