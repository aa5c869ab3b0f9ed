import type { Metrics, Unregister } from "../../metrics/metrics.ts";
import type { Migration } from "./open-migration.ts";
import { showReplication } from "./replication-metrics.ts";
import { shadowState } from "./migration-status.ts";

const SHADOW_STATES = ["off", "connecting", "on", "down"] as const;
/** Skip reasons that mean an exchange would have been mirrored had there been room or a shadow. */
const DROPS = ["queue_full", "shadow_down", "resync"] as const;

/** Shows the numbers of one migration in `/metrics`. */
export function showMigration(metrics: Metrics, migration: Migration): readonly Unregister[] {
  return [
    ...showRoute(metrics, migration),
    ...showConnections(metrics, migration),
    ...showExchanges(metrics, migration),
    ...showShadow(metrics, migration),
    ...showToggles(metrics, migration),
    ...(migration.replicator === undefined
      ? []
      : showReplication(metrics, migration.name, migration.replicator)),
  ];
}

function showRoute(metrics: Metrics, { name, conductor, record }: Migration): Unregister[] {
  const labels = { migration: name };
  return [
    ...(["old", "new"] as const).map((side) =>
      metrics.source("twinwire_route_primary", { ...labels, side }, () =>
        Number(conductor.route().primary === side),
      ),
    ),
    metrics.source("twinwire_epoch", labels, () => conductor.route().epoch),
    metrics.source("twinwire_divergences", labels, () => record.verdicts.divergenceCount()),
    metrics.source("twinwire_divergences_unsettled", labels, () =>
      record.verdicts.divergenceCount("unsettled"),
    ),
    metrics.source("twinwire_statements_degraded", labels, () => record.verdicts.degradedCount()),
    metrics.source("twinwire_drifted_tables", labels, () => record.drifted.list().length),
  ];
}

function showConnections(metrics: Metrics, migration: Migration): Unregister[] {
  const { name, numbers, sessions, relays } = migration;
  const labels = { migration: name };
  const { counters, connections, latency } = numbers;
  return [
    metrics.source("twinwire_connections_open", labels, () => sessions.size + relays.size),
    metrics.source("twinwire_connections_total", labels, () => {
      let total = 0;
      for (const count of connections.values()) total += count;
      return total;
    }),
    metrics.family("twinwire_connections_refused_total", () =>
      [...connections]
        .filter(([outcome]) => outcome !== "session" && outcome !== "replication")
        .map(([reason, value]) => ({ labels: { ...labels, reason }, value })),
    ),
    metrics.source(
      "twinwire_client_bytes_total",
      { ...labels, direction: "from_client" },
      () => counters.bytesFromClients,
    ),
    metrics.source(
      "twinwire_client_bytes_total",
      { ...labels, direction: "to_client" },
      () => counters.bytesToClients,
    ),
    ...(["old", "new"] as const).map((side) =>
      metrics.histogram("twinwire_exchange_duration_seconds", { ...labels, side }, () =>
        latency[side].buckets(),
      ),
    ),
  ];
}

function showExchanges(
  metrics: Metrics,
  { name, mirror, rechecks, position }: Migration,
): Unregister[] {
  const { counters } = mirror;
  const migration = name;
  return [
    metrics.family("twinwire_exchanges_total", () => [
      { labels: { migration, route: "mirrored", reason: "" }, value: counters.mirrored },
      { labels: { migration, route: "applied", reason: "" }, value: counters.applied },
      ...[...counters.skipped].map(([reason, value]) => ({
        labels: { migration, route: "skipped", reason },
        value,
      })),
    ]),
    metrics.family("twinwire_verdicts_total", () => [
      ...(["match", "tolerated", "divergent"] as const).map((verdict) => ({
        labels: { migration, verdict, reason: "" },
        value: counters.verdicts[verdict],
      })),
      ...[...counters.verdicts.incomparable].map(([reason, value]) => ({
        labels: { migration, verdict: "incomparable", reason },
        value,
      })),
    ]),
    metrics.family("twinwire_rechecks_total", () =>
      [...rechecks.outcomes].map(([outcome, value]) => ({ labels: { migration, outcome }, value })),
    ),
    metrics.source("twinwire_rechecks_waiting", { migration }, () => rechecks.doubts.size),
    metrics.family("twinwire_shadow_lag_bytes", () => {
      const { bytes } = position.lag;
      return bytes === null ? [] : [{ labels: { migration }, value: bytes }];
    }),
    metrics.family("twinwire_shadow_dropped_total", () =>
      DROPS.map((reason) => ({
        labels: { migration, reason },
        value: counters.skipped.get(reason) ?? 0,
      })),
    ),
  ];
}

function showShadow(metrics: Metrics, migration: Migration): Unregister[] {
  const { name, mirror, settings } = migration;
  const labels = { migration: name };
  return [
    ...SHADOW_STATES.map((state) =>
      metrics.source("twinwire_shadow_state", { ...labels, state }, () =>
        Number(shadowState(migration) === state),
      ),
    ),
    metrics.source("twinwire_shadow_sample_ratio", labels, () => settings.shadow().sample),
    metrics.source("twinwire_shadow_connections_open", labels, () => mirror.health.connections),
    metrics.source("twinwire_shadow_connect_failures_total", labels, () => mirror.health.failures),
    metrics.source("twinwire_shadow_queue_exchanges", labels, () => {
      let queued = 0;
      for (const shadow of mirror.live) queued += shadow.queued.exchanges;
      return queued;
    }),
    metrics.source("twinwire_shadow_queue_bytes", labels, () => mirror.budget.usedBytes),
  ];
}

function showToggles(metrics: Metrics, migration: Migration): Unregister[] {
  const { name, conductor, sessions, numbers } = migration;
  const labels = { migration: name };
  return [
    metrics.family("twinwire_toggles_total", () => {
      const counts = new Map<string, { verb: string; state: string; value: number }>();
      for (const { verb, state } of conductor.attempts()) {
        const key = `${verb} ${state}`;
        const entry = counts.get(key) ?? { verb, state, value: 0 };
        entry.value++;
        counts.set(key, entry);
      }
      return [...counts.values()].map(({ verb, state, value }) => ({
        labels: { ...labels, verb, state },
        value,
      }));
    }),
    metrics.histogram("twinwire_toggle_pause_seconds", labels, () => numbers.pauses.buckets()),
    metrics.source("twinwire_toggle_waiting_sessions", labels, () => {
      let waiting = 0;
      for (const session of sessions) if (session.waiting) waiting++;
      return waiting;
    }),
  ];
}
