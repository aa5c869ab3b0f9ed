import type { Buckets } from "./metrics.ts";

/**
 * Counts of durations in buckets that grow with the value: 8 for each power of two, so that any
 * quantile is right within 6 %, from 1 µs to over half an hour, in at most 1 kB.
 */
export type LatencyHistogram = {
  readonly count: number;
  readonly sumMs: number;
  /** Hot path: a few additions. Negative counts as 0, the endless as the longest there is. */
  record(elapsedMs: number): void;
  /** @returns milliseconds, or null while nothing was recorded. `q` from 0 to 1. */
  quantileMs(q: number): number | null;
  /** For the metrics, in seconds. */
  buckets(): Buckets;
  /** All that was recorded, for keeping. */
  saved(): SavedLatency;
};

/** The buckets that are not empty, by number. */
export type SavedLatency = {
  readonly sumMs: number;
  readonly counts: readonly (readonly [bucket: number, count: number])[];
};

/** @param saved what an earlier histogram held; entries that are not understood are left out */
export function openLatencyHistogram(saved?: SavedLatency): LatencyHistogram {
  const histogram = new LogLinearHistogram();
  if (saved !== undefined) histogram.restore(saved);
  return histogram;
}

/** Sub-buckets of each power of two. */
const STEPS = 8;
const STEP_BITS = 3;
/** Up to 2^31 µs: values are 32-bit integers, which is what makes recording cheap. */
const BUCKETS = (31 - STEP_BITS) * STEPS + STEPS;
const LARGEST_US = 2 ** 31 - 1;

/** Powers of two of microseconds from 64 µs to 67 s: edges of our buckets, so the counts are exact. */
const METRIC_EXPONENTS: readonly number[] = Array.from({ length: 21 }, (_, index) => index + 6);

class LogLinearHistogram implements LatencyHistogram {
  count = 0;
  sumMs = 0;
  readonly #counts = new Uint32Array(BUCKETS);

  record(elapsedMs: number): void {
    const us = elapsedMs > 0 ? Math.min(elapsedMs * 1000, LARGEST_US) : 0;
    this.count++;
    this.sumMs += us / 1000;
    const bucket = bucketOf(us | 0);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  quantileMs(q: number): number | null {
    if (this.count === 0) return null;
    const rank = Math.max(1, Math.ceil(Math.min(1, q) * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= rank) return (lowerUs(bucket) + lowerUs(bucket + 1) - 1) / 2000;
    }
    return LARGEST_US / 1000;
  }

  buckets(): Buckets {
    let bucket = 0;
    let below = 0;
    const cumulative = METRIC_EXPONENTS.map((exponent) => {
      const end = firstBucketOf(exponent);
      for (; bucket < end; bucket++) below += this.#counts[bucket] ?? 0;
      return [2 ** exponent / 1e6, below] as const;
    });
    return { cumulative, count: this.count, sum: this.sumMs / 1000 };
  }

  saved(): SavedLatency {
    const counts: [number, number][] = [];
    // By index: this runs for every fingerprint once a second, and an iterator costs five times as much.
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.#counts[bucket] ?? 0;
      if (count > 0) counts.push([bucket, count]);
    }
    return { sumMs: this.sumMs, counts };
  }

  restore(saved: SavedLatency): void {
    for (const [bucket, count] of saved.counts) {
      if (!Number.isInteger(bucket) || bucket < 0 || bucket >= BUCKETS) continue;
      this.#counts[bucket] = count;
      this.count += count;
    }
    this.sumMs = saved.sumMs;
  }
}

/** Below 8 µs each microsecond has its own bucket. */
function bucketOf(us: number): number {
  if (us < STEPS) return us;
  const exponent = 31 - Math.clz32(us);
  return firstBucketOf(exponent) + ((us >>> (exponent - STEP_BITS)) & (STEPS - 1));
}

/** The bucket that begins at 2^exponent µs. */
function firstBucketOf(exponent: number): number {
  return (exponent - STEP_BITS + 1) * STEPS;
}

/** Where a bucket begins, in microseconds. */
function lowerUs(bucket: number): number {
  if (bucket < STEPS) return bucket;
  const exponent = Math.floor(bucket / STEPS) + STEP_BITS - 1;
  return 2 ** exponent + (bucket % STEPS) * 2 ** (exponent - STEP_BITS);
}
