import { Registry } from "prom-client";
import type { Metric } from "prom-client";
import { METRICS } from "./catalogue.ts";
import type { HistogramName, Labels, MetricName, ValueName } from "./catalogue.ts";

/** A histogram at one moment. */
export type Buckets = {
  /** Upper bounds ascending, without infinity, each with the number of values up to it. */
  readonly cumulative: readonly (readonly [bound: number, count: number])[];
  readonly count: number;
  readonly sum: number;
};

export type Sample<Name extends ValueName> = {
  readonly labels: Labels<Name>;
  readonly value: number;
};

/** Ends what it was returned for: the numbers are no longer shown. */
export type Unregister = () => void;

/**
 * Where numbers that live elsewhere are shown. They stay plain counters in the code that counts;
 * the functions given here are called at each scrape, so counting costs nothing but an addition.
 */
export type Metrics = {
  /** One number. */
  source<Name extends ValueName>(name: Name, labels: Labels<Name>, read: () => number): Unregister;
  /** As many numbers as there are at the time of the scrape. */
  family<Name extends ValueName>(name: Name, read: () => Iterable<Sample<Name>>): Unregister;
  histogram<Name extends HistogramName>(
    name: Name,
    labels: Labels<Name>,
    read: () => Buckets,
  ): Unregister;
  /** Prometheus text exposition format 0.0.4. */
  text(): Promise<string>;
};

type Point = {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
};
type Reader = () => Iterable<Point>;

/**
 * An empty registry of the catalogue.
 * @throws Error from `source` and `histogram` when the same labels are already shown.
 */
export function openMetrics(): Metrics {
  const registry = new Registry();
  const readers = new Map<MetricName, Set<Reader>>();
  const taken = new Set<string>();

  const add = (name: MetricName, reader: Reader): Unregister => {
    const known = readers.get(name) ?? new Set<Reader>();
    if (!readers.has(name)) registry.registerMetric(metricOf(name, known));
    readers.set(name, known);
    known.add(reader);
    return () => void known.delete(reader);
  };

  // Two lines of the same labels would make the whole page unreadable to a scraper.
  const addOnce = (name: MetricName, labels: object, reader: Reader): Unregister => {
    const line = `${name} ${JSON.stringify(Object.entries(labels).map(String).toSorted())}`;
    if (taken.has(line)) throw new Error(`the metric ${line} is already shown`);
    taken.add(line);
    const remove = add(name, reader);
    return () => {
      taken.delete(line);
      remove();
    };
  };

  return {
    source: (name, labels, read) => addOnce(name, labels, () => [{ labels, value: read() }]),
    family: (name, read) => add(name, read),
    histogram: (name, labels, read) =>
      addOnce(name, labels, () => bucketPoints(name, labels, read())),
    text: () => registry.metrics(),
  };
}

/** The registry asks a metric for nothing but this; its own classes would want each value pushed. */
function metricOf(name: MetricName, readers: ReadonlySet<Reader>): Metric {
  const { help, type } = METRICS[name];
  const get = async (): Promise<object> => ({
    name,
    help,
    type,
    values: [...readers].flatMap((read) => [...read()]),
  });
  return { name, help, type, get } as unknown as Metric;
}

function bucketPoints(
  name: HistogramName,
  labels: Readonly<Record<string, string>>,
  { cumulative, count, sum }: Buckets,
): Point[] {
  return [
    ...cumulative.map(([bound, value]) => ({
      labels: { ...labels, le: bound },
      value,
      metricName: `${name}_bucket`,
    })),
    { labels: { ...labels, le: "+Inf" }, value: count, metricName: `${name}_bucket` },
    { labels, value: sum, metricName: `${name}_sum` },
    { labels, value: count, metricName: `${name}_count` },
  ];
}
