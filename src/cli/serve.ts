import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { openAdmin } from "../admin/open-admin.ts";
import { systemClock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { AdjustableLogger, Logger } from "../base/logger.ts";
import { openLogger } from "../base/logger.ts";
import { VERSION } from "../base/version.ts";
import type { Config } from "../config/config.ts";
import { loadConfigWithWarnings } from "../config/load.ts";
import { reloadDiff } from "../config/reload.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { openMetrics } from "../metrics/metrics.ts";
import { showProcess } from "../metrics/process-metrics.ts";
import { openMigrations } from "./compose/open-migrations.ts";
import type { OpenMigrations } from "./compose/open-migrations.ts";
import { migrationPort } from "./compose/migration-port.ts";

/** A client's open transaction gets so long to end when Twinwire is told to stop. */
const DRAIN_MS = 10_000;
const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** Runs everything for a configuration file until a signal ends it. @returns the exit code. */
export async function serve(options: { readonly config: string }): Promise<number> {
  const { config, warnings } = await load(options.config);
  const log = openLogger(config.log.level);
  for (const warning of warnings) log.warn({}, warning);
  const metrics = openMetrics();
  showProcess(metrics, VERSION);
  const migrations = await openMigrations(config, metrics, log);
  const draining = { now: false };
  const admin = await openAdminOf(config, migrations, metrics, log, draining).catch(
    async (error: unknown) => {
      await migrations.close();
      throw error;
    },
  );
  // Whoever reads the announcement may send a signal at once; unheard it would end the process.
  const stopReloading = reloadOnHangup(options.config, config, migrations, log);
  const stopping = stopSignal();
  announce(admin.address, migrations);

  const signal = await stopping;
  draining.now = true;
  log.info(
    { signal, drainMs: DRAIN_MS },
    "stopping: open transactions may end, new ones may not begin",
  );
  const giveUp = new AbortController();
  void stopSignal().then(() => {
    giveUp.abort();
    // What is left takes a moment; a third signal must not cut it short.
    for (const name of STOP_SIGNALS) process.on(name, () => {});
  });
  await migrations.drain(systemClock.monotonicMs() + DRAIN_MS, giveUp.signal);
  stopReloading();
  await admin.close();
  await migrations.close();
  log.info({}, "stopped");
  return 0;
}

function load(path: string) {
  return loadConfigWithWarnings(path, process.env, (file) => readFile(file, "utf8"));
}

function openAdminOf(
  config: Config,
  migrations: OpenMigrations,
  metrics: Metrics,
  logger: Logger,
  draining: { readonly now: boolean },
) {
  const ports = migrations.all.map((migration) => migrationPort(migration, systemClock));
  return openAdmin(
    config.admin,
    {
      migrations: () => ports,
      metrics: () => metrics.text(),
      notReady: () => (draining.now ? ["Twinwire is stopping"] : migrations.notReady()),
    },
    { logger, metrics, version: VERSION },
  );
}

/** One line on standard output, for whoever started it and waits. */
function announce(admin: string, migrations: OpenMigrations): void {
  const listening = migrations.all.map(({ name, listener: { address } }) => {
    const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
    return [name, `${host}:${address.port}`] as const;
  });
  const line = { event: "listening", admin, migrations: Object.fromEntries(listening) };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Resolves at the next SIGTERM or SIGINT. */
async function stopSignal(): Promise<NodeJS.Signals> {
  const stop = new AbortController();
  try {
    return await Promise.race(
      STOP_SIGNALS.map(async (name) => {
        await once(process, name, { signal: stop.signal });
        return name;
      }),
    );
  } finally {
    stop.abort();
  }
}

/** SIGHUP reads the configuration again: what can change while sessions run does, the rest is named. */
function reloadOnHangup(
  path: string,
  first: Config,
  migrations: OpenMigrations,
  log: AdjustableLogger,
): () => void {
  let current = first;
  const reload = async (): Promise<void> => {
    try {
      const { config, warnings } = await load(path);
      for (const warning of warnings) log.warn({}, warning);
      const { live } = reloadDiff(current, config);
      // What was named before and still waits for a restart is named again.
      const { needsRestart } = reloadDiff(first, config);
      migrations.reload(config);
      log.setLevel(config.log.level);
      current = config;
      log.info({ live, needsRestart }, "the configuration was read again");
    } catch (error) {
      log.error(
        { error: messageOf(error) },
        "the configuration was not read again; the old one stays",
      );
    }
  };
  const onHangup = (): void => void reload();
  process.on("SIGHUP", onHangup);
  return () => void process.off("SIGHUP", onHangup);
}
