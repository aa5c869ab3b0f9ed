/** What the module shows to the outside. Times are ISO 8601 in UTC, durations milliseconds. */

/**
 * `confirmed` and `unsettled` ones are open. `ruled`: a rule covers it. `closed`: the operator says
 * that it was cured. Both open again when the difference is seen again.
 */
export type DivergenceState = "confirmed" | "unsettled" | "ruled" | "closed";

export type DivergenceItem = {
  /** Short, and the same after a restart. */
  readonly id: string;
  readonly state: DivergenceState;
  /** A sentence: how it was confirmed, why it could not be, or what was done about it. */
  readonly settled: string;
  /** Whether both sides can be asked again, and why. */
  readonly repeatable: { readonly ok: boolean; readonly reason: string };
  /** Where the sides were when it was last seen, as far as known. */
  readonly positions: { readonly primary: string | null; readonly shadow: string | null };
  readonly fingerprint: string;
  /** The normalised text: holds no customer value. */
  readonly statement: string;
  readonly reason: string;
  readonly explanation: string;
  readonly column?: string;
  readonly count: number;
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly samples: readonly DivergenceSample[];
};

/** One occurrence, its values masked unless their column is revealed. */
export type DivergenceSample = {
  readonly at: string;
  readonly primary: string | null;
  readonly shadow: string | null;
  readonly row: number | null;
};

export type FingerprintItem = {
  readonly fingerprint: string;
  readonly statement: string;
  readonly seen: number;
  readonly compared: number;
  readonly skipped: Readonly<Record<string, number>>;
  /** Reasons of the verdict `incomparable`. */
  readonly incomparable: Readonly<Record<string, number>>;
  readonly verdicts: {
    readonly match: number;
    readonly tolerated: number;
    readonly divergent: number;
    readonly incomparable: number;
  };
  /** What the statement leaves open, whether or not the sides have differed: `underspecified`, `ties`, … */
  readonly advice: readonly string[];
  readonly latency: {
    readonly verdict: "improved" | "same" | "degraded" | "indeterminate";
    readonly old: Quantiles;
    readonly new: Quantiles;
  };
  /** How often the primary was asked twice in one snapshot. */
  readonly askedTwice: number;
  /** Columns in which it then disagreed with itself, and how often; `` for whole rows. */
  readonly varies: Readonly<Record<string, number>>;
  /** EXPLAIN of both sides, where the statement was found to be slower on NEW. */
  readonly plans?: { readonly at: string; readonly old: string; readonly new: string };
};

export type Quantiles = { readonly p50Ms: number | null; readonly p99Ms: number | null };

/** The sums over all fingerprints. */
export type CoverageTotals = {
  /** Shapes of statements told apart. */
  readonly fingerprints: number;
  readonly seen: number;
  readonly compared: number;
  readonly match: number;
  readonly tolerated: number;
  readonly divergent: number;
  readonly skipped: Readonly<Record<string, number>>;
  readonly incomparable: Readonly<Record<string, number>>;
  readonly toleratedReasons: Readonly<Record<string, number>>;
};

/** A table in which dual writing lost a write. */
export type DriftedTable = {
  readonly table: string;
  readonly since: string;
  readonly reason: string;
};

export type PageRequest = { readonly after: string | undefined; readonly limit: number };
export type Page<T> = { readonly items: readonly T[]; readonly next: string | null };
