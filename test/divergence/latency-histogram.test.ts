import fc from "fast-check";
import t from "tap";
import { openLatencyHistogram } from "../../src/metrics/latency-histogram.ts";

await t.test("a quantile is right within a bucket's width, whatever was recorded", async (test) => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.001, max: 1_000_000, noNaN: true }), { minLength: 1 }),
      fc.constantFrom(0.01, 0.5, 0.9, 0.99, 1),
      (values, q) => {
        const histogram = openLatencyHistogram();
        for (const value of values) histogram.record(value);
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1] ?? 0;
        const found = histogram.quantileMs(q) ?? Number.NaN;
        // A microsecond is the unit: below it nothing is told apart.
        return Math.abs(found - exact) <= exact * 0.0625 + 0.001;
      },
    ),
    { numRuns: 500 },
  );
  test.pass("500 sets of values");
});

await t.test("the edges of what can be recorded", async (test) => {
  const rows: readonly { ms: number; found: number; why: string }[] = [
    { ms: 0, found: 0, why: "nothing" },
    { ms: -3, found: 0, why: "a clock that went back" },
    { ms: Number.NaN, found: 0, why: "not a number" },
    { ms: 0.007, found: 0.007, why: "the last exact microsecond" },
    { ms: 1e12, found: 2_080_374.78, why: "longer than the last bucket" },
    { ms: Number.POSITIVE_INFINITY, found: 2_080_374.78, why: "endless" },
  ];
  for (const { ms, found, why } of rows) {
    const histogram = openLatencyHistogram();
    histogram.record(ms);
    test.equal(histogram.count, 1, why);
    test.ok(Math.abs((histogram.quantileMs(0.5) ?? -1) - found) <= found * 0.01, why);
  }
  test.equal(openLatencyHistogram().quantileMs(0.5), null, "nothing recorded, nothing said");
});

await t.test(
  "the metrics' buckets are cumulative, in seconds, and exact at their edges",
  async (test) => {
    const histogram = openLatencyHistogram();
    for (const ms of [0.05, 0.06, 1.023, 1.5, 70_000]) histogram.record(ms);
    const { cumulative, count, sum } = histogram.buckets();
    test.equal(count, 5);
    test.ok(Math.abs(sum - (0.05 + 0.06 + 1.023 + 1.5 + 70_000) / 1000) < 1e-9);
    test.strictSame(cumulative[0], [0.000064, 2]);
    test.strictSame(
      cumulative.find(([bound]) => bound === 0.001024),
      [0.001024, 3],
    );
    test.equal(cumulative.at(-1)?.[1], 4, "what is longer than the last bound is in none");
    test.ok(cumulative.every(([, below], index) => below >= (cumulative[index - 1]?.[1] ?? 0)));
  },
);

await t.test("what was saved gives the same histogram", async (test) => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 100_000, noNaN: true })), (values) => {
      const histogram = openLatencyHistogram();
      for (const value of values) histogram.record(value);
      const saved = histogram.saved();
      const restored = openLatencyHistogram(JSON.parse(JSON.stringify(saved)) as typeof saved);
      return (
        JSON.stringify(restored.saved()) === JSON.stringify(saved) &&
        restored.count === histogram.count
      );
    }),
  );
  const odd = openLatencyHistogram({
    sumMs: 1,
    counts: [
      [-1, 5],
      [1e9, 5],
      [3, 2],
    ],
  });
  test.equal(odd.count, 2, "buckets that are not understood are left out");
});
