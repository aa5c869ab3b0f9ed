/** Answer times of the demo's application in milliseconds: how many, and the quantiles of the last 32,768. */
export type Latencies = {
  record(elapsedMs: number): void;
  count(): number;
  maxMs(): number;
  /** @param share 0.5 for the median, 0.99 for the slowest hundredth; 0 before the first answer. */
  quantileMs(share: number): number;
};

const KEPT = 32_768;

export function openLatencies(): Latencies {
  const kept = new Float64Array(KEPT);
  let count = 0;
  let maxMs = 0;
  return {
    record(elapsedMs): void {
      kept[count++ % KEPT] = elapsedMs;
      maxMs = Math.max(maxMs, elapsedMs);
    },
    count: () => count,
    maxMs: () => maxMs,
    quantileMs(share): number {
      const sorted = kept.slice(0, Math.min(count, KEPT)).sort();
      return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    },
  };
}
