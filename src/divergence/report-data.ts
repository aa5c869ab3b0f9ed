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
  /** The gravest first. */
  readonly divergences: readonly DivergenceItem[];
  /** The most frequent first. */
  readonly fingerprints: readonly FingerprintItem[];
  readonly drifted: readonly DriftedTable[];
  /** The newest first. */
  readonly attempts: readonly ReportAttempt[];
  /** A sentence for each reason of not mirroring. */
  readonly skipReasons: Readonly<Record<string, string>>;
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

/** Why statements were not compared, the most frequent first. */
export type NotCompared = {
  readonly reason: string;
  readonly explanation: string;
  /** `skipped`: not run on the shadow. `incomparable`: run, and the answers say nothing. */
  readonly kind: "skipped" | "incomparable";
  readonly count: number;
};
