import type { IncomparableReason } from "../compare/verdict.ts";
import {
  type LatencyHistogram,
  openLatencyHistogram,
  type SavedLatency,
} from "../metrics/latency-histogram.ts";
import type { Advice } from "../sql/relation-catalogue.ts";
import type { Statement } from "../sql/statement.ts";
import type { CoverageTotals, FingerprintItem } from "./items.ts";
import { latencyOf } from "./latency-verdict.ts";
import type { Coverage, Plans } from "./recorder.ts";

/** The counters of one fingerprint, with what is needed to keep and to show them. */
export type CoverageEntry = {
  readonly fingerprint: string;
  readonly statement: string;
  readonly coverage: Coverage;
  readonly latency: { old: LatencyHistogram | undefined; new: LatencyHistogram | undefined };
  plans: Plans | undefined;
  /** Until then nobody looks whether the plans are worth asking for. */
  plansNotBeforeMs: number;
  /** The verdict on its speed, and of how many answers it is. */
  judged: { readonly of: number; readonly latency: FingerprintItem["latency"] } | undefined;
  /** Sum of all counters when it was last stored: counters only grow, so another sum is a change. */
  storedSum: number;
};

/** The counters of all fingerprints of a migration, bounded. */
export type CoverageTable = {
  /** Hot path: one look-up. */
  of(statement: Statement): Coverage;
  /** Its own entry, not the common one of those beyond the bound. */
  entry(fingerprint: string): CoverageEntry | undefined;
  entries(): Iterable<CoverageEntry>;
  restore(fingerprint: string, statement: string, counters: string): void;
};

/** Where the statements of all fingerprints beyond the bound are counted together. */
export const OTHER = "(other)";

export function openCoverageTable(maxFingerprints: number): CoverageTable {
  const table = new Map<string, CoverageEntry>();
  const admit = (fingerprint: string, statement: string): CoverageEntry => {
    const entry = newEntry(fingerprint, statement);
    table.set(fingerprint, entry);
    return entry;
  };
  const other = (): CoverageEntry =>
    table.get(OTHER) ?? admit(OTHER, "statements of further fingerprints, counted together");
  return {
    of(statement) {
      const known = table.get(statement.fingerprint);
      if (known !== undefined) return known.coverage;
      if (table.size >= maxFingerprints) return other().coverage;
      return admit(statement.fingerprint, statement.normalised).coverage;
    },
    entry: (fingerprint) => (fingerprint === OTHER ? undefined : table.get(fingerprint)),
    entries: () => table.values(),
    restore: (fingerprint, statement, counters) =>
      restoreInto(admit(fingerprint, statement), counters),
  };
}

function newEntry(fingerprint: string, statement: string): CoverageEntry {
  const latency: CoverageEntry["latency"] = { old: undefined, new: undefined };
  const coverage: Coverage = {
    seen: 0,
    compared: 0,
    match: 0,
    tolerated: 0,
    divergent: 0,
    skipped: new Map(),
    incomparable: new Map(),
    toleratedReasons: new Map(),
    advice: new Set(),
    askedTwice: 0,
    varies: new Map(),
    get timed() {
      return Math.min(latency.old?.count ?? 0, latency.new?.count ?? 0);
    },
    recordLatency(side, elapsedMs): void {
      // A histogram takes a kilobyte: most fingerprints of a long tail never need one.
      (latency[side] ??= openLatencyHistogram()).record(elapsedMs);
    },
  };
  return {
    fingerprint,
    statement,
    coverage,
    latency,
    plans: undefined,
    plansNotBeforeMs: 0,
    judged: undefined,
    storedSum: 0,
  };
}

/** @see CoverageEntry.storedSum */
export function sumOf({ coverage, latency, plans }: CoverageEntry): number {
  const { seen, compared, match, tolerated, divergent, askedTwice } = coverage;
  return (
    seen +
    compared +
    match +
    tolerated +
    divergent +
    askedTwice +
    total(coverage.varies) +
    (plans?.atMs ?? 0) +
    total(coverage.skipped) +
    total(coverage.incomparable) +
    (latency.old?.count ?? 0) +
    (latency.new?.count ?? 0)
  );
}

function total(counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

type SavedCounters = {
  readonly seen: number;
  readonly compared: number;
  readonly match: number;
  readonly tolerated: number;
  readonly divergent: number;
  readonly skipped: Readonly<Record<string, number>>;
  readonly incomparable: Readonly<Record<IncomparableReason, number>>;
  readonly toleratedReasons: Readonly<Record<string, number>>;
  /** Not in what the first version stored. */
  readonly advice?: readonly Advice[];
  readonly latency: { readonly old?: SavedLatency; readonly new?: SavedLatency };
  /** Not in what the first version stored. */
  readonly askedTwice?: number;
  readonly varies?: Readonly<Record<string, number>>;
  readonly plans?: Plans;
};

/** The counters as one JSON text, as `restore` takes them. */
export function savedCounters({ coverage, latency, plans }: CoverageEntry): string {
  const { seen, compared, match, tolerated, divergent } = coverage;
  return JSON.stringify({
    seen,
    compared,
    match,
    tolerated,
    divergent,
    skipped: Object.fromEntries(coverage.skipped),
    incomparable: Object.fromEntries(coverage.incomparable),
    toleratedReasons: Object.fromEntries(coverage.toleratedReasons),
    advice: [...coverage.advice],
    latency: { old: latency.old?.saved(), new: latency.new?.saved() },
    askedTwice: coverage.askedTwice,
    varies: Object.fromEntries(coverage.varies),
    plans,
  });
}

function restoreInto(entry: CoverageEntry, counters: string): void {
  const saved = JSON.parse(counters) as SavedCounters;
  const { coverage, latency } = entry;
  coverage.seen = saved.seen;
  coverage.compared = saved.compared;
  coverage.match = saved.match;
  coverage.tolerated = saved.tolerated;
  coverage.divergent = saved.divergent;
  for (const [reason, count] of Object.entries(saved.skipped)) {
    coverage.skipped.set(reason, count);
  }
  for (const [reason, count] of Object.entries(saved.incomparable)) {
    coverage.incomparable.set(reason as IncomparableReason, count);
  }
  for (const [reason, count] of Object.entries(saved.toleratedReasons)) {
    coverage.toleratedReasons.set(reason, count);
  }
  for (const advice of saved.advice ?? []) coverage.advice.add(advice);
  coverage.askedTwice = saved.askedTwice ?? 0;
  for (const [column, count] of Object.entries(saved.varies ?? {})) {
    coverage.varies.set(column, count);
  }
  entry.plans = saved.plans;
  entry.plansNotBeforeMs = (saved.plans?.atMs ?? -PLANS_EVERY_MS) + PLANS_EVERY_MS;
  if (saved.latency.old !== undefined) latency.old = openLatencyHistogram(saved.latency.old);
  if (saved.latency.new !== undefined) latency.new = openLatencyHistogram(saved.latency.new);
  entry.storedSum = sumOf(entry);
}

/** An entry in the shape of the public interface. */
export function fingerprintItem(entry: CoverageEntry): FingerprintItem {
  const { fingerprint, statement, coverage, plans } = entry;
  const { seen, compared, match, tolerated, divergent } = coverage;
  return {
    fingerprint,
    statement,
    seen,
    compared,
    skipped: Object.fromEntries(coverage.skipped),
    incomparable: Object.fromEntries(coverage.incomparable),
    verdicts: { match, tolerated, divergent, incomparable: total(coverage.incomparable) },
    advice: [...coverage.advice],
    latency: judgedLatency(entry),
    askedTwice: coverage.askedTwice,
    varies: Object.fromEntries(coverage.varies),
    ...(plans === undefined
      ? {}
      : { plans: { at: new Date(plans.atMs).toISOString(), old: plans.old, new: plans.new } }),
  };
}

/** Worked out anew only once there are more answers. */
function judgedLatency(entry: CoverageEntry): FingerprintItem["latency"] {
  const { old, new: other } = entry.latency;
  const of = (old?.count ?? 0) + (other?.count ?? 0);
  if (entry.judged?.of !== of) entry.judged = { of, latency: latencyOf(old, other) };
  return entry.judged.latency;
}

/**
 * Asked for all statements at once, every two seconds while somebody looks at the page: a verdict
 * stands until there are a tenth more answers.
 */
export function isDegraded(entry: CoverageEntry): boolean {
  const { judged, latency } = entry;
  const of = (latency.old?.count ?? 0) + (latency.new?.count ?? 0);
  const { verdict } =
    judged !== undefined && of < judged.of * 1.1 ? judged.latency : judgedLatency(entry);
  return verdict === "degraded";
}

const PLANS_EVERY_MS = 15 * 60_000;
/** While a statement is not slower, so often is it looked at again. */
const LOOK_EVERY_MS = 5_000;

/**
 * Whether its plans are worth asking for now. Saying yes counts as asking: plans that could not be had
 * are not asked for with every query.
 */
export function wantsPlans(entry: CoverageEntry | undefined, atMs: number): boolean {
  if (entry === undefined || atMs < entry.plansNotBeforeMs) return false;
  const wanted = isDegraded(entry);
  entry.plansNotBeforeMs = atMs + (wanted ? PLANS_EVERY_MS : LOOK_EVERY_MS);
  return wanted;
}

/** The sums over all entries. */
export function totalsOf(entries: Iterable<CoverageEntry>): CoverageTotals {
  const sums = { fingerprints: 0, seen: 0, compared: 0, match: 0, tolerated: 0, divergent: 0 };
  const skipped: Record<string, number> = {};
  const incomparable: Record<string, number> = {};
  const toleratedReasons: Record<string, number> = {};
  for (const { coverage } of entries) {
    sums.fingerprints++;
    sums.seen += coverage.seen;
    sums.compared += coverage.compared;
    sums.match += coverage.match;
    sums.tolerated += coverage.tolerated;
    sums.divergent += coverage.divergent;
    addTo(skipped, coverage.skipped);
    addTo(incomparable, coverage.incomparable);
    addTo(toleratedReasons, coverage.toleratedReasons);
  }
  return { ...sums, skipped, incomparable, toleratedReasons };
}

function addTo(sums: Record<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [reason, count] of counts) sums[reason] = (sums[reason] ?? 0) + count;
}
