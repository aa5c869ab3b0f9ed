import type { ContenderName } from "./contenders.ts";
import type { Setting } from "./pgbench.ts";

/** All rounds of one contender in one setting. */
export type Small = {
  readonly contender: ContenderName;
  readonly setting: Setting;
  readonly rounds: readonly SmallRound[];
};

export type SmallRound = {
  readonly transactions: number;
  readonly perSecond: number;
  readonly latenciesUs: readonly number[];
  /** Of the proxy; undefined where there is none. */
  readonly cpuUs: number | undefined;
  readonly peakBytes: number | undefined;
};

export type Large = { readonly contender: ContenderName; readonly rounds: readonly LargeRound[] };

export type LargeRound = {
  readonly bytes: number;
  readonly tookMs: number;
  readonly cpuUs: number | undefined;
  readonly peakBytes: number | undefined;
  /** How much more memory than right before. */
  readonly addedBytes: number | undefined;
};

/** One line of a table: numbers in the unit of the column, undefined where there is nothing to measure. */
export type Figures = {
  readonly throughput: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly cpu: number | undefined;
  readonly peakMegabytes: number | undefined;
  readonly addedMegabytes: number | undefined;
};

/** Throughput in transactions a second (the median round), CPU in microseconds per transaction (all rounds). */
export function smallFigures({ rounds }: Small): Figures {
  const latencies = rounds.flatMap((round) => round.latenciesUs).toSorted((a, b) => a - b);
  const transactions = sum(rounds.map((round) => round.transactions));
  return {
    throughput: median(rounds.map((round) => round.perSecond)),
    p50Ms: quantile(latencies, 0.5) / 1000,
    p99Ms: quantile(latencies, 0.99) / 1000,
    cpu: ifAll(
      rounds.map((round) => round.cpuUs),
      (all) => sum(all) / transactions,
    ),
    peakMegabytes: ifAll(
      rounds.map((round) => round.peakBytes),
      (all) => Math.max(...all) / 1e6,
    ),
    addedMegabytes: undefined,
  };
}

/** Throughput in MB a second, CPU in milliseconds per 100 MB. */
export function largeFigures({ rounds }: Large): Figures {
  const bytes = sum(rounds.map((round) => round.bytes));
  return {
    throughput: median(rounds.map((round) => round.bytes / 1e6 / (round.tookMs / 1000))),
    p50Ms: undefined,
    p99Ms: undefined,
    cpu: ifAll(
      rounds.map((round) => round.cpuUs),
      (all) => sum(all) / 1000 / (bytes / 1e8),
    ),
    peakMegabytes: ifAll(
      rounds.map((round) => round.peakBytes),
      (all) => Math.max(...all) / 1e6,
    ),
    addedMegabytes: ifAll(
      rounds.map((round) => round.addedBytes),
      (all) => Math.max(...all) / 1e6,
    ),
  };
}

function ifAll(
  values: readonly (number | undefined)[],
  compute: (all: readonly number[]) => number,
): number | undefined {
  const all = values.filter((value) => value !== undefined);
  return all.length === values.length && all.length > 0 ? compute(all) : undefined;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

export function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

/** @param share from 0 to 1 */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
