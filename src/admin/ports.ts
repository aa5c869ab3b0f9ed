import type { CompareRuleConfig } from "../config/config.ts";
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
  divergences(
    page: { readonly after: string | undefined; readonly limit: number },
    state: DivergenceState | "all",
  ): Page<DivergenceItem>;
  divergence(id: string): DivergenceItem | undefined;
  /** Asks both sides again. */
  recheck(id: string): Promise<RecheckReply>;
  /** The operator says that it was cured. */
  closeDivergence(id: string): DivergenceItem | undefined;
  rules(): readonly RuleItem[];
  addRule(request: RuleRequest): RuleOutcome;
  removeRule(name: string): RuleRemoval;
  fingerprints(page: {
    readonly after: string | undefined;
    readonly limit: number;
  }): Page<FingerprintItem>;
  /** The sums over all fingerprints. */
  totals(): CoverageTotals;
  readiness(): Readiness;
  attempts(): readonly AttemptItem[];
  attempt(id: string): AttemptItem | undefined;
  report(format: "json" | "md" | "html"): string;
  replication(): ReplicationItem;
  /** Starts it, or says why not, in a sentence. */
  startReplication(): ReplicationOutcome;
  stopReplication(): Promise<ReplicationOutcome>;
  /** How far the verification is that was asked for last. */
  verification(): VerificationItem;
  /** Begins one, of all tables where none are named, instead of one that runs. */
  verify(what: {
    readonly tables: readonly string[];
    /** Make the rows of NEW that differ what they are in OLD. */
    readonly repair: boolean;
  }): VerificationOutcome;
  /** Calls back with every event from now on until the signal aborts. */
  watch(listener: (event: MigrationEvent) => void, signal: AbortSignal): void;
};

export type ReplicationOutcome =
  | { readonly kind: "done"; readonly replication: ReplicationItem }
  | { readonly kind: "conflict"; readonly message: string };

export type VerificationOutcome =
  | { readonly kind: "done"; readonly verification: VerificationItem }
  | { readonly kind: "conflict"; readonly message: string };

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

/** What is known of the rows of both sides. */
export type VerificationItem = {
  readonly phase: "none" | "running" | "done" | "failed";
  /** A sentence. */
  readonly detail: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly tables: readonly {
    /** Of OLD, as `schema.name`. */
    readonly name: string;
    readonly state: string;
    readonly chunks: number;
    /** Chunks in which both sides hold the same. */
    readonly verified: number;
    readonly rows: number;
    /** Rows that differ. */
    readonly mismatches: number;
    /** Rows of NEW that were made what they are in OLD, and compared once more after it. */
    readonly repaired: number;
    /** How many of them each cause explains. */
    readonly causes: Readonly<Record<string, number>>;
    readonly detail: string;
  }[];
  /** The first of each table; no values. */
  readonly differences: readonly {
    readonly table: string;
    readonly key: Readonly<Record<string, string | null>>;
    readonly kind: "missing" | "extra" | "different";
    readonly columns: readonly string[];
    readonly cause: string;
    /** Of OLD's log, where it was so. */
    readonly position: string;
  }[];
};

/** Twinwire's own replication of a migration, in detail. */
export type ReplicationItem = {
  /** false: someone else replicates. */
  readonly managed: boolean;
  /** It was started and not stopped since. */
  readonly wanted: boolean;
  readonly phase: string;
  /** A sentence: what is being done, or why it failed and what to do. */
  readonly detail: string;
  readonly forward: ReplicationStream;
  readonly reverse: ReplicationStream;
  readonly copy: {
    readonly rows: number;
    readonly bytes: number;
    readonly rowsPerSecond: number;
    readonly estimatedRows: number;
    readonly etaMs: number | null;
  };
  readonly tables: readonly ReplicationTable[];
  /** Of NEW's tables beside their rows: whether all that OLD's have is there and in force. */
  readonly schema: "unknown" | "validated" | "incomplete";
  readonly canGoBack: { readonly ok: boolean; readonly reasons: readonly string[] };
  readonly warnings: readonly string[];
};

export type ReplicationStream = StreamStatus & {
  /** Rows applied since its process began, by operation. */
  readonly rows: Readonly<Record<"insert" | "update" | "delete" | "truncate", number>>;
  readonly transactions: number;
  /** Log that the source keeps for it. */
  readonly retainedBytes: number | null;
  readonly detail: string;
};

export type ReplicationTable = {
  readonly source: string;
  readonly target: string;
  readonly state: string;
  readonly chunks: number;
  readonly chunksDone: number;
  readonly rows: number;
  readonly estimatedRows: number;
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
    /** Share of those seen that were compared, 0 to 1; null before the first. */
    readonly comparedShare: number | null;
  };
  readonly verdicts: VerdictCounts;
  /** Differences on record, by state. */
  readonly divergences: Readonly<Record<DivergenceState, number>>;
  /** Reasons of the `incomparable` ones. */
  readonly incomparable: Readonly<Record<string, number>>;
  /** Tables in which a write was lost on the shadow. */
  readonly drifted: readonly string[];
  readonly replication: { readonly forward: StreamStatus; readonly reverse: StreamStatus };
  readonly canGoBack: { readonly ok: boolean; readonly reasons: readonly string[] };
};

/** Open ones are `confirmed` or `unsettled`; of the others the difference was not seen again. */
export type DivergenceState = "confirmed" | "unsettled" | "ruled" | "closed";

export type DivergenceItem = {
  readonly id: string;
  readonly state: DivergenceState;
  /** A sentence: how it was confirmed, why it could not be, or what was done about it. */
  readonly settled: string;
  /** Whether both sides can be asked again, and why. */
  readonly repeatable: { readonly ok: boolean; readonly reason: string };
  /** Where the sides were when it was last seen, as far as known. */
  readonly positions: { readonly primary: string | null; readonly shadow: string | null };
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

/** What asking both sides again has come to. */
export type RecheckReply =
  | ({ readonly kind: "done" } & Recheck)
  /** The reason is a sentence. */
  | { readonly kind: "impossible"; readonly reason: string }
  | { readonly kind: "not_found" };

export type Recheck = {
  readonly outcome: "divergent" | "transient" | "nondeterministic" | "unsettled";
  readonly detail: string;
  /** The column that varies or differs. */
  readonly column?: string;
  readonly attempts: number;
  readonly tookMs: number;
};

/** In Scientist's words; each condition of `match` that is given must hold. */
export type RuleItem = {
  readonly name: string;
  readonly match: RuleMatch;
  readonly action: RuleAction;
  /** `file`: the configuration; `api`: made while Twinwire ran. */
  readonly source: "file" | "api";
  /** Id of the divergence it was made from. */
  readonly divergence?: string;
  readonly madeAt?: string;
  /** How many answers that were not the same bytes were compared under it, since it exists. */
  readonly applied: number;
  /** Differences on record that it covers. */
  readonly covers: number;
  /** Why it may never apply; empty where nothing speaks for that. */
  readonly warnings: readonly string[];
};

/** As in the configuration file. */
export type RuleMatch = CompareRuleConfig["match"];
export type RuleAction = CompareRuleConfig["action"];

export type RuleRequest =
  /** About the statement and column in which the divergence was found. */
  | { readonly divergence: string; readonly action: MadeAction }
  | { readonly name: string; readonly match: RuleMatch; readonly action: MadeAction };

export type MadeAction = Exclude<RuleAction, { kind: "sample" }>;

export type RuleOutcome =
  | { readonly kind: "made"; readonly rule: RuleItem }
  /** It contradicts another or could never apply. */
  | { readonly kind: "refused"; readonly problems: readonly string[] }
  | { readonly kind: "not_found" };

export type RuleRemoval = "removed" | "not_found" | "in_file";

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
  /** How often the primary was asked twice in one snapshot. */
  readonly askedTwice: number;
  /** Columns in which it then disagreed with itself, and how often; `` for whole rows. */
  readonly varies: Readonly<Record<string, number>>;
  /** EXPLAIN of both sides, where the statement was found to be slower on NEW. */
  readonly plans?: { readonly at: string; readonly old: string; readonly new: string };
};

/** Of statements, not exchanges, and since the store was made. */
export type CoverageTotals = {
  readonly seen: number;
  readonly compared: number;
  /** Share of those seen that were compared, 0 to 1; null before the first. */
  readonly comparedShare: number | null;
  readonly skipped: Readonly<Record<string, number>>;
  readonly incomparable: Readonly<Record<string, number>>;
  readonly verdicts: VerdictCounts;
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
  readonly type: "phase" | "shadow" | "divergence" | "attempt" | "session" | "replication";
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
};

export type Page<T> = { readonly items: readonly T[]; readonly next: string | null };
