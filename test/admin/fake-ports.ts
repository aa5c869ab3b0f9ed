import type {
  AdminPorts,
  AttemptItem,
  DivergenceItem,
  FingerprintItem,
  Guard,
  MigrationEvent,
  MigrationPort,
  MigrationStatus,
  Recheck,
  ReplicationItem,
  VerificationItem,
  RuleItem,
  ShadowStatus,
  VerbOutcome,
} from "../../src/admin/ports.ts";

/** A migration of the tests' own: the port that `admin` and the command line are tested against. */
export type FakeMigration = MigrationPort & {
  primary: "old" | "new";
  shadow: ShadowStatus;
  divergent: DivergenceItem[];
  guards: Guard[];
  ruled: RuleItem[];
  /** What a recheck comes to. */
  rechecked: Recheck;
  /** What the next verb does instead of succeeding. */
  next: VerbOutcome | Error | undefined;
  /** How the attempt that the next verb begins will end. */
  ending: Pick<AttemptItem, "state" | "outcome">;
  emit(event: MigrationEvent): void;
  watchers(): number;
};

export function fakePorts(...migrations: FakeMigration[]): AdminPorts & { reasons: string[] } {
  return {
    reasons: [],
    migrations: () => migrations,
    metrics: async () => "# HELP twinwire_epoch x\n",
    notReady() {
      return this.reasons;
    },
  };
}

const runningStream = {
  state: "running",
  position: "0/1",
  lagBytes: 0,
  lagMs: 1.5,
  rows: { insert: 1, update: 0, delete: 0, truncate: 0 },
  transactions: 1,
  retainedBytes: 0,
  detail: "",
};

const replicating: ReplicationItem = {
  managed: true,
  wanted: true,
  phase: "copying",
  detail: "Tables are copied.",
  forward: runningStream,
  reverse: runningStream,
  copy: { rows: 10, bytes: 100, rowsPerSecond: 5, estimatedRows: 20, etaMs: 2000 },
  tables: [
    {
      source: "public.orders",
      target: "public.orders",
      state: "copying",
      chunks: 4,
      chunksDone: 2,
      rows: 10,
      estimatedRows: 20,
    },
  ],
  schema: "unknown",
  canGoBack: { ok: false, reasons: ["it has not come that far"] },
  warnings: [],
};

const VERIFICATION: VerificationItem = {
  phase: "done",
  detail: "12 rows compared, 1 rows differ.",
  startedAt: "2026-01-01T00:00:00.000Z",
  endedAt: "2026-01-01T00:00:01.000Z",
  tables: [
    {
      name: "public.orders",
      state: "verified",
      chunks: 2,
      verified: 1,
      rows: 12,
      mismatches: 1,
      repaired: 0,
      causes: { "what: spaces at the end": 1 },
      detail: "",
    },
  ],
  differences: [
    {
      table: "public.orders",
      key: { id: "7" },
      kind: "different",
      columns: ["what"],
      cause: "what: spaces at the end",
      position: "0/1",
    },
  ],
};

export function fakeMigration(name: string): FakeMigration {
  const listeners = new Set<(event: MigrationEvent) => void>();
  const attempts: AttemptItem[] = [];
  const migration: FakeMigration = {
    name,
    primary: "old",
    shadow: { enabled: true, sample: 1, state: "on" },
    divergent: [fakeDivergence("d1"), fakeDivergence("d2")],
    guards: [guard("target_reachable", true), guard("open_divergences", false)],
    ruled: [
      {
        name: "totals may differ by a cent",
        match: { column: "total", type: "numerik" },
        action: { kind: "tolerate", absolute: 0.01 },
        source: "file",
        applied: 1200,
        covers: 0,
        warnings: ["never applies: neither side has a type numerik"],
      },
    ],
    rechecked: {
      outcome: "transient",
      detail: "The sides agreed at the second attempt.",
      attempts: 2,
      tookMs: 12.5,
    },
    next: undefined,
    ending: { state: "succeeded" },
    status: () => fakeStatus(migration),
    async switchTo(primary, verb) {
      const { next } = migration;
      migration.next = undefined;
      if (next instanceof Error) throw next;
      if (next !== undefined) return next;
      attempts.push(runningAttempt(`a${attempts.length + 1}`, verb));
      if (migration.ending.state === "succeeded") migration.primary = primary;
      return { kind: "accepted", attempt: attempts.at(-1) as AttemptItem };
    },
    async abort() {
      return { kind: "conflict", message: "No attempt is running." };
    },
    setShadow(change) {
      const { enabled = migration.shadow.enabled, sample = migration.shadow.sample } = change;
      migration.shadow = { enabled, sample, state: enabled ? "on" : "off" };
      return migration.shadow;
    },
    divergences({ after, limit }, state) {
      const those = migration.divergent.filter((item) => state === "all" || item.state === state);
      return page(those, after, limit);
    },
    divergence: (id) => migration.divergent.find((item) => item.id === id),
    async recheck(id) {
      const item = migration.divergence(id);
      if (item === undefined) return { kind: "not_found" };
      if (!item.repeatable.ok) return { kind: "impossible", reason: item.repeatable.reason };
      return { kind: "done", ...migration.rechecked };
    },
    closeDivergence(id) {
      const index = migration.divergent.findIndex((item) => item.id === id);
      const item = migration.divergent[index];
      if (item === undefined) return undefined;
      return (migration.divergent[index] = { ...item, state: "closed" });
    },
    rules: () => migration.ruled,
    addRule(request) {
      if ("divergence" in request && migration.divergence(request.divergence) === undefined) {
        return { kind: "not_found" };
      }
      const ruleName =
        "name" in request ? request.name : `${request.action.kind} ${request.divergence}`;
      if (migration.ruled.some((rule) => rule.name === ruleName)) {
        return { kind: "refused", problems: [`${ruleName}: another rule has the same name`] };
      }
      const match = "name" in request ? request.match : { column: "total" };
      const rule: RuleItem = {
        name: ruleName,
        match,
        action: request.action,
        source: "api",
        ...("divergence" in request ? { divergence: request.divergence } : {}),
        madeAt: "2026-03-01T12:00:00.000Z",
        applied: 0,
        covers: 1,
        warnings: [],
      };
      migration.ruled.push(rule);
      return { kind: "made", rule };
    },
    removeRule(ruleName) {
      const index = migration.ruled.findIndex((rule) => rule.name === ruleName);
      if (index < 0) return "not_found";
      if (migration.ruled[index]?.source === "file") return "in_file";
      migration.ruled.splice(index, 1);
      return "removed";
    },
    fingerprints: ({ after, limit }) => page(FINGERPRINTS, after, limit),
    totals: () => ({
      seen: 6000,
      compared: 5400,
      comparedShare: 0.9,
      skipped: { sampled_out: 540 },
      incomparable: { clock: 60 },
      verdicts: { match: 5394, tolerated: 0, divergent: 6, incomparable: 60 },
    }),
    readiness: () => ({
      ready: migration.guards.every(({ ok }) => ok),
      guards: migration.guards,
    }),
    attempts: () => attempts,
    attempt(id) {
      const index = attempts.findIndex((item) => item.id === id);
      const found = attempts[index];
      // Each look sees one step more, so that following an attempt takes several.
      if (found?.state === "running") attempts[index] = oneStepOn(found, migration.ending);
      return found;
    },
    report: (format) =>
      format === "json" ? JSON.stringify({ migration: name }) : `# Report of ${name}\n`,
    replication: () => replicating,
    startReplication: () => ({ kind: "done", replication: replicating }),
    stopReplication: async () => ({ kind: "conflict", message: "Someone else replicates." }),
    verification: () => VERIFICATION,
    verify: ({ tables }) =>
      tables.includes("public.nowhere")
        ? { kind: "conflict", message: "Not now." }
        : { kind: "done", verification: VERIFICATION },
    watch(listener, signal) {
      listeners.add(listener);
      signal.addEventListener("abort", () => listeners.delete(listener), { once: true });
    },
    emit: (event) => listeners.forEach((listener) => listener(event)),
    watchers: () => listeners.size,
  };
  return migration;
}

export function guard(name: string, ok: boolean): Guard {
  return { name, ok, value: ok ? "yes" : "3", limit: ok ? "yes" : "0", cure: `Mend ${name}.` };
}

function fakeStatus(migration: FakeMigration): MigrationStatus {
  const stream = { state: "unmanaged", position: null, lagBytes: null, lagMs: null };
  return {
    name: migration.name,
    phase: migration.primary === "old" ? "in_sync" : "on_new",
    route: { primary: migration.primary, shadow: migration.shadow },
    epoch: 4,
    sessions: 12,
    exchanges: {
      seen: 184_311,
      mirrored: 121_011,
      compared: 120_871,
      skipped: { write: 51_200, after_write: 11_960, queue_full: 140 },
      comparedShare: 0.6558,
    },
    verdicts: { match: 120_431, tolerated: 212, divergent: 228, incomparable: 140 },
    incomparable: { clock: 121, timeout: 19 },
    divergences: { confirmed: 2, unsettled: 1, ruled: 0, closed: 0 },
    drifted: [],
    replication: { forward: stream, reverse: stream },
    canGoBack: { ok: false, reasons: ["Someone else replicates: ask them."] },
  };
}

function fakeDivergence(id: string): DivergenceItem {
  return {
    id,
    state: "confirmed",
    settled: "The primary agreed with itself, and the shadow still differed.",
    repeatable: { ok: true, reason: "its last request is kept in memory" },
    positions: { primary: "0/16B3748", shadow: null },
    fingerprint: id === "d1" ? "1f0e5c2a9b7d4438" : "77aa5c2a9b7d4438",
    statement:
      "SELECT id, total FROM orders WHERE customer_id = $1 ORDER BY created_at DESC LIMIT $2",
    reason: id === "d1" ? "error_on_shadow" : "numeric_value",
    explanation: "A number differs.",
    ...(id === "d1" ? {} : { column: "total" }),
    count: 114,
    firstSeen: "2026-03-01T10:00:00.000Z",
    lastSeen: "2026-03-01T11:30:00.000Z",
    samples: [
      {
        at: "2026-03-01T11:30:00.000Z",
        primary: "‹numeric 5 characters #1f00aa37›",
        shadow: null,
        row: 0,
      },
    ],
  };
}

const FINGERPRINTS: FingerprintItem[] = [3, 2, 1].map((rank) => ({
  fingerprint: `${rank}f0e5c2a9b7d4438`,
  statement: `SELECT * FROM orders_${rank} WHERE id = $1`,
  seen: rank * 1000,
  compared: rank * 900,
  skipped: { sampled_out: rank * 90 },
  incomparable: { clock: rank * 10 },
  verdicts: { match: rank * 899, tolerated: 0, divergent: rank, incomparable: 0 },
  advice: [],
  latency: {
    verdict: "indeterminate",
    old: { p50Ms: 0.42, p99Ms: 3.1 },
    new: { p50Ms: 0.39, p99Ms: null },
  },
  askedTwice: rank,
  varies: { "": 0, total: rank },
}));

const STEPS = ["preparing", "pausing", "decided", "moving", "resumed"];

function runningAttempt(id: string, verb: string): AttemptItem {
  return { id, verb, state: "running", startedAt: "2026-03-01T12:00:00.000Z", timeline: [] };
}

function oneStepOn(attempt: AttemptItem, ending: FakeMigration["ending"]): AttemptItem {
  const step = STEPS[attempt.timeline.length] ?? "";
  const atMs = attempt.timeline.length * 10;
  const timeline = [...attempt.timeline, { step, atMs, tookMs: 9.5, detail: `${step} done` }];
  const over = timeline.length === STEPS.length;
  return { ...attempt, timeline, ...(over ? { ...ending, pauseMs: 31.5 } : {}) };
}

function page<T extends object>(
  items: readonly T[],
  after: string | undefined,
  limit: number,
): { items: T[]; next: string | null } {
  const start = after === undefined ? 0 : Number(after);
  const next = start + limit < items.length ? String(start + limit) : null;
  return { items: items.slice(start, start + limit), next };
}
