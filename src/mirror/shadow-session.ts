import type { LostReason, Observation } from "../compare/observation.ts";
import type { SkipReason } from "../routing/skip-reason.ts";
import type { Dialled } from "../upstream/dial.ts";
import { ownStatementMessage } from "../wire/postgres/frontend-messages.ts";
import type { Preparation } from "./bring-in-step.ts";
import { GATHERING_MS, GatheringTurn } from "./gathering.ts";
import { HeldMemory } from "./held-memory.ts";
import type { Pair } from "./pair.ts";
import { rehearsedAnswer, withDeferred } from "./rehearsed-answer.ts";
import type { ShadowDeps } from "./shadow-deps.ts";
import { ShadowDialler } from "./shadow-dialler.ts";
import type { ShadowTask } from "./shadow-link.ts";
import { ShadowLink } from "./shadow-link.ts";
import { ROLLBACK, ShadowState } from "./shadow-state.ts";
import { countTogether, MOST_TOGETHER } from "./shared-writes.ts";
import { StandingRehearsals } from "./standing-rehearsals.ts";

/**
 * The shadow's side of one client session: a bounded queue of exchanges, run in the client's order on one
 * connection that is opened when it is first needed. They run one after the other, or where nothing depends
 * on an earlier answer, as many as have gathered in one write.
 */
export class ShadowSession {
  readonly #deps: ShadowDeps;
  #queue: Pair[] = [];
  readonly #memory: HeldMemory;
  readonly #dialler: ShadowDialler;
  #link: ShadowLink | undefined;
  #closed = false;
  readonly #state = new ShadowState();
  /** The first is at work, those behind it have been sent with it. */
  #running: Pair[] = [];
  readonly #turn: GatheringTurn;
  #rollBack = false;
  #leaving = false;
  readonly #standing: StandingRehearsals;
  /** When the last task ended. */
  #idleSinceMs = 0;
  /** The last transaction that something was run of. */
  #transaction = 0;

  constructor(deps: ShadowDeps) {
    this.#deps = deps;
    this.#memory = new HeldMemory(deps.budget, () => deps.limits().bytes);
    this.#dialler = new ShadowDialler(deps);
    this.#standing = new StandingRehearsals(deps.rehearsing.undone);
    this.#turn = new GatheringTurn(deps.gathering, () => this.#gathered());
    deps.live.add(this);
  }

  /** Why no further exchange can be taken now. */
  get refusal(): SkipReason | undefined {
    const { dialling, mayDial } = this.#dialler;
    if (this.#link === undefined && !dialling && !mayDial) return "shadow_down";
    const { exchanges } = this.#deps.limits();
    return this.queued.exchanges >= exchanges ? "queue_full" : undefined;
  }

  /** Whether it will have the client's settings of this version once what is queued has run. */
  isInStep(version: number): boolean {
    const coming = this.#queue.findLast((pair) => pair.begins);
    return (coming?.version ?? this.#state.version) === version;
  }

  get queued(): { readonly exchanges: number; readonly bytes: number } {
    const sent = Math.max(0, this.#running.length - 1);
    return { exchanges: this.#queue.length + sent, bytes: this.#memory.bytes };
  }

  get idle(): boolean {
    return this.#queue.length === 0 && this.#running.length === 0;
  }

  /** @returns false when there is no room for it; nothing has happened then. */
  offer(pair: Pair): boolean {
    if (this.refusal !== undefined || !this.hold(pair, pair.frames.length)) return false;
    this.#queue.push(pair);
    this.pump();
    return true;
  }

  /** Accounts for memory that a pair comes to hold. @returns false when it would be too much. */
  hold(pair: Pair, bytes: number): boolean {
    return this.#memory.hold(pair, bytes);
  }

  /** The pair is judged or dropped: its memory is free. */
  release(pair: Pair): void {
    this.#memory.release(pair);
  }

  /**
   * A transaction ended differently on the two sides: what is queued of it is dropped, what ran is
   * undone, and the settings are brought in step again before the next.
   */
  abandon(isOfIt: (pair: Pair) => boolean): void {
    this.#state.forgetSettings();
    this.drop(isOfIt, "failed_transaction");
    this.rollBackWhenIdle();
  }

  /** Takes pairs out of the queue and settles them as lost. */
  drop(isGone: (pair: Pair) => boolean, reason: LostReason): void {
    const gone = this.#queue.filter(isGone);
    if (gone.length > 0) this.#queue = this.#queue.filter((pair) => !isGone(pair));
    for (const pair of gone) this.#settle(pair, { kind: "lost", elapsedMs: 0, reason });
    this.#leave();
  }

  /** Cancels what is running if it runs for nobody any more. */
  cancelRunning(isGone: (pair: Pair) => boolean): void {
    const [running] = this.#running;
    if (running !== undefined && isGone(running)) this.#cancelRunning();
  }

  /** The transaction goes on without the shadow: it is undone there once its last exchange ran. */
  rollBackWhenIdle(): void {
    this.#rollBack = true;
    this.pump();
  }

  /** Takes pairs out of the queue that were never to run. */
  withdraw(pairs: readonly Pair[]): void {
    const gone = new Set(pairs);
    this.#queue = this.#queue.filter((pair) => !gone.has(pair));
    for (const pair of pairs) this.release(pair);
    this.pump();
    this.#leave();
  }

  /** The client cancelled the pairs that are marked so; the shadow may be at another one. */
  cancel(): void {
    if (this.#running[0]?.cancelled === true) this.#cancelRunning();
  }

  #cancelRunning(): void {
    if (this.#link !== undefined) this.#deps.cancel(this.#link.server);
  }

  /** Called now and then: ends a task that has taken too long. */
  checkTime(nowMs: number): void {
    this.#checkHold(nowMs);
    const sinceMs = this.#link?.busySinceMs;
    if (sinceMs === undefined || nowMs - sinceMs < this.#deps.limits().timeoutMs) return;
    this.#cancelRunning();
    this.#link?.abort("timeout");
  }

  /** A rehearsal gives its locks back in time, whatever its client waits for. */
  #checkHold(nowMs: number): void {
    const link = this.#link;
    const holdMs = this.#deps.rehearsing.holdMs();
    if (link === undefined || holdMs === undefined) return;
    const isOverdue = this.#standing.isOverdue(nowMs, holdMs);
    if (link.busySinceMs !== undefined) {
      if (isOverdue && this.#standing.mayCancel(this.#running[0])) this.#cancelRunning();
      return;
    }
    // A transaction that has failed holds nothing.
    if (link.status !== "T") return;
    if (!isOverdue && nowMs - this.#idleSinceMs < holdMs) return;
    const transaction = this.#transaction;
    this.abandon((pair) => pair.transaction === transaction);
    this.#deps.rehearsing.ended(transaction);
  }

  /** The client is gone: what is queued still runs, then the connection is closed. */
  closeWhenIdle(): void {
    this.#leaving = true;
    this.pump();
    this.#leave();
  }

  #leave(): void {
    if (this.#leaving && this.idle) this.close();
  }

  /** Closes now; what has not run is lost. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deps.live.delete(this);
    const link = this.#link;
    this.#link = undefined;
    if (link !== undefined) {
      link.close();
      this.#deps.health.disconnected();
    }
    this.#standing.clear();
    this.#queue.unshift(...this.#running.splice(0));
    this.#dropAll();
    this.#memory.close();
  }

  /** Sends what can be sent. */
  pump(): void {
    if (this.#closed || this.#running.length > 0) return;
    const link = this.#link;
    if (link === undefined) {
      if (this.#queue.length > 0) this.#open();
      return;
    }
    if (link.busySinceMs !== undefined) return;
    const pair = this.#queue[0];
    if (this.#rollBack && (pair === undefined || pair.begins)) return this.#runRollback(link);
    if (pair === undefined) return this.#turn.spent();
    if (!pair.ready || (pair.begins && pair.before === undefined)) return;
    if (this.#waitsForMore(pair)) return this.#turn.begin();
    this.#turn.spent();
    const count = countTogether(this.#queue, this.#state, link.status);
    if (count > 1) this.#runTogether(link, count);
    else this.#runAlone(link, pair);
  }

  /** A busy session's next exchanges are about to come, and what they hold until then is not missed elsewhere. */
  #waitsForMore(pair: Pair): boolean {
    if (!pair.shareable || this.#turn.isDue || this.#leaving || this.#memory.isScarce) return false;
    const { exchanges } = this.#deps.limits();
    if (this.#queue.length >= Math.min(MOST_TOGETHER, exchanges / 2)) return false;
    return this.#deps.clock.monotonicMs() - this.#idleSinceMs < GATHERING_MS;
  }

  #gathered(): void {
    if (this.#running.length > 1) this.#link?.readOn();
    else this.pump();
  }

  /** The answers gather as well: they are read when the next exchanges have gathered. */
  #runTogether(link: ShadowLink, count: number): void {
    this.#running = this.#queue.splice(0, count);
    for (const pair of this.#running) pair.timed = false;
    link.runTogether(
      this.#running.map((pair) => this.#task(pair, NO_PREPARATION, pair.frames, false)),
    );
    this.#turn.begin();
  }

  #runAlone(link: ShadowLink, pair: Pair): void {
    if (!this.#state.canPrepare(pair, link.status)) {
      return this.abandon((other) => other.transaction === pair.transaction);
    }
    this.#queue.shift();
    this.#running.push(pair);
    this.#transaction = pair.transaction;
    const as = pair.rehearsal?.as;
    const exchange = as === "commit" ? CHECK_CONSTRAINTS : pair.frames;
    const inTransaction = pair.access !== undefined && (as === "alone" || !pair.begins);
    const preparation = this.#state.prepare(pair, link.status);
    if (pair.rehearsal !== undefined) this.#standing.add(pair, this.#deps.clock.monotonicMs());
    link.run(this.#task(pair, preparation, exchange, inTransaction));
    if (pair.cancelled) this.#cancelRunning();
  }

  #task(pair: Pair, first: Preparation, exchange: Buffer, inTransaction: boolean): ShadowTask {
    return {
      preparation: first.frames,
      answers: first.answers,
      exchange,
      inTransaction,
      capture: this.#deps.newCapture(),
      done: (observation, failed) => {
        pair.shadowFailed = failed;
        this.#finished(pair, observation);
      },
    };
  }

  #finished(pair: Pair, observation: Observation | undefined): void {
    const as = pair.rehearsal?.as;
    this.#state.ran(pair);
    const answer = observation ?? ({ kind: "lost", elapsedMs: 0, reason: "malformed" } as const);
    const link = this.#link;
    const defers = as === "alone" && link?.status === "T" && this.#deps.rehearsing.defers();
    if (link === undefined || !defers) return this.#answered(pair, answer);
    link.run({
      preparation: [],
      answers: 0,
      exchange: CHECK_CONSTRAINTS,
      inTransaction: true,
      capture: this.#deps.newCapture(),
      done: (check) => {
        this.#answered(pair, check === undefined ? answer : withDeferred(pair, answer, check));
      },
    });
  }

  #answered(pair: Pair, answer: Observation): void {
    this.#running.shift();
    if (this.#running.length === 0) this.#taskEnded();
    if (pair.rehearsal !== undefined && pair.rehearsal.as !== "inside") this.#rollBack = true;
    this.#settle(pair, rehearsedAnswer(pair, answer));
    this.pump();
    this.#leave();
  }

  #taskEnded(): void {
    this.#idleSinceMs = this.#deps.clock.monotonicMs();
    if (this.#link?.status === "I") this.#standing.clear();
  }

  /** Statements that a DISCARD or DEALLOCATE removed, or that may not have been made. */
  forgetPrepared(): void {
    this.#state.forgetPrepared();
  }

  #runRollback(link: ShadowLink): void {
    this.#rollBack = false;
    if (link.status === "I") return this.pump();
    link.run({
      preparation: [ROLLBACK],
      answers: 1,
      exchange: undefined,
      inTransaction: false,
      capture: undefined,
      done: () => {
        this.#taskEnded();
        this.pump();
      },
    });
  }

  #settle(pair: Pair, observation: Observation): void {
    pair.shadow = observation;
    if (observation.kind === "lost") this.#standing.lost(pair);
    this.#deps.settled(pair);
  }

  #open(): void {
    const { dialling, mayDial } = this.#dialler;
    if (dialling) return;
    if (!mayDial) return this.#dropAll();
    this.#dialler.dial((server) => this.#dialled(server));
  }

  #dialled(server: Dialled | undefined): void {
    if (server === undefined) return this.#dropAll();
    if (this.#closed) {
      server.socket.destroy();
      return;
    }
    this.#deps.health.connected();
    this.#state.forget();
    this.#rollBack = false;
    this.#link = new ShadowLink(server, this.#deps.clock, () => this.#lost());
    this.#skipToBoundary();
    this.pump();
  }

  #lost(): void {
    this.#link = undefined;
    // What was sent behind the one at work runs again.
    this.#queue.unshift(...this.#running.splice(1));
    this.#state.forgetSettings();
    this.#standing.clear();
    this.#deps.health.disconnected();
    this.#skipToBoundary();
  }

  /** On a new connection only whole transactions make sense. */
  #skipToBoundary(): void {
    const boundary = this.#queue.findIndex((pair) => pair.begins);
    const rest = new Set(boundary < 0 ? this.#queue : this.#queue.slice(0, boundary));
    this.drop((pair) => rest.has(pair), "disconnected");
  }

  #dropAll(): void {
    this.drop(() => true, "disconnected");
  }
}

const NO_PREPARATION: Preparation = { frames: [], answers: 0 };
const CHECK_CONSTRAINTS = ownStatementMessage("SET CONSTRAINTS ALL IMMEDIATE");
