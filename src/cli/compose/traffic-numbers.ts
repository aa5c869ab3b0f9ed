import type { LatencyHistogram } from "../../metrics/latency-histogram.ts";
import { openLatencyHistogram } from "../../metrics/latency-histogram.ts";
import type { ConnectionOutcome } from "../../proxy/listener.ts";
import type { TrafficCounters } from "../../proxy/traffic-counters.ts";
import type { Side } from "../../routing/side.ts";

/** What is counted of one migration's client connections; plain numbers, read at each scrape. */
export type TrafficNumbers = {
  readonly counters: TrafficCounters;
  readonly latency: Readonly<Record<Side, LatencyHistogram>>;
  /** How long clients' new transactions waited in each switch. */
  readonly pauses: LatencyHistogram;
  readonly connections: Map<ConnectionOutcome, number>;
  connected(outcome: ConnectionOutcome): void;
  /** An attempt has ended: its pause is counted. */
  paused(pauseMs: number): void;
};

/** @param primary the side that answers now */
export function openTrafficNumbers(primary: () => Side): TrafficNumbers {
  const latency = { old: openLatencyHistogram(), new: openLatencyHistogram() };
  const pauses = openLatencyHistogram();
  const connections = new Map<ConnectionOutcome, number>();
  return {
    counters: {
      bytesFromClients: 0,
      bytesToClients: 0,
      answered: (elapsedMs) => latency[primary()].record(elapsedMs),
    },
    latency,
    pauses,
    connections,
    paused: (pauseMs) => pauses.record(pauseMs),
    connected: (outcome) => connections.set(outcome, (connections.get(outcome) ?? 0) + 1),
  };
}
