import type { CoverageTotals, DivergenceItem, DriftedTable, FingerprintItem } from "./items.ts";

/** Everything a report of one migration is made of; gathered by the composition root. */
export type ReportData = {
  readonly migration: string;
  /** ISO 8601. */
  readonly generatedAt: string;
  readonly route: {
    readonly phase: string;
    readonly primary: "old" | "new";
    readonly epoch: number;
  };
  readonly shadow: { readonly enabled: boolean; readonly sample: number; readonly state: string };
  readonly totals: CoverageTotals;
  /** Confirmed and open, the gravest first. */
  readonly divergences: readonly DivergenceItem[];
  /** Neither confirmed nor dispelled. */
  readonly unsettled: readonly DivergenceItem[];
  /** Covered by a rule, or closed. */
  readonly setAside: readonly DivergenceItem[];
  readonly rules: readonly ReportRule[];
  /** The most frequent first. */
  readonly fingerprints: readonly FingerprintItem[];
  readonly drifted: readonly DriftedTable[];
  /** The newest first. */
  readonly attempts: readonly ReportAttempt[];
  readonly verification: ReportVerification;
  /** A sentence for each reason of not mirroring. */
  readonly skipReasons: Readonly<Record<string, string>>;
};

export type ReportRule = {
  readonly name: string;
  readonly match: Readonly<Record<string, string | undefined>>;
  readonly action: { readonly kind: string };
  readonly source: string;
  readonly madeAt?: string;
  readonly applied: number;
  readonly warnings: readonly string[];
};

export type ReportAttempt = {
  readonly id: string;
  readonly verb: string;
  readonly to: string;
  readonly state: string;
  readonly startedAt: string;
  readonly pauseMs?: number;
  readonly outcome?: string;
};

/** What is known of the rows of both sides. Keys of rows are values: they are not among it. */
export type ReportVerification = {
  readonly phase: string;
  readonly detail: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly tables: readonly {
    readonly name: string;
    readonly state: string;
    readonly chunks: number;
    readonly verified: number;
    readonly rows: number;
    readonly mismatches: number;
    readonly causes: Readonly<Record<string, number>>;
    readonly detail: string;
  }[];
};

/** Why statements were not compared, the most frequent first. */
export type NotCompared = {
  readonly reason: string;
  readonly explanation: string;
  /** `skipped`: not run on the shadow. `incomparable`: run, and the answers say nothing. */
  readonly kind: "skipped" | "incomparable";
  readonly count: number;
};
