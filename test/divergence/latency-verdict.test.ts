import t from "tap";
import { latencyOf } from "../../src/divergence/latency-verdict.ts";
import {
  type LatencyHistogram,
  openLatencyHistogram,
} from "../../src/metrics/latency-histogram.ts";

/** So many answers of `ms`, one in twenty of them `slowMs`. */
function answers(count: number, ms: number, slowMs = ms): LatencyHistogram {
  const histogram = openLatencyHistogram();
  for (let number = 0; number < count; number++) histogram.record(number % 20 === 0 ? slowMs : ms);
  return histogram;
}

await t.test("speed is judged where there is enough to judge", async (test) => {
  const rows: readonly {
    old: LatencyHistogram | undefined;
    other: LatencyHistogram | undefined;
    verdict: string;
    why: string;
  }[] = [
    { old: undefined, other: undefined, verdict: "indeterminate", why: "nothing" },
    { old: answers(500, 1), other: undefined, verdict: "indeterminate", why: "one side" },
    { old: answers(500, 1), other: answers(99, 9), verdict: "indeterminate", why: "too few" },
    { old: answers(500, 1), other: answers(500, 1), verdict: "same", why: "equal" },
    { old: answers(500, 1), other: answers(500, 1.1), verdict: "same", why: "within the noise" },
    { old: answers(500, 0.01), other: answers(500, 0.05), verdict: "same", why: "unnoticeable" },
    { old: answers(500, 1), other: answers(500, 2), verdict: "degraded", why: "twice as slow" },
    { old: answers(500, 2), other: answers(500, 1), verdict: "improved", why: "twice as fast" },
    {
      old: answers(500, 2, 2),
      other: answers(500, 1, 50),
      verdict: "improved",
      why: "too few for the tail to count",
    },
    {
      old: answers(5000, 2, 2),
      other: answers(5000, 1, 50),
      verdict: "indeterminate",
      why: "faster in the middle, slower at the end",
    },
    {
      old: answers(5000, 1, 10),
      other: answers(5000, 2, 50),
      verdict: "degraded",
      why: "slower everywhere",
    },
  ];
  for (const { old, other, verdict, why } of rows) {
    test.equal(latencyOf(old, other).verdict, verdict, why);
  }
  test.strictSame(latencyOf(undefined, undefined).old, { p50Ms: null, p99Ms: null });
});
