import type { Side } from "../routing/side.ts";

/**
 * What the admin API needs of the rest, so that it can be tested without sockets to databases.
 * Shapes are those of the public interface (camelCase, ISO times, `…Ms` durations).
 */
export type AdminPorts = {
  migrations(): readonly MigrationPort[];
  /** Text of the Prometheus exposition format. */
  metrics(): Promise<string>;
  /** Reasons why traffic should not be sent here; empty when ready. */
  notReady(): readonly string[];
};

export type MigrationPort = {
  readonly name: string;
  status(): MigrationStatus;
  /** Starts moving the traffic. */
  switchTo(primary: Side, verb: "route" | "cutover" | "rollback"): Promise<VerbOutcome>;
  /** The running attempt returns to the side it came from. */
  abort(): Promise<VerbOutcome>;
  setShadow(change: {
    readonly enabled?: boolean | undefined;
    readonly sample?: number | undefined;
  }): ShadowStatus;
  divergences(page: {
    readonly after: string | undefined;
    readonly limit: number;
  }): Page<DivergenceItem>;
  divergence(id: string): DivergenceItem | undefined;
  fingerprints(page: {
    readonly after: string | undefined;
    readonly limit: number;
  }): Page<FingerprintItem>;
  readiness(): Readiness;
  attempts(): readonly AttemptItem[];
  attempt(id: string): AttemptItem | undefined;
  report(format: "json" | "md" | "html"): string;
  /** Calls back with every event from now on until the signal aborts. */
  watch(listener: (event: MigrationEvent) => void, signal: AbortSignal): void;
};

export type VerbOutcome =
  | { readonly kind: "accepted"; readonly attempt: AttemptItem }
  | { readonly kind: "refused"; readonly guards: readonly Guard[] }
  | { readonly kind: "conflict"; readonly message: string };

export type ShadowState = "off" | "connecting" | "on" | "down";

export type ShadowStatus = {
  readonly enabled: boolean;
  readonly sample: number;
  readonly state: ShadowState;
};

export type VerdictCounts = {
  readonly match: number;
  readonly tolerated: number;
  readonly divergent: number;
  readonly incomparable: number;
};

export type StreamStatus = {
  readonly state: string;
  readonly position: string | null;
  readonly lagBytes: number | null;
  readonly lagMs: number | null;
};

export type MigrationStatus = {
  readonly name: string;
  readonly phase: string;
  readonly route: { readonly primary: Side; readonly shadow: ShadowStatus };
  readonly epoch: number;
  readonly sessions: number;
  readonly exchanges: {
    readonly seen: number;
    readonly mirrored: number;
    readonly compared: number;
    readonly skipped: Readonly<Record<string, number>>;
  };
  readonly verdicts: VerdictCounts;
  /** Reasons of the `incomparable` ones. */
  readonly incomparable: Readonly<Record<string, number>>;
  /** Tables in which a write was lost on the shadow. */
  readonly drifted: readonly string[];
  readonly replication: { readonly forward: StreamStatus; readonly reverse: StreamStatus };
  readonly canGoBack: { readonly ok: boolean; readonly reasons: readonly string[] };
};

export type DivergenceItem = {
  readonly id: string;
  readonly fingerprint: string;
  readonly statement: string;
  readonly reason: string;
  readonly explanation: string;
  readonly column?: string;
  readonly count: number;
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly samples: readonly DivergenceSample[];
};

/** One occurrence, values masked. */
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
  /** Reasons of the `incomparable` ones. */
  readonly incomparable: Readonly<Record<string, number>>;
  readonly verdicts: VerdictCounts;
  /** What the statement leaves open, whether or not the sides have differed: `underspecified`, `ties`, … */
  readonly advice: readonly string[];
  readonly latency: {
    readonly verdict: string;
    readonly old: Quantiles;
    readonly new: Quantiles;
  };
};

export type Quantiles = { readonly p50Ms: number | null; readonly p99Ms: number | null };

export type Guard = {
  readonly name: string;
  readonly ok: boolean;
  readonly value: string;
  readonly limit: string;
  /** What to do about it. */
  readonly cure: string;
};

export type Readiness = { readonly ready: boolean; readonly guards: readonly Guard[] };

export type AttemptItem = {
  readonly id: string;
  readonly verb: string;
  readonly state: "running" | "succeeded" | "failed" | "aborted";
  readonly startedAt: string;
  readonly timeline: readonly {
    readonly step: string;
    readonly atMs: number;
    readonly tookMs: number;
    readonly detail: string;
  }[];
  readonly pauseMs?: number;
  readonly outcome?: string;
};

export type MigrationEvent = {
  readonly at: string;
  readonly type: "phase" | "shadow" | "divergence" | "attempt" | "session";
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
};

export type Page<T> = { readonly items: readonly T[]; readonly next: string | null };
