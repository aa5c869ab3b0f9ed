import { readdirSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { Metrics } from "./metrics.ts";

/** Shows what the process itself uses, and which version it is. */
export function showProcess(metrics: Metrics, version: string): void {
  const labels = { version, node: process.versions.node };
  const startedAt = (Date.now() - process.uptime() * 1000) / 1000;
  metrics.source("twinwire_build_info", labels, () => 1);
  metrics.source("twinwire_process_start_time_seconds", {}, () => startedAt);
  for (const mode of ["user", "system"] as const) {
    metrics.source("twinwire_process_cpu_seconds_total", { mode }, () => {
      return process.cpuUsage()[mode] / 1e6;
    });
  }
  metrics.source("twinwire_process_resident_memory_bytes", {}, () => process.memoryUsage.rss());
  metrics.source("twinwire_process_heap_used_bytes", {}, () => process.memoryUsage().heapUsed);
  metrics.family("twinwire_process_open_fds", () => openDescriptors());

  let last = performance.eventLoopUtilization();
  metrics.source("twinwire_process_event_loop_utilization_ratio", {}, () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  });
}

/** Linux only: elsewhere the metric is not shown. */
function openDescriptors(): { labels: Record<never, string>; value: number }[] {
  try {
    return [{ labels: {}, value: readdirSync("/proc/self/fd").length }];
  } catch {
    return [];
  }
}
