import type { LatencyHistogram } from "../metrics/latency-histogram.ts";
import type { FingerprintItem, Quantiles } from "./items.ts";

/** Fewer samples on either side say nothing. */
const MIN_SAMPLES = 100;
/** Enough for the 99th percentile to be more than its luckiest few. */
const MIN_TAIL_SAMPLES = 2000;
/** Twice the histogram's own error, and what networks and neighbours move. */
const RATIO = 1.25;
/** A difference that nobody would notice is none. */
const MIN_DIFFERENCE_MS = 0.1;

/**
 * How new compares with old in speed. `indeterminate` where there is too little to say, or where the
 * median and the slow end say opposite things.
 */
export function latencyOf(
  old: LatencyHistogram | undefined,
  other: LatencyHistogram | undefined,
): FingerprintItem["latency"] {
  return { verdict: verdictOf(old, other), old: quantiles(old), new: quantiles(other) };
}

function verdictOf(
  old: LatencyHistogram | undefined,
  other: LatencyHistogram | undefined,
): FingerprintItem["latency"]["verdict"] {
  const samples = Math.min(old?.count ?? 0, other?.count ?? 0);
  if (old === undefined || other === undefined || samples < MIN_SAMPLES) return "indeterminate";
  const median = change(old.quantileMs(0.5), other.quantileMs(0.5));
  const tail =
    samples < MIN_TAIL_SAMPLES ? 0 : change(old.quantileMs(0.99), other.quantileMs(0.99));
  if (median * tail < 0) return "indeterminate";
  if (median === 0) return "same";
  return median > 0 ? "degraded" : "improved";
}

/** 1 slower, -1 faster, 0 neither. */
function change(oldMs: number | null, newMs: number | null): number {
  if (oldMs === null || newMs === null || Math.abs(newMs - oldMs) < MIN_DIFFERENCE_MS) return 0;
  if (newMs > oldMs * RATIO) return 1;
  return newMs * RATIO < oldMs ? -1 : 0;
}

function quantiles(histogram: LatencyHistogram | undefined): Quantiles {
  if (histogram === undefined) return { p50Ms: null, p99Ms: null };
  return { p50Ms: histogram.quantileMs(0.5), p99Ms: histogram.quantileMs(0.99) };
}
