import { z } from "zod";
import type {
  AttemptItem,
  CoverageTotals,
  DivergenceItem,
  FingerprintItem,
  Guard,
  MigrationEvent,
  MigrationStatus,
  Readiness,
  Recheck,
  ReplicationItem,
  RuleItem,
  ShadowStatus,
  VerificationItem,
} from "./ports.ts";

const side = z.enum(["old", "new"]);
const counts = z.record(z.string(), z.int().min(0));
const share = z.number().min(0).max(1);
const text = z.string();
const instant = z.string().meta({ format: "date-time" });
const nullableNumber = z.number().nullable();

const verdicts = z.object({
  match: z.int(),
  tolerated: z.int(),
  divergent: z.int(),
  incomparable: z.int(),
});

const shadow = z.object({
  enabled: z.boolean(),
  sample: share,
  state: z.enum(["off", "connecting", "on", "down"]),
});

const stream = z.object({
  state: text,
  position: text.nullable(),
  lagBytes: nullableNumber,
  lagMs: nullableNumber,
});

const replicationStream = stream.extend({
  rows: z.object({ insert: z.int(), update: z.int(), delete: z.int(), truncate: z.int() }),
  transactions: z.int(),
  retainedBytes: nullableNumber,
  detail: text,
});

const replication = z.object({
  managed: z.boolean(),
  wanted: z.boolean(),
  phase: text,
  detail: text,
  forward: replicationStream,
  reverse: replicationStream,
  copy: z.object({
    rows: z.int(),
    bytes: z.int(),
    rowsPerSecond: z.number(),
    estimatedRows: z.number(),
    etaMs: nullableNumber,
  }),
  tables: z.array(
    z.object({
      source: text,
      target: text,
      state: text,
      chunks: z.int(),
      chunksDone: z.int(),
      rows: z.int(),
      estimatedRows: z.number(),
    }),
  ),
  schema: z.enum(["unknown", "validated", "incomplete"]),
  canGoBack: z.object({ ok: z.boolean(), reasons: z.array(text) }),
  warnings: z.array(text),
});

const verification = z.object({
  phase: z.enum(["none", "running", "done", "failed"]),
  detail: text,
  startedAt: text.nullable(),
  endedAt: text.nullable(),
  tables: z.array(
    z.object({
      name: text,
      state: text,
      chunks: z.int(),
      verified: z.int(),
      rows: z.int(),
      mismatches: z.int(),
      repaired: z.int(),
      causes: counts,
      detail: text,
    }),
  ),
  differences: z.array(
    z.object({
      table: text,
      key: z.record(text, text.nullable()),
      kind: z.enum(["missing", "extra", "different"]),
      columns: z.array(text),
      cause: text,
      position: text,
    }),
  ),
});

const status = z.object({
  name: text,
  phase: text,
  route: z.object({ primary: side, shadow }),
  epoch: z.int(),
  sessions: z.int(),
  exchanges: z.object({
    seen: z.int(),
    mirrored: z.int(),
    compared: z.int(),
    skipped: counts,
    comparedShare: share.nullable(),
  }),
  verdicts,
  divergences: z.object({
    confirmed: z.int(),
    unsettled: z.int(),
    ruled: z.int(),
    closed: z.int(),
  }),
  incomparable: counts,
  drifted: z.array(text),
  replication: z.object({ forward: stream, reverse: stream }),
  canGoBack: z.object({ ok: z.boolean(), reasons: z.array(text) }),
});

const divergence = z.object({
  id: text,
  state: z.enum(["confirmed", "unsettled", "ruled", "closed"]),
  settled: text,
  repeatable: z.object({ ok: z.boolean(), reason: text }),
  positions: z.object({ primary: text.nullable(), shadow: text.nullable() }),
  fingerprint: text,
  statement: text,
  reason: text,
  explanation: text,
  column: text.exactOptional(),
  count: z.int(),
  firstSeen: instant,
  lastSeen: instant,
  samples: z.array(
    z.object({
      at: instant,
      primary: text.nullable(),
      shadow: text.nullable(),
      row: z.int().nullable(),
    }),
  ),
});

const recheck = z.object({
  outcome: z.enum(["divergent", "transient", "nondeterministic", "unsettled"]),
  detail: text,
  column: text.exactOptional(),
  attempts: z.int(),
  tookMs: z.number(),
});

const rule = z.object({
  name: text,
  match: z.object({
    fingerprint: text.optional(),
    table: text.optional(),
    column: text.optional(),
    type: text.optional(),
  }),
  action: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("ignore") }),
    z.object({
      kind: z.literal("tolerate"),
      absolute: z.number().optional(),
      relative: z.number().optional(),
      sqlstates: z.array(z.array(text)).optional(),
    }),
    z.object({
      kind: z.literal("clean"),
      with: z.array(z.enum(["trim", "lower_case", "collapse_space", "null_is_empty"])),
    }),
    z.object({ kind: z.literal("sample"), rate: share }),
  ]),
  source: z.enum(["file", "api"]),
  divergence: text.exactOptional(),
  madeAt: instant.exactOptional(),
  applied: z.int(),
  covers: z.int(),
  warnings: z.array(text),
});

const quantiles = z.object({ p50Ms: nullableNumber, p99Ms: nullableNumber });

const fingerprint = z.object({
  fingerprint: text,
  statement: text,
  seen: z.int(),
  compared: z.int(),
  skipped: counts,
  incomparable: counts,
  verdicts,
  advice: z.array(text).readonly(),
  latency: z.object({ verdict: text, old: quantiles, new: quantiles }),
  askedTwice: z.int(),
  varies: counts,
  plans: z.object({ at: instant, old: text, new: text }).exactOptional(),
});

const totals = z.object({
  seen: z.int(),
  compared: z.int(),
  comparedShare: share.nullable(),
  skipped: counts,
  incomparable: counts,
  verdicts,
}) satisfies z.ZodType<CoverageTotals>;

const guard = z.object({
  name: text,
  ok: z.boolean(),
  value: text,
  limit: text,
  cure: text,
});

const readiness = z.object({ ready: z.boolean(), guards: z.array(guard) });

const attempt = z.object({
  id: text,
  verb: text,
  state: z.enum(["running", "succeeded", "failed", "aborted"]),
  startedAt: instant,
  timeline: z.array(z.object({ step: text, atMs: z.number(), tookMs: z.number(), detail: text })),
  pauseMs: z.number().exactOptional(),
  outcome: text.exactOptional(),
});

const event = z.object({
  at: instant,
  type: z.enum(["phase", "shadow", "divergence", "attempt", "session", "replication"]),
  detail: z.record(z.string(), z.union([text, z.number(), z.boolean(), z.null()])),
});

const problem = z.looseObject({
  type: text,
  title: text,
  status: z.int(),
  code: text,
  detail: text,
  guards: z.array(guard).exactOptional(),
});

/**
 * The shapes of the public interface; the compiler holds them to the ports' types. Fields may be
 * added to any of them without notice, so none says that it has no more.
 */
export type Schemas = {
  readonly Status: z.ZodType<MigrationStatus>;
  readonly Migrations: z.ZodType<{ readonly items: readonly MigrationStatus[] }>;
  readonly Shadow: z.ZodType<ShadowStatus>;
  readonly Divergence: z.ZodType<DivergenceItem>;
  readonly Divergences: z.ZodType;
  readonly Recheck: z.ZodType<Recheck>;
  readonly Rule: z.ZodType<RuleItem>;
  readonly Rules: z.ZodType<{ readonly items: readonly RuleItem[] }>;
  readonly Removed: z.ZodType;
  readonly Fingerprint: z.ZodType<FingerprintItem>;
  readonly Fingerprints: z.ZodType;
  readonly Guard: z.ZodType<Guard>;
  readonly Readiness: z.ZodType<Readiness>;
  readonly Attempt: z.ZodType<AttemptItem>;
  readonly Attempts: z.ZodType<{ readonly items: readonly AttemptItem[] }>;
  readonly Event: z.ZodType<MigrationEvent>;
  readonly Replication: z.ZodType<ReplicationItem>;
  readonly Verification: z.ZodType<VerificationItem>;
  readonly Problem: z.ZodType;
  readonly Health: z.ZodType;
  readonly Ready: z.ZodType;
};

export type SchemaName = keyof Schemas;

const next = text.nullable().meta({ description: "Give it as `after` for the next page." });

export const SCHEMAS: Schemas = {
  Status: status,
  Migrations: z.object({ items: z.array(status) }),
  Shadow: shadow,
  Divergence: divergence,
  Divergences: z.object({ items: z.array(divergence), next }),
  Recheck: recheck,
  Rule: rule,
  Rules: z.object({ items: z.array(rule) }),
  Removed: z.object({ removed: text }),
  Fingerprint: fingerprint,
  Fingerprints: z.object({ items: z.array(fingerprint), next, totals }),
  Guard: guard,
  Readiness: readiness,
  Attempt: attempt,
  Attempts: z.object({ items: z.array(attempt) }),
  Event: event,
  Replication: replication,
  Verification: verification,
  Problem: problem,
  Health: z.object({ status: text }),
  Ready: z.object({ ready: z.boolean(), reasons: z.array(text) }),
};
