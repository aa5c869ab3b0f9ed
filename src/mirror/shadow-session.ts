import type { Clock } from "../base/clock.ts";
import type { LostReason, Observation } from "../compare/observation.ts";
import type { PreparedStatement } from "../routing/prepared-statements.ts";
import type { SkipReason } from "../routing/skip-reason.ts";
import type { Dialled, DialOutcome } from "../upstream/dial.ts";
import { queryMessage } from "../wire/postgres/frontend-messages.ts";
import type { AnswerCapture } from "./answer-capture.ts";
import { preparedInStep, settingsInStep } from "./bring-in-step.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import type { Pair } from "./pair.ts";
import type { ShadowHealth } from "./shadow-health.ts";
import type { ShadowTask } from "./shadow-link.ts";
import { ShadowLink } from "./shadow-link.ts";

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
};

/**
 * The shadow's side of one client session: a bounded queue of exchanges, run one after the other,
 * in the client's order, on one connection that is opened when it is first needed.
 */
export class ShadowSession {
  readonly #deps: ShadowDeps;
  #queue: Pair[] = [];
  #heldBytes = 0;
  #link: ShadowLink | undefined;
  #dialling = false;
  #closed = false;
  /** The version of the client's settings that the session has; undefined when not known. */
  #version: number | undefined;
  /** Statements the shadow session holds, as far as known. */
  readonly #prepared = new Map<string, PreparedStatement>();
  #running: Pair | undefined;
  #rollBack = false;
  #refusedUntilMs = 0;
  #leaving = false;

  constructor(deps: ShadowDeps) {
    this.#deps = deps;
    deps.live.add(this);
  }

  /** Why no further exchange can be taken now. */
  get refusal(): SkipReason | undefined {
    if (this.#link === undefined && !this.#dialling && !this.#mayDial) return "shadow_down";
    const { exchanges } = this.#deps.limits();
    return this.#queue.length >= exchanges ? "queue_full" : undefined;
  }

  get #mayDial(): boolean {
    return this.#deps.health.mayDial && this.#deps.clock.monotonicMs() >= this.#refusedUntilMs;
  }

  /** Whether it will have the client's settings of this version once what is queued has run. */
  isInStep(version: number): boolean {
    const coming = this.#queue.findLast((pair) => pair.begins);
    return (coming?.version ?? this.#version) === version;
  }

  get queued(): { readonly exchanges: number; readonly bytes: number } {
    return { exchanges: this.#queue.length, bytes: this.#heldBytes };
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
    if (this.#closed) return true;
    if (this.#heldBytes + bytes > this.#deps.limits().bytes) return false;
    if (!this.#deps.budget.fits(bytes)) return false;
    this.#heldBytes += bytes;
    this.#deps.budget.take(bytes);
    pair.heldBytes += bytes;
    return true;
  }

  /** The pair is judged or dropped: its memory is free. */
  release(pair: Pair): void {
    if (this.#closed) return;
    this.#heldBytes -= pair.heldBytes;
    this.#deps.budget.giveBack(pair.heldBytes);
    pair.heldBytes = 0;
  }

  /**
   * A transaction ended differently on the two sides: what is queued of it is dropped, what ran is
   * undone, and the settings are brought in step again before the next.
   */
  abandon(isOfIt: (pair: Pair) => boolean): void {
    this.#version = undefined;
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
    const sinceMs = this.#link?.busySinceMs;
    if (sinceMs === undefined || nowMs - sinceMs < this.#deps.limits().timeoutMs) return;
    this.#cancelRunning();
    this.#link?.abort("timeout");
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
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) this.#settle(running, LOST);
    this.#dropAll("disconnected");
    this.#deps.budget.giveBack(this.#heldBytes);
    this.#heldBytes = 0;
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
    if (pair === undefined && this.#rollBack) return this.#runRollback(link);
    if (pair === undefined || !pair.ready) return;
    if (pair.begins && pair.before === undefined) return;
    if (!this.#canPrepare(link, pair)) {
      return this.abandon((other) => other.transaction === pair.transaction);
    }
    this.#rollBack = false;
    this.#queue.shift();
    this.#running = pair;
    link.run(this.#task(link, pair));
    if (pair.cancelled) this.#cancelRunning();
  }

  /** Neither settings that nobody knows, nor statements in a transaction that has failed. */
  #canPrepare(link: ShadowLink, pair: Pair): boolean {
    if (pair.begins) return pair.before?.unclear.size === 0 || pair.version === this.#version;
    return link.status !== "E" || pair.bound.every((statement) => this.#has(statement));
  }

  #has(statement: PreparedStatement): boolean {
    return this.#prepared.get(statement.name) === statement;
  }

  #task(link: ShadowLink, pair: Pair): ShadowTask {
    const preparation: Buffer[] = [];
    let answers = 0;
    if (pair.begins && link.status !== "I") {
      preparation.push(ROLLBACK);
      answers++;
    }
    if (pair.begins && pair.before !== undefined && pair.version !== this.#version) {
      const step = settingsInStep(pair.before);
      preparation.push(...step.frames);
      answers += step.answers;
      this.#version = pair.version;
    }
    for (const statement of pair.bound) {
      if (this.#has(statement)) continue;
      const step = preparedInStep(statement);
      preparation.push(...step.frames);
      answers += step.answers;
      this.#prepared.set(statement.name, statement);
    }
    return {
      preparation,
      answers,
      exchange: pair.frames,
      capture: this.#deps.newCapture(),
      done: (observation, failed) => {
        pair.shadowFailed = failed;
        this.#finished(pair, observation);
      },
    };
  }

  #finished(pair: Pair, observation: Observation | undefined): void {
    this.#running = undefined;
    for (const change of pair.changes) {
      if (change.type === "close") this.#prepared.delete(change.name);
      else this.#prepared.set(change.statement.name, change.statement);
    }
    this.#settle(pair, observation ?? { kind: "lost", elapsedMs: 0, reason: "malformed" });
    this.pump();
    this.#leave();
  }

  /** Statements that a DISCARD or DEALLOCATE removed, or that may not have been made. */
  forgetPrepared(): void {
    this.#prepared.clear();
  }

  #runRollback(link: ShadowLink): void {
    this.#rollBack = false;
    if (link.status === "I") return this.pump();
    link.run({
      preparation: [ROLLBACK],
      answers: 1,
      exchange: undefined,
      capture: undefined,
      done: () => this.pump(),
    });
  }

  #settle(pair: Pair, observation: Observation): void {
    pair.shadow = observation;
    this.#deps.settled(pair);
  }

  #open(): void {
    if (this.#dialling) return;
    if (!this.#mayDial) return this.#dropAll("disconnected");
    this.#dialling = true;
    this.#deps.dial().then(
      (outcome) => this.#dialled(outcome),
      () => this.#dialled(undefined),
    );
  }

  #dialled(outcome: DialOutcome | undefined): void {
    this.#dialling = false;
    if (outcome?.kind !== "ready") {
      this.#notDialled(outcome);
      return;
    }
    if (this.#closed) {
      outcome.server.socket.destroy();
      return;
    }
    this.#deps.health.connected();
    this.#prepared.clear();
    this.#version = undefined;
    this.#rollBack = false;
    this.#link = new ShadowLink(outcome.server, this.#deps.clock, () => this.#lost());
    this.#skipToBoundary();
    this.pump();
  }

  /** A server that is there and refuses this session may still take the others. */
  #notDialled(outcome: DialOutcome | undefined): void {
    if (outcome?.kind === "refused") {
      this.#refusedUntilMs = this.#deps.clock.monotonicMs() + REFUSED_RETRY_MS;
      this.#deps.refused(outcome.sqlstate);
    } else {
      this.#deps.health.dialFailed();
    }
    this.#dropAll("disconnected");
  }

  #lost(): void {
    this.#link = undefined;
    this.#version = undefined;
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

const REFUSED_RETRY_MS = 5_000;
const ROLLBACK = queryMessage("ROLLBACK");
const LOST: Observation = { kind: "lost", elapsedMs: 0, reason: "disconnected" };
