import type { Lsn } from "../../wire/position.ts";

/** A snapshot of the primary, as far as a shadow can be brought to it. */
export type PrimarySnapshot = {
  /** As `pg_current_snapshot()` prints it: xmin:xmax:xip,… */
  readonly sees: string;
  /** Not before any commit that it sees; undefined when it cannot be told. */
  readonly position: Lsn | undefined;
};

/**
 * Whoever fills the shadow can hold it right after everything that a snapshot of the primary sees, so that
 * data which never stands still can be compared exactly.
 */
export type Barrier = {
  /** @returns undefined when the shadow could not be held there, being further already for instance */
  hold(snapshot: PrimarySnapshot, signal: AbortSignal): Promise<HeldShadow | undefined>;
};

export type HeldShadow = { release(): Promise<void> };
