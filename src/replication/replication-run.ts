import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { CodedError } from "../base/errors.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import { openRowWriter } from "./apply/write-rows.ts";
import { readProgress } from "./apply/progress.ts";
import { makeCanary } from "./canary.ts";
import { installDdlTrigger } from "./ddl/event-trigger.ts";
import { failpoint } from "./failpoints.ts";
import type { CompiledMapping } from "./mapping/compile-mapping.ts";
import { countMisfits } from "./mapping/reverse-watch.ts";
import { targetNameOf } from "./mapping/mapping-input.ts";
import type { RowProgram, TableMapping } from "./mapping/row-program.ts";
import type { ReplicationDeps } from "./migration-replication.ts";
import type { Direction } from "./names.ts";
import { DIRECTIONS, OWN_SCHEMA, streamNames } from "./names.ts";
import { compile, makeOwnSchema, readSources } from "./prepare.ts";
import type { Sessions } from "./prepare.ts";
import type { ReplicationView } from "./replication-view.ts";
import { applyRest, applyTables } from "./schema/apply-schema.ts";
import type { SchemaReport } from "./schema/apply-schema.ts";
import { planSchema } from "./schema/plan-schema.ts";
import { syncSequences } from "./sequences/sync-sequences.ts";
import { copyTables } from "./snapshot/copy-tables.ts";
import type { TableCopy } from "./snapshot/copy-tables.ts";
import { openThrottle } from "./snapshot/copy-throttle.ts";
import { OpenChunkRouter } from "./snapshot/open-chunk-router.ts";
import { openCopyState } from "./snapshot/open-copy-state.ts";
import { StreamRun } from "./stream-run.ts";
import type { TableShape } from "./table-shape.ts";
import { TaskGroup } from "./task-group.ts";
import { WorkSessions } from "./work-sessions.ts";

const SEQUENCES_MS = 30_000;
const MISFITS_MS = 60_000;
/** What is under way when a run ends gets so long. */
const ENDING_MS = 5_000;
/** Changes that wait for chunks under way; what is more goes to disk. */
const DEFERRED_BYTES = 64 * 1024 ** 2;

/** One run, from connecting to the first failure. What has been done is durable, and the next run goes on from there. */
export class ReplicationRun {
  readonly #deps: ReplicationDeps;
  readonly #view: ReplicationView;
  readonly #group: TaskGroup;
  readonly #sessions: WorkSessions;
  /** What was noticed on the way and stops nothing. */
  readonly #notices: string[] = [];

  constructor(deps: ReplicationDeps, view: ReplicationView, signal: AbortSignal) {
    this.#deps = deps;
    this.#view = view;
    this.#group = new TaskGroup(signal);
    this.#sessions = new WorkSessions(deps.targets, { random: deps.randomBytes });
  }

  /** Until the signal aborts or something fails. @throws what failed first */
  async run(): Promise<void> {
    this.#group.add(() => this.#start());
    // A server that does not answer must not keep the run from ending, or there would never be another.
    let late: NodeJS.Timeout | undefined;
    this.#group.signal.addEventListener("abort", () => {
      late = setTimeout(() => void this.#sessions.close(), ENDING_MS);
    });
    try {
      await this.#group.ended();
    } finally {
      clearTimeout(late);
      this.#view.forward = undefined;
      this.#view.reverse = undefined;
      await this.#sessions.close();
    }
  }

  async #start(): Promise<void> {
    const view = this.#view;
    const { migration, settings } = this.#deps;
    view.phase = "preparing";
    view.detail = "Both databases are being looked at.";
    this.#registerAll();
    const sessions = {
      old: await this.#sessions.open("old"),
      new: await this.#sessions.open("new"),
    };
    await makeOwnSchema(sessions);
    await makeCanary(sessions.old, migration);
    await makeCanary(sessions.new, migration);
    failpoint("setup.after_schema");
    const sources = await readSources(sessions, settings.tables);
    const finishSchema = await this.#schema(sessions, sources);
    await this.#noticeChanges(sessions.old);
    const mapping = await compile(sessions, sources, settings.mapping);
    view.mappings = mapping.tables;
    view.noWayBack = mapping.tables.flatMap(({ whyNoInverse }) => whyNoInverse ?? []);
    view.warnings = [
      ...this.#notices,
      ...mapping.notes.map(({ table, note }) => `${table}: ${note}`),
    ];
    await this.#fill(mapping, finishSchema);
    await this.#comeBack(mapping);
    await this.#keepSequences(mapping, sessions.new);
  }

  /**
   * Makes the tables of NEW where it has none.
   * @returns what makes the rest of the schema, once the rows are there
   */
  async #schema(sessions: Sessions, sources: readonly TableShape[]): Promise<() => Promise<void>> {
    const { migration, settings, targets } = this.#deps;
    const { stream } = streamNames(migration, "forward");
    const nothing = async (): Promise<void> => {};
    const progress = await readProgress(sessions.new, { stream, worker: 0 });
    if (progress?.phase === "streaming") return nothing;
    const session = await this.#sessions.open("new");
    const outcome = await planSchema({
      stream,
      source: targets.old,
      sourceVersion: sessions.old.serverVersion,
      session,
      tables: sources.map((source) => ({ source, target: targetNameOf(settings.mapping, source) })),
      env: process.env,
      signal: this.#group.signal,
    });
    if (outcome.kind === "present") return nothing;
    if (outcome.kind === "refused") throw new CodedError("refused_by_guard", outcome.sentence);
    const { plan } = outcome;
    const tell = (done: number, total: number, what: string): void => {
      this.#view.detail = `The schema is made: ${done} of ${total}, ${what}.`;
    };
    const note = ({ skipped }: SchemaReport): void => {
      this.#notices.push(...skipped.map(({ what, why }) => `${what} was not made on NEW: ${why}`));
    };
    note(await applyTables({ session, stream }, plan, tell));
    return async () => note(await applyRest({ session, stream }, plan, tell));
  }

  async #noticeChanges(old: WorkSession): Promise<void> {
    const outcome = await installDdlTrigger(old);
    if (outcome.kind === "denied") this.#notices.push(`OLD: ${outcome.sentence}`);
  }

  /** Before anything is made: what a crash leaves is found again. */
  #registerAll(): void {
    const { migration, register } = this.#deps;
    const objects = DIRECTIONS.flatMap((direction) => {
      const { slot, publication, origin } = streamNames(migration, direction);
      const [source, target] =
        direction === "forward" ? (["old", "new"] as const) : (["new", "old"] as const);
      return [
        { side: source, kind: "slot", name: slot },
        { side: source, kind: "publication", name: publication },
        { side: target, kind: "origin", name: origin },
        { side: source, kind: "schema", name: OWN_SCHEMA },
      ];
    });
    register(objects);
  }

  /** Copies the tables while their changes are applied, until NEW holds what OLD does. */
  async #fill(mapping: CompiledMapping, finishSchema: () => Promise<void>): Promise<void> {
    const view = this.#view;
    const { settings, epoch, folder, clock, random, log } = this.#deps;
    const programs = mapping.tables.map(({ forward }) => forward);
    const stream = this.#streamRun("forward", mapping.tables);
    const from = await stream.prepare();
    const deferredFolder = join(folder, "deferred");
    await mkdir(deferredFolder, { recursive: true, mode: 0o700 });
    const openSource = (): Promise<WorkSession> => this.#sessions.open("old");
    const openTarget = (): Promise<WorkSession> => this.#sessions.open("new");
    const state = await openCopyState({
      stream: stream.names.stream,
      epoch: BigInt(epoch),
      copiers: settings.copy.parallel,
      programs: programs.filter(({ source }) => source.schema !== OWN_SCHEMA),
      openTarget,
      position: () => view.forward?.applier.state.position ?? from,
      deferred: { maxBytes: DEFERRED_BYTES, folder: deferredFolder },
    });
    const router = new OpenChunkRouter({ state, openSource });
    const running = await stream.start(from, router);
    view.forward = running;
    const copy = copyTables({
      state,
      openSource,
      openTarget,
      applier: running.applier,
      writeRows: openRowWriter(),
      throttle: openThrottle(clock, settings.copy.maxRate),
      chunkBytes: settings.copy.chunkBytes,
      clock,
      random,
      logger: log,
    });
    showCopy(view, copy, programs);
    view.phase = "copying";
    view.detail = "The tables are copied while the application works.";
    await copy.run(this.#group.signal);
    view.phase = "catching_up";
    view.detail = "Every table is copied.";
    await finishSchema();
    await stream.markStreaming();
  }

  /** Has what is written on NEW applied on OLD. */
  async #comeBack(mapping: CompiledMapping): Promise<void> {
    const view = this.#view;
    failpoint("setup.before_reverse");
    const stream = this.#streamRun("reverse", mapping.tables.flatMap(turnedRound));
    view.reverse = await stream.start(await stream.prepare(), undefined);
    await stream.markStreaming();
    view.phase = "streaming";
    view.detail = "NEW follows OLD, and what is written on NEW comes back.";
    this.#deps.event({ replication: "streaming" });
  }

  /** NEW's sequences stay ahead of OLD's, and what is written on NEW is looked at for what OLD could not hold. */
  async #keepSequences(mapping: CompiledMapping, onNew: WorkSession): Promise<void> {
    const { settings } = this.#deps;
    const sequences = {
      direction: "forward",
      input: settings.mapping,
      tables: mapping.tables.filter(({ source }) => source.schema !== OWN_SCHEMA),
    } as const;
    const { headroom } = settings.sequences;
    const noted = this.#view.warnings;
    const noInverse = this.#view.noWayBack;
    const [source, target] = [await this.#sessions.open("old"), await this.#sessions.open("new")];
    this.#group.every(SEQUENCES_MS, async () => {
      const options = { headroom, final: false };
      const { problems, warnings } = await syncSequences(source, target, sequences, options);
      this.#view.warnings = [
        ...noted,
        ...[...problems, ...warnings].map(({ sequence, message }) => `${sequence}: ${message}`),
      ];
    });
    this.#group.every(MISFITS_MS, async () => {
      const { misfits } = await countMisfits(onNew, mapping.tables);
      this.#view.noWayBack = [...noInverse, ...misfits.map(({ sentence }) => sentence)];
    });
  }

  #streamRun(direction: Direction, tables: readonly TableMapping[]): StreamRun {
    return new StreamRun({
      ...this.#deps,
      direction,
      tables,
      sessions: this.#sessions,
      group: this.#group,
    });
  }
}

/** A mapping as the reverse stream runs it; nothing where there is no way back. */
function turnedRound({ source, target, forward, reverse }: TableMapping): TableMapping[] {
  if (reverse === undefined) return [];
  return [
    { source: target, target: source, forward: reverse, reverse: forward, whyNoInverse: undefined },
  ];
}

function showCopy(view: ReplicationView, copy: TableCopy, programs: readonly RowProgram[]): void {
  const targets = new Map(
    programs.map(({ source, target }) => [
      `${source.schema}.${source.name}`,
      `${target.schema}.${target.name}`,
    ]),
  );
  view.copy = () => {
    const { rows, bytes, rowsPerSecond, etaSeconds, tables } = copy.progress();
    return {
      rows,
      bytes,
      rowsPerSecond,
      estimatedRows: tables.reduce(
        (sum, table) => sum + Math.max(table.rows, table.estimatedRows),
        0,
      ),
      etaMs: etaSeconds === undefined ? null : etaSeconds * 1000,
    };
  };
  view.tables = () =>
    copy.progress().tables.map(({ table, state, chunks, chunksDone, rows, estimatedRows }) => ({
      source: table,
      target: targets.get(table) ?? table,
      state,
      chunks,
      chunksDone,
      rows,
      estimatedRows,
    }));
}
