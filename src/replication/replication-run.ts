import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import type { WorkSession } from "../upstream/work-session.ts";
import { openRowWriter } from "./apply/write-rows.ts";
import { readProgress } from "./apply/progress.ts";
import { makeCanary } from "./canary.ts";
import { installDdlTrigger } from "./ddl/event-trigger.ts";
import { failpoint } from "./failpoints.ts";
import type { CompiledMapping } from "./mapping/compile-mapping.ts";
import { targetNameOf } from "./mapping/mapping-input.ts";
import type { RowProgram, TableMapping } from "./mapping/row-program.ts";
import type { ReplicationDeps } from "./migration-replication.ts";
import type { Direction } from "./names.ts";
import { DIRECTIONS, OWN_SCHEMA, streamNames } from "./names.ts";
import { compile, makeOwnSchema, readSources } from "./prepare.ts";
import type { Sessions } from "./prepare.ts";
import { asking } from "./read-shapes.ts";
import type { ReplicationView } from "./replication-view.ts";
import { copySchema } from "./schema/copy-schema.ts";
import { validateSchema } from "./schema/validate-schema.ts";
import { copyTables } from "./snapshot/copy-tables.ts";
import type { TableCopy } from "./snapshot/copy-tables.ts";
import { openThrottle } from "./snapshot/copy-throttle.ts";
import { OpenChunkRouter } from "./snapshot/open-chunk-router.ts";
import { openCopyState } from "./snapshot/open-copy-state.ts";
import type { CopyState } from "./snapshot/open-copy-state.ts";
import { startStandingChecks } from "./standing-checks.ts";
import { StreamRun } from "./stream-run.ts";
import type { TableName, TableShape } from "./table-shape.ts";
import { TaskGroup } from "./task-group.ts";
import { WorkSessions } from "./work-sessions.ts";

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
  #copy: CopyState | undefined;

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
      // Changes kept in files would stay open with the process, which goes on with another run.
      await this.#copy?.close();
    }
  }

  async #start(): Promise<void> {
    const view = this.#view;
    const { migration, settings } = this.#deps;
    view.phase = "preparing";
    view.detail = "Both databases are being looked at.";
    view.notices = [];
    view.missingInSchema = undefined;
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
    this.#notice(mapping.notes.map(({ table, note }) => `${table}: ${note}`));
    await this.#fill(mapping, finishSchema);
    await this.#validate(mapping, sessions);
    await this.#comeBack(mapping);
    await startStandingChecks({
      sessions: this.#sessions,
      group: this.#group,
      view,
      input: settings.mapping,
      tables: mapping.tables.filter(isApplications),
      headroom: settings.sequences.headroom,
    });
  }

  /** Something worth knowing that stops nothing. */
  #notice(sentences: readonly string[]): void {
    this.#view.notices = [...this.#view.notices, ...sentences];
  }

  /** @returns what makes the rest of NEW's schema; undefined where nothing of it is ours to make */
  async #schema(
    sessions: Sessions,
    sources: readonly TableShape[],
  ): Promise<(() => Promise<void>) | undefined> {
    const { migration, settings, targets } = this.#deps;
    const { stream } = streamNames(migration, "forward");
    const progress = await readProgress(sessions.new, { stream, worker: 0 });
    if (progress?.phase === "streaming") return undefined;
    return await copySchema({
      stream,
      source: targets.old,
      sourceVersion: sessions.old.serverVersion,
      session: await this.#sessions.open("new"),
      tables: sources.map((source) => ({ source, target: targetNameOf(settings.mapping, source) })),
      env: process.env,
      signal: this.#group.signal,
      progress: (done, total, what) => {
        this.#view.detail = `The schema is made: ${done} of ${total}, ${what}.`;
      },
      tell: (sentences) => this.#notice(sentences),
    });
  }

  async #noticeChanges(old: WorkSession): Promise<void> {
    const outcome = await installDdlTrigger(old);
    if (outcome.kind === "denied") this.#notice([`OLD: ${outcome.sentence}`]);
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
  async #fill(
    mapping: CompiledMapping,
    finishSchema: (() => Promise<void>) | undefined,
  ): Promise<void> {
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
      programs: programs.filter(isApplications),
      openTarget,
      position: () => view.forward?.applier.state.position ?? from,
      deferred: { maxBytes: DEFERRED_BYTES, folder: deferredFolder },
    });
    this.#copy = state;
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
    if (finishSchema !== undefined) {
      // What an earlier run found to break a foreign key may have been mended on OLD since.
      await stream.caughtUp(running);
      await finishSchema();
    }
    await stream.markStreaming();
  }

  /** Whether NEW's tables have all that OLD's have beside their rows. */
  async #validate({ tables }: CompiledMapping, sessions: Sessions): Promise<void> {
    this.#view.missingInSchema = await validateSchema(
      asking(sessions.old),
      asking(sessions.new),
      tables.filter(isApplications),
    );
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

/** Not one of ours that travels with them. */
function isApplications({ source }: { readonly source: TableName }): boolean {
  return source.schema !== OWN_SCHEMA;
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
