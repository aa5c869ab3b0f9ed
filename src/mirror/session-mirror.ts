import type { Observation } from "../compare/observation.ts";
import type { RequestFacts, TransactionMirroring } from "../routing/decide.ts";
import { decide } from "../routing/decide.ts";
import type { PreparedStatements } from "../routing/prepared-statements.ts";
import type { Request } from "../routing/request.ts";
import type { SessionState } from "../routing/session-state.ts";
import type { SkipReason } from "../routing/skip-reason.ts";
import type { Credentials } from "../upstream/dial.ts";
import type { ApplyUnit } from "./apply-unit.ts";
import { newApplyUnit } from "./apply-unit.ts";
import { ANY_TABLE } from "./drifted-tables.ts";
import type { MigrationMirror, SessionStartup } from "./migration-mirror.ts";
import { countSeen, countSkipped } from "./migration-mirror.ts";
import type { Pair } from "./pair.ts";
import { ShadowSession } from "./shadow-session.ts";
import { requestFacts } from "./statement-facts.ts";

export type MirroredSession = {
  readonly user: string;
  readonly parameters: SessionStartup["parameters"];
  readonly credentials: Credentials;
  readonly prepared: PreparedStatements;
  /** The client's settings as of now. */
  readonly state: () => SessionState;
};

/**
 * Follows one client session on the shadow: decides about each exchange, queues it there, and
 * brings the two answers together. Nothing in it waits, so nothing in it can delay the client.
 */
export class SessionMirror {
  readonly #mirror: MigrationMirror;
  readonly #session: MirroredSession;
  #shadow: ShadowSession;
  #transaction: TransactionMirroring = { kind: "none" };
  #number = 0;
  #unit: ApplyUnit | undefined;
  readonly #units = new Map<Pair, ApplyUnit>();

  constructor(mirror: MigrationMirror, session: MirroredSession) {
    this.#mirror = mirror;
    this.#session = session;
    this.#shadow = this.#newShadow();
  }

  get shadow(): ShadowSession {
    return this.#shadow;
  }

  /**
   * Takes notice of a request that goes to the primary.
   * @param open a transaction is open on the primary before it
   * @returns the pair whose primary answer is to be captured, if it runs on the shadow
   */
  admit(request: Request, open: boolean): Pair | undefined {
    countSeen(this.#mirror, request);
    if (!open) this.#begin();
    const facts = requestFacts(
      request,
      this.#mirror.facts,
      this.#session.state().temporary,
      (name) => this.#session.prepared.sent(name),
    );
    const before = this.#transaction;
    const decision = decide(
      this.#mirror.policy(),
      before,
      this.#ruled(request, facts),
      before.kind === "none" ? this.#shadow.refusal : undefined,
      before.kind !== "none" || this.#mirror.draw(),
    );
    this.#transaction = decision.transaction;
    const { mirror } = decision.route;
    if (mirror.kind === "skip") {
      this.#skip(request, mirror.reason);
      if (before.kind === "mirrored" && decision.transaction.kind === "skipped") {
        this.#shadow.rollBackWhenIdle();
      }
      return undefined;
    }
    return this.#offer(request, facts, mirror.kind, !open);
  }

  /** The primary has answered a pair's request. */
  answered(pair: Pair, elapsedMs: number): void {
    const { capture } = pair;
    if (capture === undefined) return;
    pair.capture = undefined;
    pair.primary = this.#shadow.hold(pair, capture.heldBytes)
      ? capture.finish(elapsedMs)
      : { kind: "lost", elapsedMs, reason: "overflow" };
    if (pair.shadow !== undefined) this.#judge(pair, this.#units.get(pair));
  }

  /** The primary is outside a transaction again. Uncertain: nobody knows whether it committed. */
  transactionEnded(outcome: "committed" | "rolled_back" | "uncertain"): void {
    const unit = this.#unit;
    this.#unit = undefined;
    if (unit === undefined) return;
    if (unit.writes) this.#mirror.order.settled();
    if (outcome === "rolled_back" && unit.writes) {
      this.#withdraw(unit);
      for (const pair of unit.pairs) countSkipped(this.#mirror, pair.statements, "not_committed");
    } else if (unit.lost || unit.failed || outcome === "uncertain") {
      this.#withdraw(unit);
      this.#drift(unit, "a committed write could not be repeated on the shadow");
    } else if (unit.pairs.length > 0) {
      unit.turn = this.#mirror.order.enter(unit.writes, () => this.#start(unit));
    }
  }

  /** The shadow session may have other settings or statements than the client's. */
  stateChangedUnseen(): void {
    this.#shadow.markStale();
  }

  /** DISCARD or DEALLOCATE ran, or may have. */
  preparedForgotten(): void {
    this.#shadow.forgetPrepared();
  }

  cancel(): void {
    this.#shadow.cancel();
  }

  /** The sides have swapped: what was queued is done with, and a new shadow begins. */
  restart(): void {
    this.#shadow.close();
    this.#shadow = this.#newShadow();
    this.#transaction = { kind: "none" };
  }

  /** The client is gone. What it committed is still repeated, what it asked still compared. */
  close(): void {
    const unit = this.#unit;
    this.#unit = undefined;
    if (unit !== undefined) {
      this.#withdraw(unit);
      if (unit.writes) this.#mirror.order.settled();
    }
    if (this.#transaction.kind === "mirrored") this.#shadow.rollBackWhenIdle();
    this.#shadow.closeWhenIdle();
  }

  #begin(): void {
    if (this.#transaction.kind !== "none") this.#transaction = NONE;
    this.#number++;
  }

  #ruled(request: Request, facts: RequestFacts): RequestFacts {
    if (!request.statements.some((statement) => this.#mirror.excluded(statement))) return facts;
    return { obstacle: "rule", taints: facts.taints, applicable: facts.applicable };
  }

  #offer(
    request: Request,
    facts: RequestFacts,
    kind: "mirror" | "apply",
    begins: boolean,
  ): Pair | undefined {
    const writes = kind === "apply" && facts.obstacle !== undefined;
    const pair: Pair = {
      kind,
      statements: request.statements,
      frames: request.frames ?? NOTHING,
      changes: request.changes,
      bound: request.bound,
      begins,
      transaction: this.#number,
      writes,
      written: request.statements.flatMap((statement) => statement.written),
      ready: kind === "mirror",
      capture: undefined,
      heldBytes: 0,
      cancelled: false,
      primary: undefined,
      shadow: undefined,
    };
    if (kind === "apply") this.#join(pair);
    if (!this.#shadow.offer(pair)) {
      const reason = this.#shadow.refusal ?? "queue_full";
      this.#transaction = { kind: "skipped", reason };
      this.#skip(request, reason);
      if (!begins) this.#shadow.rollBackWhenIdle();
      return undefined;
    }
    pair.capture = this.#mirror.newCapture();
    if (kind === "mirror") this.#mirror.counters.mirrored++;
    else this.#mirror.counters.applied++;
    return pair;
  }

  #join(pair: Pair): void {
    const unit = (this.#unit ??= newApplyUnit());
    unit.pairs.push(pair);
    unit.open++;
    if (pair.writes) this.#expectWrite(unit, pair.written);
    this.#units.set(pair, unit);
  }

  /** Counts it; when dual writing, a write that is left out leaves its tables drifted. */
  #skip(request: Request, reason: SkipReason): void {
    countSkipped(this.#mirror, request.statements, reason);
    const policy = this.#mirror.policy();
    if (policy.writes !== "apply" || !policy.enabled) return;
    const written = request.statements.flatMap((statement) => statement.written);
    if (written.length === 0) return;
    const unit = (this.#unit ??= newApplyUnit());
    unit.lost = true;
    this.#expectWrite(unit, written);
  }

  #expectWrite(unit: ApplyUnit, written: readonly string[]): void {
    if (!unit.writes) this.#mirror.order.expect();
    unit.writes = true;
    for (const table of written) unit.written.add(table);
    this.#mirror.noteOwed(written.length === 0 ? [ANY_TABLE] : written);
  }

  #start(unit: ApplyUnit): void {
    for (const pair of unit.pairs) pair.ready = true;
    this.#shadow.pump();
  }

  #settled(pair: Pair): void {
    const unit = this.#units.get(pair);
    if (pair.primary !== undefined) this.#judge(pair, unit);
    else if (isLost(pair.shadow)) this.#broke(pair);
    if (unit === undefined) return;
    this.#units.delete(pair);
    unit.open--;
    if (isLost(pair.shadow)) unit.failed = true;
    if (unit.failed) this.#giveUp(unit);
    if (unit.open > 0 || unit.turn === undefined) return;
    this.#mirror.order.leave(unit.turn);
    if (unit.failed) this.#drift(unit, "a write failed or was lost on the shadow");
  }

  /** After a failure the rest of its transaction could only fail as well. */
  #giveUp(unit: ApplyUnit): void {
    const rest = unit.pairs.filter((pair) => this.#units.has(pair) && pair.shadow === undefined);
    if (rest.length === 0) return;
    for (const pair of rest) {
      this.#units.delete(pair);
      countSkipped(this.#mirror, pair.statements, "resync");
    }
    unit.open -= rest.length;
    this.#shadow.withdraw(rest);
    this.#shadow.rollBackWhenIdle();
  }

  #judge(pair: Pair, unit: ApplyUnit | undefined): void {
    const verdict = this.#mirror.judge(pair);
    this.#shadow.release(pair);
    const failedAlone =
      verdict.kind === "divergent" &&
      (verdict.finding.reason === "error_on_shadow" ||
        verdict.finding.reason === "error_on_primary");
    const refused = verdict.kind === "incomparable" && verdict.reason === "read_only";
    const lost = isLost(pair.shadow) || refused;
    if (unit !== undefined && (failedAlone || lost)) unit.failed = true;
    if (failedAlone || lost) this.#broke(pair);
  }

  /** One side failed where the other went on: the rest of the transaction would only echo it. */
  #broke(pair: Pair): void {
    if (pair.kind !== "mirror" || pair.transaction !== this.#number) return;
    if (this.#transaction.kind !== "mirrored") return;
    this.#transaction = { kind: "skipped", reason: "resync" };
    this.#shadow.abandon(pair.transaction, "disconnected");
  }

  #withdraw(unit: ApplyUnit): void {
    for (const pair of unit.pairs) this.#units.delete(pair);
    this.#shadow.withdraw(unit.pairs);
  }

  #drift(unit: ApplyUnit, reason: string): void {
    if (unit.writes) this.#mirror.drifted.add([...unit.written], reason);
  }

  #newShadow(): ShadowSession {
    const mirror = this.#mirror;
    const side = mirror.shadowSide();
    const { user, parameters, credentials, state } = this.#session;
    return new ShadowSession({
      clock: mirror.clock,
      health: mirror.health,
      live: mirror.live,
      budget: mirror.budget,
      limits: mirror.limits,
      dial: () => {
        const readOnly = mirror.policy().writes === "skip";
        return mirror.dial(side, { user, parameters, readOnly }, credentials);
      },
      cancel: (server) => mirror.cancel(side, server),
      newCapture: mirror.newCapture,
      refused: (sqlstate) => mirror.refused(user, sqlstate),
      state,
      settled: (pair) => this.#settled(pair),
    });
  }
}

function isLost(observation: Observation | undefined): boolean {
  return observation?.kind === "lost";
}

const NONE: TransactionMirroring = { kind: "none" };
const NOTHING = Buffer.alloc(0);
