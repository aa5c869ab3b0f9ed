import type { Metrics, Unregister } from "../../metrics/metrics.ts";
import type { ReplicationPhase } from "../../replication/replication-state.ts";
import type { Replicator } from "../replication/supervisor.ts";

const PHASES: readonly ReplicationPhase[] = [
  "off",
  "preparing",
  "copying",
  "catching_up",
  "streaming",
  "retrying",
  "failed",
];
const STREAMS = ["forward", "reverse"] as const;
const OPERATIONS = ["insert", "update", "delete", "truncate"] as const;

/** Shows the numbers of Twinwire's own replication. */
export function showReplication(
  metrics: Metrics,
  migration: string,
  replicator: Replicator,
): readonly Unregister[] {
  const chunks = (): readonly [done: number, all: number] => {
    const { tables } = replicator.state;
    return [sum(tables.map((each) => each.chunksDone)), sum(tables.map((each) => each.chunks))];
  };
  return [
    ...PHASES.map((phase) =>
      metrics.source("twinwire_replication_phase", { migration, phase }, () =>
        Number(replicator.state.phase === phase),
      ),
    ),
    metrics.source("twinwire_replication_incidents", { migration }, () =>
      Number(replicator.state.phase === "failed"),
    ),
    metrics.source(
      "twinwire_replication_copied_rows_total",
      { migration },
      () => replicator.state.copy.rows,
    ),
    metrics.source("twinwire_replication_chunks", { migration, state: "done" }, () => chunks()[0]),
    metrics.source(
      "twinwire_replication_chunks",
      { migration, state: "left" },
      () => chunks()[1] - chunks()[0],
    ),
    ...STREAMS.flatMap((stream) => showStream(metrics, migration, stream, replicator)),
  ];
}

function showStream(
  metrics: Metrics,
  migration: string,
  stream: (typeof STREAMS)[number],
  replicator: Replicator,
): Unregister[] {
  const labels = { migration, stream };
  const known = (read: () => number | null) => () => {
    const value = read();
    return value === null ? [] : [{ labels, value }];
  };
  const state = () => replicator.state[stream];
  return [
    metrics.family(
      "twinwire_replication_lag_bytes",
      known(() => state().lagBytes),
    ),
    metrics.family(
      "twinwire_replication_lag_seconds",
      known(() => {
        const { lagMs } = state();
        return lagMs === null ? null : lagMs / 1000;
      }),
    ),
    metrics.family(
      "twinwire_replication_retained_bytes",
      known(() => state().retainedBytes),
    ),
    metrics.source("twinwire_replication_transactions_total", labels, () => state().transactions),
    ...OPERATIONS.map((operation) =>
      metrics.source(
        "twinwire_replication_rows_total",
        { ...labels, operation },
        () => state().rows[operation],
      ),
    ),
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
