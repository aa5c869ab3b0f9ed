/** The process that replicates one migration. Its parent tells it what to do; it ends when the parent is gone. */
import { randomBytes } from "node:crypto";
import process from "node:process";
import { systemClock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { LogLevel } from "../../base/logger.ts";
import { openLogger } from "../../base/logger.ts";
import type { MigrationReplication } from "../../replication/migration-replication.ts";
import { openMigrationReplication } from "../../replication/migration-replication.ts";
import type { FromReplicator, ToReplicator } from "./protocol.ts";
import { WorkerHolds } from "./worker-holds.ts";
import { WorkerVerification } from "./worker-verification.ts";

type Begin = Extract<ToReplicator, { kind: "begin" }>;

const STATE_MS = 250;
const LAST_MS = 10_000;
const LOG_LEVEL: LogLevel = "info";

const stop = new AbortController();
let replication: MigrationReplication | undefined;
const holds = new WorkerHolds(() => replication);
const verifications = new WorkerVerification(
  () => replication,
  (state) => void tell({ kind: "verification", state }),
  stop.signal,
);

/** Resolves once the parent will hear it, whatever becomes of this process. */
function tell(message: FromReplicator): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected || process.send === undefined) resolve();
    else process.send(message, () => resolve());
  });
}

async function run({ config, epoch, folder }: Begin): Promise<void> {
  const log = openLogger(LOG_LEVEL).child({ migration: config.name, part: "replication" });
  const target = (side: "old" | "new") => config[side].admin ?? config[side].url;
  const opened = openMigrationReplication({
    migration: config.name,
    targets: { old: target("old"), new: target("new") },
    settings: config.replication,
    epoch,
    folder,
    clock: systemClock,
    log,
    random: Math.random,
    randomBytes,
    register: (objects) => void tell({ kind: "register", objects }),
    creating: (side) => tell({ kind: "creating", side }),
    event: (detail) => void tell({ kind: "event", detail }),
  });
  replication = opened;
  verifications.prepare(config.name, { old: target("old"), new: target("new") });
  const report = (): void => void tell({ kind: "state", state: opened.state });
  const reporting = setInterval(report, STATE_MS);
  try {
    await opened.run(stop.signal);
    report();
  } catch (error) {
    if (!stop.signal.aborted) {
      report();
      await tell({ kind: "failed", detail: messageOf(error) });
    }
  } finally {
    clearInterval(reporting);
  }
}

/** Ends the process once everything is closed; what hangs does not keep it. */
async function begin(message: Begin): Promise<void> {
  await run(message);
  if (process.connected) process.disconnect();
}

process.on("message", (message: ToReplicator) => {
  switch (message.kind) {
    case "begin":
      void begin(message);
      return;
    case "hold":
    case "go_to":
    case "release":
      void holds
        .answer(message)
        .then((yes) => tell({ kind: "answer", request: message.request, yes }));
      return;
    case "verify":
      void verifications.start(message);
      return;
    case "stop":
      stop.abort();
  }
});
// Signals to the whole group are the parent's to act on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
process.on("disconnect", () => {
  stop.abort();
  // What hangs must not outlive whom it worked for.
  setTimeout(() => process.exit(1), LAST_MS).unref();
});
