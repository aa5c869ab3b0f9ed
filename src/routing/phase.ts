import type { Side } from "./side.ts";

/**
 * Where a migration stands. With replication managed by someone else `fenced`, `drained` and
 * `verified` are passed over: the pause in the proxy is the whole cutover.
 */
export type Phase =
  | "in_sync"
  | "pausing"
  | "fenced"
  | "drained"
  | "verified"
  | "decided"
  | "on_new";

/** What a proxy must know of a migration to route an exchange; persisted by the control store. */
export type MigrationRoute = {
  readonly phase: Phase;
  readonly primary: Side;
  /** Grows with every cutover attempt, rollbacks included. */
  readonly epoch: number;
};
