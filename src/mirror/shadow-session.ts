import type { Clock } from "../base/clock.ts";
import type { LostReason, Observation } from "../compare/observation.ts";
import type { SkipReason } from "../routing/skip-reason.ts";
import type { Dialled, DialOutcome } from "../upstream/dial.ts";
import { ownStatementMessage } from "../wire/postgres/frontend-messages.ts";
import type { AnswerCapture } from "./answer-capture.ts";
import { HeldMemory } from "./held-memory.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import type { Pair } from "./pair.ts";
import { rehearsedAnswer, withDeferred } from "./rehearsed-answer.ts";
import { ShadowDialler } from "./shadow-dialler.ts";
import type { ShadowHealth } from "./shadow-health.ts";
import type { ShadowTask } from "./shadow-link.ts";
import { ShadowLink } from "./shadow-link.ts";
import { ROLLBACK, ShadowState } from "./shadow-state.ts";
import type { RehearsalHooks } from "./standing-rehearsals.ts";
import { StandingRehearsals } from "./standing-rehearsals.ts";

export type ShadowLimits = {
  readonly exchanges: number;
  readonly bytes: number;
  readonly timeoutMs: number;
  /** A session's reads wait so long for the shadow to have what it wrote. */
  readonly lagWaitMs: number;
};

type ShadowDeps = {
  readonly clock: Clock;
  readonly health: ShadowHealth;
  readonly budget: MemoryBudget;
  readonly limits: () => ShadowLimits;
  readonly dial: () => Promise<DialOutcome>;
  /** All shadow sessions of the migration that are not closed. */
  readonly live: Set<ShadowSession>;
  /** Ends a statement that outlived its time, since the server does not notice a closed connection. */
  readonly cancel: (server: Dialled) => void;
  readonly newCapture: () => AnswerCapture;
  /** The shadow refused the session's login. */
  readonly refused: (sqlstate: string) => void;
  /** The pair has its observation of the shadow. */
  readonly settled: (pair: Pair) => void;
  readonly rehearsing: RehearsalHooks;
};

/**
 * The shadow's side of one client session: a bounded queue of exchanges, run one after the other,
 * in the client's order, on one connection that is opened when it is first needed.
 */
export class ShadowSession {
  readonly #deps: ShadowDeps;
  #queue: Pair[] = [];
  readonly #memory: HeldMemory;
  readonly #dialler: ShadowDialler;
  #link: ShadowLink | undefined;
  #closed = false;
  readonly #state = new ShadowState();
  #running: Pair | undefined;
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
    deps.live.add(this);
  }

  /** Why no further exchange can be taken now. */
  get refusal(): SkipReason | undefined {
    const { dialling, mayDial } = this.#dialler;
    if (this.#link === undefined && !dialling && !mayDial) return "shadow_down";
    const { exchanges } = this.#deps.limits();
    return this.#queue.length >= exchanges ? "queue_full" : undefined;
  }

  /** Whether it will have the client's settings of this version once what is queued has run. */
  isInStep(version: number): boolean {
    const coming = this.#queue.findLast((pair) => pair.begins);
    return (coming?.version ?? this.#state.version) === version;
  }

  get queued(): { readonly exchanges: number; readonly bytes: number } {
    return { exchanges: this.#queue.length, bytes: this.#memory.bytes };
  }

  get idle(): boolean {
    return this.#queue.length === 0 && this.#running === undefined;
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
    if (gone.length === 0) return;
    this.#queue = this.#queue.filter((pair) => !gone.includes(pair));
    for (const pair of gone) this.#settle(pair, { kind: "lost", elapsedMs: 0, reason });
    this.#leave();
  }

  /** Cancels what is running if it runs for nobody any more. */
  cancelRunning(isGone: (pair: Pair) => boolean): void {
    if (this.#running !== undefined && isGone(this.#running)) this.#cancelRunning();
  }

  /** The transaction goes on without the shadow: it is undone there once its last exchange ran. */
  rollBackWhenIdle(): void {
    this.#rollBack = true;
    this.pump();
  }

  /** Takes pairs out of the queue that were never to run. */
  withdraw(pairs: readonly Pair[]): void {
    for (const pair of pairs) {
      const index = this.#queue.indexOf(pair);
      if (index >= 0) this.#queue.splice(index, 1);
      this.release(pair);
    }
    this.pump();
    this.#leave();
  }

  /** The client cancelled the pairs that are marked so; the shadow may be at another one. */
  cancel(): void {
    if (this.#running?.cancelled === true) this.#cancelRunning();
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
      if (isOverdue && this.#standing.mayCancel(this.#running)) this.#cancelRunning();
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
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) this.#settle(running, LOST);
    this.#dropAll("disconnected");
    this.#memory.close();
  }

  /** Sends what can be sent. */
  pump(): void {
    if (this.#closed || this.#running !== undefined) return;
    const link = this.#link;
    if (link === undefined) {
      if (this.#queue.length > 0) this.#open();
      return;
    }
    if (link.busySinceMs !== undefined) return;
    const pair = this.#queue[0];
    if (this.#rollBack && (pair === undefined || pair.begins)) return this.#runRollback(link);
    if (pair === undefined || !pair.ready) return;
    if (pair.begins && pair.before === undefined) return;
    if (!this.#state.canPrepare(pair, link.status)) {
      return this.abandon((other) => other.transaction === pair.transaction);
    }
    this.#queue.shift();
    this.#running = pair;
    this.#transaction = pair.transaction;
    link.run(this.#task(link, pair));
    if (pair.cancelled) this.#cancelRunning();
  }

  #task(link: ShadowLink, pair: Pair): ShadowTask {
    const as = pair.rehearsal?.as;
    const { frames, answers } = this.#state.prepare(pair, link.status);
    this.#standing.add(pair, this.#deps.clock.monotonicMs());
    return {
      preparation: frames,
      answers,
      exchange: as === "commit" ? CHECK_CONSTRAINTS : pair.frames,
      inTransaction: pair.access !== undefined && (as === "alone" || !pair.begins),
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
    this.#running = undefined;
    this.#taskEnded();
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
    if (!mayDial) return this.#dropAll("disconnected");
    this.#dialler.dial((server) => this.#dialled(server));
  }

  #dialled(server: Dialled | undefined): void {
    if (server === undefined) return this.#dropAll("disconnected");
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
    this.#state.forgetSettings();
    this.#standing.clear();
    this.#deps.health.disconnected();
    this.#skipToBoundary();
  }

  /** On a new connection only whole transactions make sense. */
  #skipToBoundary(): void {
    while (this.#queue[0]?.begins === false) {
      const pair = this.#queue.shift();
      if (pair !== undefined) {
        this.#settle(pair, { kind: "lost", elapsedMs: 0, reason: "disconnected" });
      }
    }
    this.#leave();
  }

  #dropAll(reason: LostReason): void {
    for (const pair of this.#queue.splice(0)) {
      this.#settle(pair, { kind: "lost", elapsedMs: 0, reason });
    }
    this.#leave();
  }
}

const CHECK_CONSTRAINTS = ownStatementMessage("SET CONSTRAINTS ALL IMMEDIATE");
const LOST: Observation = { kind: "lost", elapsedMs: 0, reason: "disconnected" };
