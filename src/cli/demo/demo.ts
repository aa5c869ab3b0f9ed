/** The demo: an application's traffic goes through Twinwire to PostgreSQL 14, is compared with 16, moves there and back. */
import { randomBytes } from "node:crypto";
import { relative } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { messageOf } from "../../base/errors.ts";
import type { AttemptItem } from "../../admin/ports.ts";
import type { Side } from "../../routing/side.ts";
import { startApplication } from "./application.ts";
import type { Application, ApplicationOptions } from "./application.ts";
import {
  DEMO_DATABASE,
  DEMO_USER,
  differingTables,
  loadDatabases,
  readContents,
  startDatabases,
} from "./databases.ts";
import type { DatabaseContents, DemoDatabases } from "./databases.ts";
import { DIFFERENCES } from "./differences.ts";
import { openFingerprints } from "./fingerprints.ts";
import { nameFindings } from "./findings.ts";
import { openOperator } from "./operator.ts";
import type { Operator } from "./operator.ts";
import { openProgress } from "./progress.ts";
import type { Progress } from "./progress.ts";
import { failuresOf, summaryText } from "./summary.ts";
import type { DemoFacts } from "./summary.ts";
import { DEMO_MIGRATION, TWINWIRE_MAIN, startTwinwire } from "./twinwire-process.ts";
import type { TwinwireProcess } from "./twinwire-process.ts";

export type DemoOptions = {
  /** End after the summary instead of staying up. */
  readonly exit: boolean;
  /** How long the traffic runs in all; 28 unless said otherwise. */
  readonly seconds?: number;
};

const DEFAULT_SECONDS = 28;
/** How the time is shared out: comparing before the toggle, on 16, and back on 14. */
const SHARES = { before: 0.45, onNew: 0.3, back: 0.25 } as const;
const SETTLE_DEADLINE_MS = 10_000;
const LOOK_MS = 500;
const INTERRUPTED = 130;

/** Everything that runs while the demo runs. */
type Stage = {
  readonly databases: DemoDatabases;
  /** What each side held before the application began. */
  readonly loaded: DatabaseContents;
  readonly twinwire: TwinwireProcess;
  readonly operator: Operator;
  readonly connection: string;
  readonly fingerprintOf: (statement: string) => string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
};

/** What ends the things that were started, in the order in which they were. */
type Closers = (() => Promise<void>)[];

/** Runs the demo. @returns the exit code: 0 when everything it claims was true. */
export async function demo(options: DemoOptions): Promise<number> {
  const progress = openProgress(process.stdout, Date.now);
  const interruption = listenForInterruption();
  const closers: Closers = [];
  try {
    const stage = await setUp(progress, interruption.signal, closers);
    const failures = await show(stage, options, closers);
    return failures === 0 ? 0 : 1;
  } catch (error) {
    if (interruption.signal.aborted) progress.failed("interrupted");
    else progress.failed(messageOf(error));
    return interruption.signal.aborted ? INTERRUPTED : 1;
  } finally {
    progress.now("stopping");
    for (const close of closers.reverse()) {
      // What cannot be closed must not keep the rest from being closed.
      await close().catch((error: unknown) => progress.failed(messageOf(error)));
    }
    interruption.close();
    progress.close();
  }
}

/** @returns how many of the demo's claims did not hold. */
async function show(stage: Stage, options: DemoOptions, closers: Closers): Promise<number> {
  const { progress, signal, twinwire } = stage;
  try {
    const facts = await run(stage, options.seconds ?? DEFAULT_SECONDS, closers);
    progress.print(summaryText(facts));
    const failures = failuresOf(facts).length;
    if (failures > 0) progress.print(await twinwire.logEnd());
    if (!options.exit) await stayUp(stage, closers);
    return failures;
  } catch (error) {
    if (!signal.aborted) progress.print(await twinwire.logEnd());
    throw error;
  }
}

/** The first Ctrl-C ends the demo in order, the second at once. */
function listenForInterruption(): { readonly signal: AbortSignal; close(): void } {
  const controller = new AbortController();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
  };
  for (const name of signals) process.on(name, interrupt);
  return {
    signal: controller.signal,
    close: () => signals.forEach((name) => process.off(name, interrupt)),
  };
}

/** Servers, data, Twinwire. What was started is in `closers`, in order, also when it throws half-way. */
async function setUp(progress: Progress, signal: AbortSignal, closers: Closers): Promise<Stage> {
  progress.now("starting PostgreSQL 14 and 16");
  const databases = await startDatabases(randomBytes(9).toString("hex"));
  closers.push(() => databases.stop());
  progress.done("PostgreSQL 14 (old) and 16 (new) run");
  signal.throwIfAborted();

  progress.now("loading the order system");
  await loadDatabases(databases);
  const loaded = await readContents(databases.old);
  progress.done(`an order system is in both: ${loaded.size} tables, ${rowsOf(loaded)} rows`);
  signal.throwIfAborted();

  progress.now("starting Twinwire");
  const twinwire = await startTwinwire(databases);
  closers.push(() => twinwire.stop());
  const connection = `postgres://${DEMO_USER}:${databases.password}@${twinwire.listen}/${DEMO_DATABASE}`;
  progress.done(`Twinwire answers on ${twinwire.listen}, its status page is ${twinwire.admin}/`);
  const operator = openOperator(twinwire.admin, DEMO_MIGRATION);
  const fingerprintOf = await openFingerprints();
  return { databases, loaded, twinwire, operator, connection, fingerprintOf, progress, signal };
}

async function run(stage: Stage, seconds: number, closers: Closers): Promise<DemoFacts> {
  const { progress } = stage;
  const application = await openApplication(stage, closers);
  progress.done(`${application.stats().clients} clients of the application are at work`);
  const toggles: AttemptItem[] = [];
  await lookOn(stage, application, seconds * SHARES.before, "14 answers, 16 is compared");
  toggles.push(await toggle(stage, "new", "16"));
  await lookOn(stage, application, seconds * SHARES.onNew, "16 answers, 14 is compared");
  toggles.push(await toggle(stage, "old", "14"));
  await lookOn(stage, application, seconds * SHARES.back, "14 answers again");
  progress.now("letting the application finish");
  await application.stop();
  progress.now("comparing the two databases row by row");
  return {
    application: application.stats(),
    databases: await settle(stage, application.stats().orders),
    findings: nameFindings(await stage.operator.divergences(), stage.fingerprintOf),
    status: await stage.operator.status(),
    toggles,
  };
}

async function openApplication(stage: Stage, closers: Closers): Promise<Application> {
  const options: ApplicationOptions = { url: stage.connection, thinkMs: 20, auditorMs: 100 };
  const application = await startApplication(options);
  closers.push(() => application.stop());
  return application;
}

/** Shows what Twinwire and the application count, until the time is over. @throws when interrupted. */
async function lookOn(
  stage: Stage,
  application: Application,
  seconds: number,
  what: string,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    const [status, items] = await Promise.all([
      stage.operator.status(),
      stage.operator.divergences(),
    ]);
    const found = nameFindings(items, stage.fingerprintOf).found.length;
    const { answers, errors } = application.stats();
    const compared = status.exchanges.compared;
    stage.progress.now(
      `${what}: ${answers} answers, ${compared} compared, ${found} of ${DIFFERENCES.length} differences found, ${errors} errors`,
    );
    const leftMs = Math.max(0, deadline - Date.now());
    await delay(Math.min(LOOK_MS, leftMs), undefined, { signal: stage.signal });
  }
}

async function toggle(stage: Stage, to: Side, version: string): Promise<AttemptItem> {
  stage.signal.throwIfAborted();
  stage.progress.now(`moving the traffic to PostgreSQL ${version}`);
  const attempt = await stage.operator.switchTo(to);
  const pause =
    attempt.pauseMs === undefined ? "" : ` in a pause of ${Math.round(attempt.pauseMs)} ms`;
  if (attempt.state === "succeeded") {
    stage.progress.done(`the traffic moved to PostgreSQL ${version}${pause}, under load`);
  } else {
    stage.progress.failed(`the traffic did not move: ${attempt.outcome ?? attempt.state}`);
  }
  return attempt;
}

/** The last writes may still be on their way to the shadow: reads both sides until they agree, or for so long. */
async function settle(stage: Stage, orders: number): Promise<DemoFacts["databases"]> {
  const deadline = Date.now() + SETTLE_DEADLINE_MS;
  const expected = (stage.loaded.get("orders")?.rows ?? 0) + orders;
  for (;;) {
    const sides = await Promise.all([
      readContents(stage.databases.old),
      readContents(stage.databases.new),
    ]);
    const differing = differingTables(...sides);
    if (differing.length === 0 || Date.now() > deadline) {
      const wrong = sides.map((side) => Math.abs(expected - (side.get("orders")?.rows ?? 0)));
      const rows = rowsOf(sides[0]);
      return { tables: sides[0].size, rows, differing, missingOrders: Math.max(...wrong) };
    }
    await delay(200, undefined, { signal: stage.signal });
  }
}

/** The application goes on until somebody has seen enough. */
async function stayUp(stage: Stage, closers: Closers): Promise<void> {
  const { progress, twinwire, connection, signal } = stage;
  const application = await openApplication(stage, closers);
  const command = `node ${relative(process.cwd(), fileURLToPath(TWINWIRE_MAIN))}`;
  const post = `-X POST -H 'content-type: application/json'`;
  const route = `${twinwire.admin}/api/v1/migrations/${DEMO_MIGRATION}/route`;
  progress.print(
    [
      "The application goes on. Look around:",
      "",
      `  status page   ${twinwire.admin}/`,
      `  connect       psql "${connection}"`,
      `  divergences   ${command} divergences --admin ${twinwire.admin}`,
      `  report        ${command} report --admin ${twinwire.admin}`,
      `  move to 16    curl ${post} -d '{"primary":"new"}' ${route}`,
      `  and back      curl ${post} -d '{"primary":"old"}' ${route}`,
      `  its config    ${twinwire.configPath}`,
      "",
      "Ctrl-C ends it and leaves nothing behind.",
      "",
    ].join("\n"),
  );
  try {
    await lookOn(stage, application, Number.POSITIVE_INFINITY, "running");
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function rowsOf(contents: DatabaseContents): number {
  return [...contents.values()].reduce((sum, table) => sum + table.rows, 0);
}
