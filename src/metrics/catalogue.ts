/**
 * Every metric there is. Base units (seconds, bytes, shares from 0 to 1); counters end in `_total`.
 * METRICS.md says the same for people, and a test compares the two.
 */
export const METRICS = {
  twinwire_build_info: {
    type: "gauge",
    labels: ["version", "node"],
    help: "Always 1; the labels say which Twinwire on which Node.js.",
  },
  twinwire_process_start_time_seconds: {
    type: "gauge",
    labels: [],
    help: "When the process began, in seconds since 1970.",
  },
  twinwire_process_cpu_seconds_total: {
    type: "counter",
    labels: ["mode"],
    help: "Processor time used, in user and system mode.",
  },
  twinwire_process_resident_memory_bytes: {
    type: "gauge",
    labels: [],
    help: "Memory that the process holds in RAM.",
  },
  twinwire_process_heap_used_bytes: {
    type: "gauge",
    labels: [],
    help: "JavaScript heap in use.",
  },
  twinwire_process_open_fds: {
    type: "gauge",
    labels: [],
    help: "Open file descriptors, sockets included (Linux).",
  },
  twinwire_process_event_loop_utilization_ratio: {
    type: "gauge",
    labels: [],
    help: "Share of the time since the last scrape in which the event loop was busy.",
  },
  twinwire_route_primary: {
    type: "gauge",
    labels: ["migration", "side"],
    help: "1 for the side that answers the clients, 0 for the other.",
  },
  twinwire_epoch: {
    type: "gauge",
    labels: ["migration"],
    help: "The number that grows with every cutover attempt.",
  },
  twinwire_connections_open: {
    type: "gauge",
    labels: ["migration"],
    help: "Client connections open now, those still logging in included.",
  },
  twinwire_connections_total: {
    type: "counter",
    labels: ["migration"],
    help: "Client connections accepted.",
  },
  twinwire_connections_refused_total: {
    type: "counter",
    labels: ["migration", "reason"],
    help: "Client connections that did not become sessions, by reason.",
  },
  twinwire_client_bytes_total: {
    type: "counter",
    labels: ["migration", "direction"],
    help: "Bytes received from clients and sent to them.",
  },
  twinwire_exchanges_total: {
    type: "counter",
    labels: ["migration", "route", "reason"],
    help: "Exchanges by route: mirrored, applied, or skipped with the reason.",
  },
  twinwire_verdicts_total: {
    type: "counter",
    labels: ["migration", "verdict", "reason"],
    help: "Verdicts: match, tolerated, divergent or incomparable, with the reason.",
  },
  twinwire_rechecks_total: {
    type: "counter",
    labels: ["migration", "outcome"],
    help: "Differences that were asked about again, by what that said of them.",
  },
  twinwire_rechecks_waiting: {
    type: "gauge",
    labels: ["migration"],
    help: "Differences that wait to be asked about again, or are being asked about.",
  },
  twinwire_shadow_lag_bytes: {
    type: "gauge",
    labels: ["migration"],
    help: "Write-ahead log that the shadow has not applied yet, where its position is known.",
  },
  twinwire_replication_phase: {
    type: "gauge",
    labels: ["migration", "phase"],
    help: "1 for the phase replication is in, and no line where someone else replicates.",
  },
  twinwire_replication_lag_bytes: {
    type: "gauge",
    labels: ["migration", "stream"],
    help: "Write-ahead log of the source that is not applied yet, forward (OLD to NEW) and reverse.",
  },
  twinwire_replication_lag_seconds: {
    type: "gauge",
    labels: ["migration", "stream"],
    help: "How long what was applied last had been committed on the source by then.",
  },
  twinwire_replication_rows_total: {
    type: "counter",
    labels: ["migration", "stream", "operation"],
    help: "Rows applied: insert, update, delete; tables for truncate.",
  },
  twinwire_replication_transactions_total: {
    type: "counter",
    labels: ["migration", "stream"],
    help: "Transactions of the source that were applied.",
  },
  twinwire_replication_retained_bytes: {
    type: "gauge",
    labels: ["migration", "stream"],
    help: "Write-ahead log that the source keeps for the stream.",
  },
  twinwire_replication_copied_rows_total: {
    type: "counter",
    labels: ["migration"],
    help: "Rows copied by the snapshot.",
  },
  twinwire_replication_chunks: {
    type: "gauge",
    labels: ["migration", "state"],
    help: "Chunks of the snapshot, done or left.",
  },
  twinwire_replication_incidents: {
    type: "gauge",
    labels: ["migration"],
    help: "1 while replication has stopped by itself.",
  },
  twinwire_divergences: {
    type: "gauge",
    labels: ["migration"],
    help: "Confirmed divergences, neither closed nor covered by a rule: statement, reason and column counted once.",
  },
  twinwire_divergences_unsettled: {
    type: "gauge",
    labels: ["migration"],
    help: "Differences that asking again could neither confirm nor dispel, counted the same.",
  },
  twinwire_statements_degraded: {
    type: "gauge",
    labels: ["migration"],
    help: "Statements whose answers are slower on NEW.",
  },
  twinwire_drifted_tables: {
    type: "gauge",
    labels: ["migration"],
    help: "Tables in which a write was lost on the shadow.",
  },
  twinwire_shadow_state: {
    type: "gauge",
    labels: ["migration", "state"],
    help: "1 for the state the shadow is in: off, connecting, on or down.",
  },
  twinwire_shadow_sample_ratio: {
    type: "gauge",
    labels: ["migration"],
    help: "Share of the transactions that is mirrored.",
  },
  twinwire_shadow_connections_open: {
    type: "gauge",
    labels: ["migration"],
    help: "Connections to the shadow open now.",
  },
  twinwire_shadow_connect_failures_total: {
    type: "counter",
    labels: ["migration"],
    help: "Attempts to connect to the shadow that failed.",
  },
  twinwire_shadow_queue_exchanges: {
    type: "gauge",
    labels: ["migration"],
    help: "Exchanges waiting for the shadow, in all sessions.",
  },
  twinwire_shadow_queue_bytes: {
    type: "gauge",
    labels: ["migration"],
    help: "Memory held by exchanges waiting for the shadow, in all sessions.",
  },
  twinwire_shadow_dropped_total: {
    type: "counter",
    labels: ["migration", "reason"],
    help: "Exchanges that were to be mirrored and had to be dropped, by reason.",
  },
  twinwire_exchange_duration_seconds: {
    type: "histogram",
    labels: ["migration", "side"],
    help: "Time from the last byte of a request sent to a side to the last byte of its answer; on the shadow, of exchanges sent alone.",
  },
  twinwire_toggles_total: {
    type: "counter",
    labels: ["migration", "verb", "state"],
    help: "Attempts to move the traffic, by verb and how they ended.",
  },
  twinwire_toggle_pause_seconds: {
    type: "histogram",
    labels: ["migration"],
    help: "How long new transactions waited while the traffic was moved.",
  },
  twinwire_toggle_waiting_sessions: {
    type: "gauge",
    labels: ["migration"],
    help: "Sessions whose next transaction waits for a toggle to end.",
  },
  twinwire_admin_requests_total: {
    type: "counter",
    labels: ["status"],
    help: "Requests answered by the admin API, by HTTP status.",
  },
  twinwire_admin_event_streams_open: {
    type: "gauge",
    labels: [],
    help: "Event streams open now.",
  },
  twinwire_admin_event_streams_dropped_total: {
    type: "counter",
    labels: [],
    help: "Event streams ended because their reader fell too far behind.",
  },
} as const;

export type MetricName = keyof typeof METRICS;

/** Metrics of one number for each set of labels. */
export type ValueName = Exclude<MetricName, HistogramName>;

export type HistogramName = "twinwire_exchange_duration_seconds" | "twinwire_toggle_pause_seconds";

/** The labels a metric has, each with a value. */
export type Labels<Name extends MetricName> = Readonly<
  Record<(typeof METRICS)[Name]["labels"][number], string>
>;
