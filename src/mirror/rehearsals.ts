import type { KeptSequences } from "./kept-sequences.ts";
import type { RehearsalTables } from "./rehearsal-tables.ts";
import type { TableActivity } from "./table-activity.ts";

/** What all sessions of a migration share for rehearsing writes. */
export type Rehearsals = {
  readonly tables: RehearsalTables;
  readonly activity: TableActivity;
  readonly sequences: KeptSequences;
  readonly limits: () => RehearsalLimits;
};

/** Bounds of what a rehearsed transaction may hold up on the shadow. */
export type RehearsalLimits = {
  readonly lockTimeoutMs: number;
  /** A transaction is given up there once it has written for so long, or stood idle. */
  readonly holdMs: number;
  /** More than the shadow ever lags: a table that nobody wrote for so long has the primary's rows. */
  readonly quietMs: number;
};
