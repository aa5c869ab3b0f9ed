import { z } from "zod";
import type {
  AttemptItem,
  DivergenceItem,
  FingerprintItem,
  Guard,
  MigrationEvent,
  MigrationStatus,
  Readiness,
  ShadowStatus,
} from "./ports.ts";

const side = z.enum(["old", "new"]);
const counts = z.record(z.string(), z.int().min(0));
const share = z.number().min(0).max(1);
const text = z.string();
const instant = z.string().meta({ format: "date-time" });
const nullableNumber = z.number().nullable();

const verdicts = z.strictObject({
  match: z.int(),
  tolerated: z.int(),
  divergent: z.int(),
  incomparable: z.int(),
});

const shadow = z.strictObject({
  enabled: z.boolean(),
  sample: share,
  state: z.enum(["off", "connecting", "on", "down"]),
});

const stream = z.strictObject({
  state: text,
  position: text.nullable(),
  lagBytes: nullableNumber,
  lagMs: nullableNumber,
});

const status = z.strictObject({
  name: text,
  phase: text,
  route: z.strictObject({ primary: side, shadow }),
  epoch: z.int(),
  sessions: z.int(),
  exchanges: z.strictObject({
    seen: z.int(),
    mirrored: z.int(),
    compared: z.int(),
    skipped: counts,
  }),
  verdicts,
  incomparable: counts,
  drifted: z.array(text),
  replication: z.strictObject({ forward: stream, reverse: stream }),
  canGoBack: z.strictObject({ ok: z.boolean(), reasons: z.array(text) }),
});

const divergence = z.strictObject({
  id: text,
  fingerprint: text,
  statement: text,
  reason: text,
  explanation: text,
  column: text.exactOptional(),
  count: z.int(),
  firstSeen: instant,
  lastSeen: instant,
  samples: z.array(
    z.strictObject({
      at: instant,
      primary: text.nullable(),
      shadow: text.nullable(),
      row: z.int().nullable(),
    }),
  ),
});

const quantiles = z.strictObject({ p50Ms: nullableNumber, p99Ms: nullableNumber });

const fingerprint = z.strictObject({
  fingerprint: text,
  statement: text,
  seen: z.int(),
  compared: z.int(),
  skipped: counts,
  verdicts,
  latency: z.strictObject({ verdict: text, old: quantiles, new: quantiles }),
});

const guard = z.strictObject({
  name: text,
  ok: z.boolean(),
  value: text,
  limit: text,
  cure: text,
});

const readiness = z.strictObject({ ready: z.boolean(), guards: z.array(guard) });

const attempt = z.strictObject({
  id: text,
  verb: text,
  state: z.enum(["running", "succeeded", "failed", "aborted"]),
  startedAt: instant,
  timeline: z.array(
    z.strictObject({ step: text, atMs: z.number(), tookMs: z.number(), detail: text }),
  ),
  pauseMs: z.number().exactOptional(),
  outcome: text.exactOptional(),
});

const event = z.strictObject({
  at: instant,
  type: z.enum(["phase", "shadow", "divergence", "attempt", "session"]),
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

/** The shapes of the public interface; the compiler holds them to the ports' types. */
export type Schemas = {
  readonly Status: z.ZodType<MigrationStatus>;
  readonly Migrations: z.ZodType<{ readonly items: readonly MigrationStatus[] }>;
  readonly Shadow: z.ZodType<ShadowStatus>;
  readonly Divergence: z.ZodType<DivergenceItem>;
  readonly Divergences: z.ZodType;
  readonly Fingerprint: z.ZodType<FingerprintItem>;
  readonly Fingerprints: z.ZodType;
  readonly Guard: z.ZodType<Guard>;
  readonly Readiness: z.ZodType<Readiness>;
  readonly Attempt: z.ZodType<AttemptItem>;
  readonly Attempts: z.ZodType<{ readonly items: readonly AttemptItem[] }>;
  readonly Event: z.ZodType<MigrationEvent>;
  readonly Problem: z.ZodType;
  readonly Health: z.ZodType;
  readonly Ready: z.ZodType;
};

export type SchemaName = keyof Schemas;

const next = text.nullable().meta({ description: "Give it as `after` for the next page." });

export const SCHEMAS: Schemas = {
  Status: status,
  Migrations: z.strictObject({ items: z.array(status) }),
  Shadow: shadow,
  Divergence: divergence,
  Divergences: z.strictObject({ items: z.array(divergence), next }),
  Fingerprint: fingerprint,
  Fingerprints: z.strictObject({ items: z.array(fingerprint), next }),
  Guard: guard,
  Readiness: readiness,
  Attempt: attempt,
  Attempts: z.strictObject({ items: z.array(attempt) }),
  Event: event,
  Problem: problem,
  Health: z.strictObject({ status: text }),
  Ready: z.strictObject({ ready: z.boolean(), reasons: z.array(text) }),
};
