/** The rule that judges speed, against distributions whose truth is known. */
import t from "tap";
import { latencyOf } from "../../src/divergence/latency-verdict.ts";
import {
  type LatencyHistogram,
  openLatencyHistogram,
} from "../../src/metrics/latency-histogram.ts";

/** Uniform numbers from 0 to 1 that are the same in every run (mulberry32). */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Draw = (random: () => number) => number;

/** As latencies are: most near the median, some far above. */
const logNormal =
  (medianMs: number, sigma: number): Draw =>
  (random) => {
    const angle = 2 * Math.PI * random();
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return medianMs * Math.exp(sigma * radius * Math.cos(angle));
  };
/** Every eighth answer waits for the disk. */
const twoHumps: Draw = (random) =>
  random() < 1 / 8 ? logNormal(12, 0.3)(random) : logNormal(1, 0.3)(random);

const DISTRIBUTIONS: readonly { readonly name: string; readonly draw: Draw }[] = [
  { name: "narrow", draw: logNormal(2, 0.2) },
  { name: "usual", draw: logNormal(2, 0.5) },
  { name: "wide", draw: logNormal(2, 1) },
  { name: "two humps", draw: twoHumps },
];

function drawn(draw: Draw, count: number, random: () => number, factor = 1): LatencyHistogram {
  const histogram = openLatencyHistogram();
  for (let answer = 0; answer < count; answer++) histogram.record(factor * draw(random));
  return histogram;
}

/** How often each verdict was given, over so many pairs. */
function verdicts(draw: Draw, count: number, factor: number, pairs: number): Map<string, number> {
  const random = uniform(count * 1000 + Math.round(factor * 100));
  const given = new Map<string, number>();
  for (let pair = 0; pair < pairs; pair++) {
    const { verdict } = latencyOf(drawn(draw, count, random), drawn(draw, count, random, factor));
    given.set(verdict, (given.get(verdict) ?? 0) + 1);
  }
  return given;
}

const PAIRS = 1000;

await t.test("equal speed is not called another, however few the answers", async (test) => {
  for (const { name, draw } of DISTRIBUTIONS) {
    for (const count of [100, 200, 1000]) {
      const given = verdicts(draw, count, 1, PAIRS);
      const wrong = (given.get("degraded") ?? 0) + (given.get("improved") ?? 0);
      test.ok(
        wrong <= PAIRS / 500,
        `${name}, ${count} answers: ${wrong} of ${PAIRS} pairs alike were called different`,
      );
    }
  }
});

await t.test("half as slow again is found from 200 answers on", async (test) => {
  const rows = [
    { name: "narrow", draw: logNormal(2, 0.2), count: 200, atLeast: 0.99 },
    { name: "usual", draw: logNormal(2, 0.5), count: 200, atLeast: 0.95 },
    { name: "wide", draw: logNormal(2, 1), count: 200, atLeast: 0.6 },
    { name: "wide, more answers", draw: logNormal(2, 1), count: 1000, atLeast: 0.97 },
    { name: "two humps", draw: twoHumps, count: 200, atLeast: 0.95 },
  ];
  for (const { name, draw, count, atLeast } of rows) {
    const slower = (verdicts(draw, count, 1.5, PAIRS).get("degraded") ?? 0) / PAIRS;
    test.ok(slower >= atLeast, `${name}, ${count} answers: ${slower} found slower`);
    const faster = (verdicts(draw, count, 1 / 1.5, PAIRS).get("improved") ?? 0) / PAIRS;
    test.ok(faster >= atLeast, `${name}, ${count} answers: ${faster} found faster`);
  }
});

await t.test("with enough answers equal speed is called the same", async (test) => {
  for (const { name, draw } of DISTRIBUTIONS) {
    const same = (verdicts(draw, 4000, 1, 200).get("same") ?? 0) / 200;
    test.ok(same >= 0.95, `${name}, 4,000 answers: ${same} called the same`);
  }
});
