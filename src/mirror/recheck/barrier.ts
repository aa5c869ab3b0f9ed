import type { Lsn } from "../../wire/position.ts";

/** A snapshot of the primary, as far as a shadow can be brought to it. */
export type PrimarySnapshot = {
  /** As `pg_current_snapshot()` prints it: xmin:xmax:xip,… */
  readonly sees: string;
  /** Not before any commit that it sees; undefined when it cannot be told. */
  readonly position: Lsn | undefined;
};

/**
 * Whoever fills the shadow can have it stand right after everything that a snapshot of the primary sees, so that
 * data which never stands still can be compared exactly. It has to stand before the snapshot is taken: a quick
 * stream would be past it otherwise.
 */
export type Barrier = {
  /** @returns undefined when the shadow cannot be held */
  hold(signal: AbortSignal): Promise<HeldShadow | undefined>;
};

/** A shadow to which nothing is added. */
export type HeldShadow = {
  /** @returns false when it cannot be brought exactly there; with a later snapshot it may */
  goTo(snapshot: PrimarySnapshot, signal: AbortSignal): Promise<boolean>;
  /** @returns whether it has stood until now, so that what was asked of it meanwhile counts */
  release(): Promise<boolean>;
};
