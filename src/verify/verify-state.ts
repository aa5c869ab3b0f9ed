/** What was found of one row. Values are not among it. */
export type RowDifference = {
  /** As in OLD: `schema.name`. */
  readonly table: string;
  /** Of NEW's key columns; empty where rows have no key. */
  readonly key: Readonly<Record<string, string | null>>;
  /** `missing`: NEW lacks it; `extra`: OLD does. */
  readonly kind: "missing" | "extra" | "different";
  readonly columns: readonly string[];
  /** In words. */
  readonly cause: string;
  /** Of OLD's log, at which it was so. */
  readonly position: string;
};

export type VerifiedTable = {
  /** Of OLD, as `schema.name`. */
  readonly name: string;
  readonly state: "waiting" | "verifying" | "verified" | "failed";
  readonly chunks: number;
  /** Of them, those in which both sides hold the same. */
  readonly verified: number;
  readonly rows: number;
  /** Rows that differ. */
  readonly mismatches: number;
  /** Rows that were made what they are in OLD, and compared once more after it. */
  readonly repaired: number;
  /** How many rows each cause explains. */
  readonly causes: Readonly<Record<string, number>>;
  /** Why it could not be verified; empty otherwise. */
  readonly detail: string;
};

export type VerifyState = {
  readonly phase: "none" | "running" | "done" | "failed";
  /** A sentence. */
  readonly detail: string;
  /** By the wall clock, in milliseconds; null before. */
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  readonly tables: readonly VerifiedTable[];
  /** The first of each table. */
  readonly differences: readonly RowDifference[];
};

export const NOT_VERIFIED: VerifyState = {
  phase: "none",
  detail: "Nothing has been verified yet.",
  startedAtMs: null,
  endedAtMs: null,
  tables: [],
  differences: [],
};
