/** What the module shows to the outside. Times are ISO 8601 in UTC, durations milliseconds. */

export type DivergenceItem = {
  /** Short, and the same after a restart. */
  readonly id: string;
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
