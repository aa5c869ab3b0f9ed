import type { LatencyHistogram } from "../metrics/latency-histogram.ts";
import type { FingerprintItem, Quantiles } from "./items.ts";

/** Fewer answers of either side say nothing. */
const MIN_SAMPLES = 100;
/** Enough for the 99th percentile to be more than its luckiest few. */
const MIN_TAIL_SAMPLES = 2000;
/** Beyond the histogram's own error, and what networks and neighbours move. */
const RATIO = 1.25;
/** A difference that nobody would notice is none. */
const MIN_DIFFERENCE_MS = 0.1;
/**
 * Two-sided, 0.1 %: thousands of statements are judged again and again, and one false `degraded`
 * among them is one too many.
 */
const Z = 3.29;

/**
 * How new compares with old in speed, by a rule without an assumption about the distributions:
 *
 * - `degraded` or `improved`: answers of one side tend to be slower (Mann–Whitney U with the
 *   correction for ties, p < 0.001), and its median is 1.25 times the other's and 0.1 ms apart.
 * - `same`: the 99.9 % confidence interval of the ratio of the medians lies within 1.25 times either
 *   way, or that of their difference within 0.1 ms.
 * - `indeterminate`: anything else, as it needs more answers; and where the median and the 99th
 *   percentile moved in opposite directions.
 *
 * @see H. B. Mann, D. R. Whitney, Ann. Math. Statist. 18 (1947) 50–60; ties: E. L. Lehmann,
 * Nonparametrics (1975), section 1.4. Confidence limits of a quantile by order statistics: W. J. Conover,
 * Practical Nonparametric Statistics (1999), section 3.2; of a ratio from those of its parts: G. Y. Zou,
 * A. Donner, Statist. Med. 27 (2008) 1693–1702.
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
  const [before, after] = [limitsOf(old, 0.5), limitsOf(other, 0.5)];
  const median = noticeable(before.atMs, after.atMs);
  if (median === 0) return isSame(before, after) ? "same" : "indeterminate";
  const tendency = mannWhitneyZ(old, other);
  if (Math.sign(tendency) !== median || Math.abs(tendency) < Z) return "indeterminate";
  if (median * tailChange(old, other, samples) < 0) return "indeterminate";
  return median > 0 ? "degraded" : "improved";
}

/** 1 slower, -1 faster, 0 neither, by more than is of no account. */
function noticeable(oldMs: number, newMs: number): number {
  if (Math.abs(newMs - oldMs) < MIN_DIFFERENCE_MS) return 0;
  if (newMs > oldMs * RATIO) return 1;
  return newMs * RATIO < oldMs ? -1 : 0;
}

/** The 99th percentile's change, where its confidence limits are apart. */
function tailChange(old: LatencyHistogram, other: LatencyHistogram, samples: number): number {
  if (samples < MIN_TAIL_SAMPLES) return 0;
  const [before, after] = [limitsOf(old, 0.99), limitsOf(other, 0.99)];
  if (after.lowerMs > before.upperMs) return Math.max(0, noticeable(before.atMs, after.atMs));
  if (after.upperMs < before.lowerMs) return Math.min(0, noticeable(before.atMs, after.atMs));
  return 0;
}

/** A quantile of what was recorded, and the limits within which the true one lies. */
type Limits = { readonly atMs: number; readonly lowerMs: number; readonly upperMs: number };

function limitsOf(histogram: LatencyHistogram, q: number): Limits {
  const { count } = histogram;
  const spread = (Z * Math.sqrt(count * q * (1 - q))) / count;
  const at = (share: number): number => histogram.quantileMs(Math.min(1, Math.max(0, share))) ?? 0;
  return { atMs: at(q), lowerMs: at(q - spread), upperMs: at(q + spread + 1 / count) };
}

function isSame(before: Limits, after: Limits): boolean {
  const [oldLog, newLog] = [logarithms(before), logarithms(after)];
  const ratio = differenceLimits(oldLog, newLog);
  const band = Math.log(RATIO);
  if (ratio.lower > -band && ratio.upper < band) return true;
  const difference = differenceLimits(before, after);
  return difference.lower > -MIN_DIFFERENCE_MS && difference.upper < MIN_DIFFERENCE_MS;
}

function logarithms({ atMs, lowerMs, upperMs }: Limits): Limits {
  // The histogram counts nothing below half a microsecond.
  const log = (ms: number): number => Math.log(Math.max(ms, 0.0005));
  return { atMs: log(atMs), lowerMs: log(lowerMs), upperMs: log(upperMs) };
}

/** Confidence limits of new minus old from those of each. */
function differenceLimits(old: Limits, other: Limits): { lower: number; upper: number } {
  const difference = other.atMs - old.atMs;
  return {
    lower: difference - Math.hypot(other.atMs - other.lowerMs, old.upperMs - old.atMs),
    upper: difference + Math.hypot(other.upperMs - other.atMs, old.atMs - old.lowerMs),
  };
}

/** Standard score of the Mann–Whitney statistic; positive when new tends to be slower. */
function mannWhitneyZ(old: LatencyHistogram, other: LatencyHistogram): number {
  const [before, after] = [new Map(old.saved().counts), new Map(other.saved().counts)];
  const buckets = [...new Set([...before.keys(), ...after.keys()])].sort((a, b) => a - b);
  let slower = 0;
  let ties = 0;
  let oldBelow = 0;
  for (const bucket of buckets) {
    const [a, b] = [before.get(bucket) ?? 0, after.get(bucket) ?? 0];
    slower += b * (oldBelow + a / 2);
    oldBelow += a;
    ties += (a + b) ** 3 - (a + b);
  }
  const [m, n] = [old.count, other.count];
  const all = m + n;
  const variance = ((m * n) / 12) * (all + 1 - ties / (all * (all - 1)));
  return variance <= 0 ? 0 : (slower - (m * n) / 2) / Math.sqrt(variance);
}

function quantiles(histogram: LatencyHistogram | undefined): Quantiles {
  if (histogram === undefined) return { p50Ms: null, p99Ms: null };
  return { p50Ms: histogram.quantileMs(0.5), p99Ms: histogram.quantileMs(0.99) };
}
