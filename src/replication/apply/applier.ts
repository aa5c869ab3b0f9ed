import type { Clock } from "../../base/clock.ts";
import type { WorkSession, WorkStatement } from "../../upstream/work-session.ts";
import type { Lsn } from "../../wire/position.ts";
import type { StreamNames } from "../names.ts";
import type { SourceItem, SourceStream } from "../source/source-transaction.ts";
import type { AckMargin } from "./acknowledgement.ts";
import { timeLimit } from "./deferred.ts";
import { Desk } from "./desk.ts";
import { Group, piecesOf } from "./group.ts";
import type { Begun } from "./group.ts";
import { GroupWriter } from "./group-writer.ts";
import { AppliedTransactions, Goal } from "./goal.ts";
import type { GoalState } from "./goal.ts";
import type { Hold } from "./hold.ts";
import { ItemReader } from "./item-reader.ts";
import type { WriteRows } from "./row-writer.ts";
import { prepareTargetSession } from "./target-session.ts";
import type { ApplyCapabilities } from "./target-session.ts";
import { Translator } from "./translate.ts";
import type { TranslateDeps } from "./translate.ts";
import { parseVisibility } from "../visibility.ts";

/** What the applier of one stream has done and where it is. Counts are since the process began. */
export type ApplierState = {
  /** Applied and committed in the target; undefined before the first look. */
  readonly position: Lsn | undefined;
  /** Durable in the target and told to the source. */
  readonly acknowledged: Lsn | undefined;
  /** The source's clock at the commit last applied, and ours then. */
  readonly lastCommit: { readonly sourceMs: number; readonly appliedAtMs: number } | undefined;
  /** Nothing is left to apply that has been read, and the source's end has been reached. */
  readonly idle: boolean;
  readonly transactions: number;
  readonly rows: {
    readonly insert: number;
    readonly update: number;
    readonly delete: number;
    readonly truncate: number;
  };
  readonly bytes: number;
};

/** Applies one stream in the target: source commit order, exactly once. */
export type Applier = {
  /** Until `close`. @throws ApplyIncident, CodedError */
  run(): Promise<void>;
  readonly state: ApplierState;
  /** Runs work between two groups, while nothing is applied; for completing chunks and for reading at an exact position. */
  between<T>(work: (position: Lsn) => Promise<T>): Promise<T>;
  /** Has it stand between two transactions of the source until released. undefined when it ends or the signal aborts first. */
  hold(signal: AbortSignal): Promise<HeldApplier | undefined>;
  close(): Promise<void>;
};

/** An applier that stands. */
export type HeldApplier = {
  /**
   * Applies exactly what a snapshot of the source sees, taken since it stands, and stands there.
   * @param sees `pg_current_snapshot()` as text
   * @param position of the source's log, read after the snapshot; undefined: it is found out
   * @returns false when a transaction that it must leave out comes before one that it must apply, or is applied already, or the
   * signal aborts first; it stands where it came to, and a later snapshot may do
   */
  goTo(sees: string, position: Lsn | undefined, signal: AbortSignal): Promise<boolean>;
  /** @returns whether it has stood until now */
  release(): boolean;
};

/** What an applier needs. The stream and the session are its own until `run` has ended; it closes neither. */
export type ApplierDeps = TranslateDeps & {
  readonly stream: SourceStream;
  /** Of the target. */
  readonly session: WorkSession;
  readonly names: StreamNames;
  readonly worker: number;
  /** As in `twinwire.progress` since `initProgress`, which also gave `position`; the stream begins there. */
  readonly epoch: bigint;
  readonly position: Lsn;
  readonly writeRows: WriteRows;
  /**
   * Logical messages, in the order of the log; nothing behind one is applied before this has resolved, and what it throws
   * stops the applier, with everything before its transaction committed. A statement that it returns is run in the
   * transaction that the message is part of.
   */
  readonly onMessage: (message: LogMessage) => Promise<WorkStatement | undefined>;
  readonly clock: Clock;
  readonly options?: Partial<ApplyOptions> | undefined;
};

export type LogMessage = {
  readonly prefix: string;
  readonly content: Buffer;
  /** Of the commit it is part of, or of the message itself. */
  readonly lsn: Lsn;
  readonly transactional: boolean;
};

export type ApplyOptions = {
  readonly ackMargin: AckMargin;
  /** Bounds of one target transaction; larger source transactions get one of their own and are streamed through it. */
  readonly maxGroupRows: number;
  readonly maxGroupBytes: number;
  readonly maxGroupMs: number;
  /** How often the progress is written when only foreign work passes in the log. */
  readonly idleProgressMs: number;
};

const DEFAULTS: ApplyOptions = {
  ackMargin: { ms: 0, bytes: 0 },
  maxGroupRows: 2000,
  maxGroupBytes: 5_000_000,
  maxGroupMs: 50,
  idleProgressMs: 5000,
};

/** How long the applier waits for the log before it looks after acknowledgements. */
const HOUSEKEEPING_MS = 100;
/** How many transactions may be read ahead to find out whether a goal can be reached. */
const MAX_AHEAD = 1000;

export type OpenedApplier = Applier & { readonly capabilities: ApplyCapabilities };

/**
 * Prepares the session: replica role, replication origin, asynchronous commit, each where it is allowed.
 *
 * What the caller does when `run` throws: for `mayPass(error)` (deadlock, serialization, lock timeout, shutdown) and
 * `CodedError` `backend_lost`, close stream and session, wait a little longer each time, open both anew, take the position
 * from `initProgress` with the same epoch, and open another applier there. A commit whose answer was lost has then either
 * happened, and is behind that position, or not. `ApplyIncident` and `conflict` are for the operator.
 * @throws CodedError when the connection broke
 */
export async function openApplier(deps: ApplierDeps): Promise<OpenedApplier> {
  const capabilities = await prepareTargetSession(deps.session, deps.names.origin);
  return new StreamApplier(deps, capabilities);
}

type Stop =
  | { readonly kind: "go_on" | "attend" | "ended" }
  /** What has been collected comes before it. */
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "alone"; readonly begun: Begun }
  | { readonly kind: "message"; readonly message: LogMessage };

class StreamApplier implements OpenedApplier {
  readonly capabilities: ApplyCapabilities;
  readonly #deps: ApplierDeps;
  readonly #options: ApplyOptions;
  readonly #items: ItemReader;
  readonly #translator: Translator;
  readonly #writer: GroupWriter;
  readonly #applied = new AppliedTransactions();
  readonly #desk = new Desk();
  /** Behind everything that has been read and accepted; what is committed follows. */
  #accepted: Lsn;
  #isQuiet = false;
  #writing: Promise<void> | undefined;

  constructor(deps: ApplierDeps, capabilities: ApplyCapabilities) {
    this.capabilities = capabilities;
    this.#deps = deps;
    this.#options = { ...DEFAULTS, ...deps.options };
    this.#items = new ItemReader(deps.stream);
    this.#translator = new Translator(deps);
    this.#writer = new GroupWriter(deps, this.#options, capabilities);
    this.#accepted = deps.position;
  }

  get state(): ApplierState {
    const end = this.#deps.stream.serverEnd;
    return {
      position: this.#writer.position,
      acknowledged: this.#writer.acknowledged,
      idle: this.#isQuiet && end !== undefined && this.#writer.position >= end.lsn,
      ...this.#writer.counts.state,
    };
  }

  async run(): Promise<void> {
    try {
      await this.#desk.runUntilClosed(() => this.#turn());
      await this.#writing;
      await this.#writer.lookAfter();
    } catch (error) {
      await this.#writing?.catch(() => {});
      throw error;
    }
  }

  between<T>(work: (position: Lsn) => Promise<T>): Promise<T> {
    return this.#desk.between(() => work(this.#writer.position));
  }

  async hold(signal: AbortSignal): Promise<HeldApplier | undefined> {
    const hold = await this.#desk.takeHold(signal);
    if (hold === undefined) return undefined;
    return {
      goTo: async (sees, position, giveUp) => {
        const snapshot = parseVisibility(sees);
        if (snapshot === undefined || !this.#applied.allSeenBy(snapshot)) return false;
        const nowMs = this.#deps.clock.monotonicMs();
        return await hold.goTo(new Goal(snapshot, position, { signal: giveUp, nowMs }));
      },
      release: () => hold.end(),
    };
  }

  async close(): Promise<void> {
    await this.#desk.close();
  }

  /** One group, and what has to be done between groups. @returns false when the stream has ended */
  async #turn(): Promise<boolean> {
    const group = new Group();
    const stop = await this.#collect(group).catch((error: unknown): Stop => ({
      kind: "failed",
      error,
    }));
    await this.#settle();
    if (!group.isEmpty) {
      this.#writing = this.#writer.write(group);
      this.#writing.catch(() => {}); // `settle` tells
    } else {
      this.#writer.skip(group);
    }
    if (stop.kind === "go_on") return true;
    await this.#settle();
    if (stop.kind === "failed") throw stop.error;
    if (stop.kind === "alone") await this.#writer.writeAlone(stop.begun);
    if (stop.kind === "message") await this.#deps.onMessage(stop.message);
    if (stop.kind === "attend") await this.#attend();
    return stop.kind !== "ended";
  }

  async #settle(): Promise<void> {
    const writing = this.#writing;
    if (writing === undefined) return;
    await writing;
    if (this.#writing === writing) this.#writing = undefined;
  }

  /** Fills the group with what is at hand, and with what comes while the one before is being written. */
  async #collect(group: Group): Promise<Stop> {
    const { maxGroupRows, maxGroupBytes, maxGroupMs } = this.#options;
    const { clock } = this.#deps;
    const sinceMs = clock.monotonicMs();
    for (;;) {
      if (this.#desk.isWanted(this.#deps.stream, this.#accepted)) return { kind: "attend" };
      const isFull = group.rows >= maxGroupRows || group.bytes >= maxGroupBytes;
      const isDue = this.#writing === undefined && clock.monotonicMs() - sinceMs >= maxGroupMs;
      if (isFull || (isDue && !group.isEmpty)) return { kind: "go_on" };
      const item = await this.#items.read();
      if (item === "ended") return { kind: "ended" };
      if (item === "later") {
        if (this.#writing === undefined && (!group.isEmpty || group.position !== undefined))
          return { kind: "go_on" };
        await this.#wait();
        continue;
      }
      this.#isQuiet = false;
      const stop = await this.#accept(item, group);
      if (stop !== undefined) return stop;
    }
  }

  async #accept(item: SourceItem, group: Group): Promise<Stop | undefined> {
    if (item.kind === "idle") {
      if (item.lsn > this.#accepted) {
        this.#accepted = item.lsn;
        group.position = item.lsn;
      }
      return undefined;
    }
    if (item.kind === "message")
      return { kind: "message", message: { ...item, transactional: false } };
    if (item.endLsn <= this.#accepted) {
      item.release(); // applied before the stream began anew
      return undefined;
    }
    if (!this.#desk.admits(item)) {
      this.#items.unread([item]);
      return { kind: "attend" };
    }
    this.#applied.add(item.xid);
    const begun =
      item.bytes > this.#options.maxGroupBytes
        ? { transaction: item, read: [], rest: piecesOf(item.changes(), this.#translator) }
        : await group.add(item, this.#translator);
    this.#accepted = item.endLsn;
    return begun === undefined ? undefined : { kind: "alone", begun };
  }

  /** For the log, the group that is being written, somebody's wish, or a while. */
  async #wait(): Promise<void> {
    const writing = this.#writing?.then(
      () => "written",
      () => "written",
    );
    this.#isQuiet = writing === undefined;
    const timer = timeLimit(HOUSEKEEPING_MS);
    const came = await Promise.race([
      ...(writing === undefined ? [] : [writing]),
      this.#items.arrival(),
      this.#desk.nextRing(),
      timer.passed.then(() => "passed"),
    ]);
    timer.clear();
    if (came === "written") await this.#settle();
    if (came === "passed" && this.#writing === undefined) await this.#writer.lookAfter();
  }

  /** Everything accepted is committed: holds and works have their turn. */
  async #attend(): Promise<void> {
    await this.#writer.writeProgress();
    await this.#desk.runWorks();
    const { hold } = this.#desk;
    if (hold === undefined) return;
    const { goal } = hold;
    const state = goal === undefined ? "reached" : await this.#lookAhead(goal, hold);
    if (state === "waiting") return;
    await this.#desk.stand(hold, state === "reached", () => this.#writer.lookAfter());
  }

  /** Reads on, without applying, where the next transaction is one that the snapshot does not see. */
  async #lookAhead(goal: Goal, hold: Hold): Promise<GoalState> {
    const { stream } = this.#deps;
    let state = goal.look(stream, this.#writer.position, undefined);
    const ahead: SourceItem[] = [];
    try {
      while (state === "waiting" && !hold.isOver && !this.#desk.isClosing) {
        const item = await this.#items.read();
        const isBlocked = ahead.length > 0;
        if (item === "ended" || ahead.length >= MAX_AHEAD) return "beyond";
        if (item === "later") {
          if (!isBlocked) return "waiting";
          await this.#wait();
          await this.#writer.writeProgress();
          await this.#desk.runWorks();
          state = goal.look(stream, this.#writer.position, undefined);
          continue;
        }
        ahead.push(item);
        if (item.kind === "transaction") {
          if (goal.admits(item)) return "waiting";
          state = goal.look(stream, this.#writer.position, item);
        } else {
          if (!isBlocked) return "waiting";
          state = goal.look(stream, item.lsn, undefined);
        }
      }
      return state;
    } finally {
      this.#items.unread(ahead);
    }
  }
}
