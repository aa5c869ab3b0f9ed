import type { Decision, MirrorPolicy, TransactionMirroring } from "../routing/decide.ts";
import { decide } from "../routing/decide.ts";
import type { PreparedStatements } from "../routing/prepared-statements.ts";
import type { Request } from "../routing/request.ts";
import type { SessionState } from "../routing/session-state.ts";
import type { Mirroring } from "../routing/route.ts";
import type { SkipReason } from "../routing/skip-reason.ts";
import type { Statement } from "../sql/statement.ts";
import type { Admission, PrimaryAnswer } from "./admission.ts";
import { PASSED_OVER } from "./admission.ts";
import { ANY_TABLE } from "./drifted-tables.ts";
import { DualWriting, isOneSided } from "./dual-writing.ts";
import type { MigrationMirror } from "./migration-mirror.ts";
import { countSeen, countSkipped } from "./migration-mirror.ts";
import type { Asker, Pair } from "./pair.ts";
import { newPair } from "./pair.ts";
import { SessionRehearsals } from "./session-rehearsals.ts";
import { ShadowSession } from "./shadow-session.ts";
import { ReadOrder } from "./read-order.ts";
import { SharedWrites } from "./shared-writes.ts";
import type { AskedFacts } from "./statement-facts.ts";
import { askedStatements, commits, requestFacts, setsLocally } from "./statement-facts.ts";

export type MirroredSession = Asker & {
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
  readonly #writing: DualWriting;
  readonly #rehearsals: SessionRehearsals;
  readonly #readOrder: ReadOrder;
  readonly #sharedWrites: SharedWrites;
  #shadow: ShadowSession;
  #transaction: TransactionMirroring = NONE;
  #number = 0;
  /** The open transaction has settings that end with it. */
  #localSettings = false;
  readonly #unanswered: Admission[] = [];
  /** Grows with every change of the client's settings that the shadow has not seen. */
  #version = 0;

  constructor(mirror: MigrationMirror, session: MirroredSession) {
    this.#mirror = mirror;
    this.#session = session;
    this.#rehearsals = new SessionRehearsals(mirror);
    this.#shadow = this.#newShadow();
    this.#writing = new DualWriting(mirror, () => this.#shadow);
    this.#readOrder = new ReadOrder(mirror, () => this.#shadow);
    this.#sharedWrites = new SharedWrites(mirror.facts);
  }

  /**
   * Takes notice of a request that goes to the primary.
   * @param open a transaction is open on the primary before it
   * @returns the pair whose primary answer is to be captured, if it runs on the shadow
   */
  admit(request: Request, open: boolean): Pair | undefined {
    const { facts: table } = this.#mirror;
    const prepared = this.#preparedNamed;
    const statements = askedStatements(request.statements, table, prepared);
    countSeen(this.#mirror, statements);
    if (!open) this.#begin();
    const before = this.#transaction;
    const policy = this.#mirror.policy();
    if (!policy.enabled && before.kind !== "mirrored" && !this.#isDualWriting) {
      return this.#passOver(statements);
    }
    const facts = requestFacts({ request, statements }, table, this.#session.state(), prepared);
    const { mirror } = this.#decide(policy, this.#ruled(statements, facts)).route;
    const owes = this.#owed(statements, facts);
    if (owes !== undefined) this.#writing.expect(owes);
    let pair: Pair | undefined;
    let skipped: SkipReason | undefined;
    if (mirror.kind === "skip") {
      skipped = mirror.reason;
      if (before.kind === "mirrored" && this.#transaction.kind === "skipped") this.#undo();
    } else {
      pair = this.#newPair(request, { statements, facts, mirror, open });
      skipped = this.#offer(pair);
      if (skipped !== undefined) pair = undefined;
    }
    if (skipped !== undefined) countSkipped(this.#mirror, statements, skipped);
    const wrote = this.#noteEffects(statements, facts);
    const isCommit = commits(statements);
    const endsOpen = isCommit && open;
    if (endsOpen && this.#unanswered.length === 0) this.#writing.committing();
    this.#rehearsals.sent(statements, facts.writes, endsOpen);
    const mayCommit = !open || request.obscure || isCommit;
    this.#unanswered.push({ pair, owes, gap: this.#gap(skipped, facts), mayCommit, wrote });
    return pair;
  }

  #decide(policy: MirrorPolicy, facts: AskedFacts): Decision {
    const before = this.#transaction;
    const begins = before.kind === "none";
    const refusal = policy.enabled && begins ? this.#refusal : undefined;
    const decision = decide(policy, before, facts, refusal, !begins || this.#mirror.draw());
    this.#transaction = decision.transaction;
    return decision;
  }

  /** The shadow is switched off, so nothing need be known of a request but that it was seen. */
  #passOver(statements: readonly Statement[]): undefined {
    const reason = this.#transaction.kind === "skipped" ? this.#transaction.reason : "disabled";
    this.#transaction = { kind: "skipped", reason };
    countSkipped(this.#mirror, statements, reason);
    this.#rehearsals.unread();
    this.#unanswered.push(PASSED_OVER);
  }

  /** The primary has answered the oldest request that it had not answered. */
  answered(answer: PrimaryAnswer): void {
    const admission = this.#unanswered.shift();
    if (admission === undefined) return;
    const { pair } = admission;
    if (pair !== undefined) this.#primaryAnswered(pair, answer);
    else if (answer.changesState) this.#version++;
    this.#writing.join(admission);
    if (admission.wrote) this.#readOrder.writes.answered();
    const ended = answer.committed || answer.outcome !== "open";
    if (ended) this.#readOrder.writes.ended(answer.committed || answer.outcome === "committed");
    this.#rehearsals.answered(ended);
    if (answer.outcome === "open" && answer.committed) this.#writing.partlyCommitted();
    if (answer.outcome !== "open" && !this.#writing.end(answer.outcome)) this.#version++;
    const next = this.#unanswered[0]?.pair;
    if (next === undefined || next.before !== undefined) return;
    next.before = answer.state;
    next.version = this.#version;
    this.#shadow.pump();
  }

  /** DISCARD or DEALLOCATE ran, or may have. */
  preparedForgotten(): void {
    this.#shadow.forgetPrepared();
  }

  /** The client has asked to cancel what is under way; its pairs are marked. */
  cancel(): void {
    this.#shadow.cancel();
  }

  /** The sides have swapped: what was queued is done with, and a new shadow begins. */
  restart(): void {
    this.#shadow.close();
    this.#shadow = this.#newShadow();
    this.#transaction = NONE;
    this.#readOrder.writes.forget();
  }

  /** The client is gone. What it committed is still repeated, what it asked still compared. */
  close(): void {
    const unanswered = this.#unanswered.splice(0);
    const uncertain = unanswered.some(({ mayCommit }) => mayCommit);
    const gone = new Set<Pair>();
    for (const admission of unanswered) {
      this.#writing.join(admission);
      if (admission.pair !== undefined && admission.pair.kind !== "apply") gone.add(admission.pair);
    }
    this.#rehearsals.close();
    this.#writing.end(uncertain ? "uncertain" : "rolled_back");
    for (const pair of gone) {
      pair.primary = GONE;
      if (pair.shadow !== undefined) this.#judge(pair);
    }
    this.#shadow.drop((pair) => gone.has(pair), "disconnected");
    this.#shadow.cancelRunning((pair) => gone.has(pair));
    if (this.#transaction.kind === "mirrored") this.#shadow.rollBackWhenIdle();
    this.#shadow.closeWhenIdle();
  }

  readonly #preparedNamed = (name: string) => this.#session.prepared.sent(name);

  #begin(): void {
    if (this.#transaction.kind !== "none") this.#transaction = NONE;
    this.#localSettings = false;
    this.#number++;
    this.#rehearsals.begin();
  }

  /** @returns whether it writes, and somebody else brings what it writes to the shadow */
  #noteEffects(statements: readonly Statement[], facts: AskedFacts): boolean {
    if (setsLocally(statements)) this.#localSettings = true;
    // Dual writing brings what the session writes to the shadow itself.
    const wrote = facts.writes && this.#mirror.policy().writes !== "apply";
    if (wrote) this.#readOrder.writes.sent();
    return wrote;
  }

  /** Why the shadow can take no new transaction, if it cannot. */
  get #refusal(): SkipReason | undefined {
    const unclear = this.#session.state().unclear.size > 0;
    if (unclear && !this.#shadow.isInStep(this.#version)) return "session";
    return this.#shadow.refusal;
  }

  #ruled(statements: readonly Statement[], facts: AskedFacts): AskedFacts {
    if (!statements.some((statement) => this.#mirror.excluded(statement))) return facts;
    return { ...facts, obstacle: "rule", rehearsal: "rule" };
  }

  /** The tables that drift if the shadow does not get it, where the shadow is to get writes. */
  #owed(statements: readonly Statement[], facts: AskedFacts): readonly string[] | undefined {
    if (!facts.writes || !this.#isDualWriting) return undefined;
    const written = statements.flatMap((statement) => statement.written);
    return written.length === 0 ? [ANY_TABLE] : written;
  }

  /** What may be left out of a transaction that is repeated: what leaves nothing behind. */
  #gap(skipped: SkipReason | undefined, facts: AskedFacts): SkipReason | undefined {
    if (skipped === undefined || !this.#isDualWriting) return undefined;
    return facts.taints || facts.applicable ? skipped : undefined;
  }

  /** Once it has begun, what is written while the shadow is switched off is missing there. */
  get #isDualWriting(): boolean {
    const { writes, enabled } = this.#mirror.policy();
    return writes === "apply" && (enabled || this.#mirror.counters.applied > 0);
  }

  #newPair(
    request: Request,
    asked: {
      readonly statements: readonly Statement[];
      readonly facts: AskedFacts;
      readonly mirror: Exclude<Mirroring, { kind: "skip" }>;
      readonly open: boolean;
    },
  ): Pair {
    const { statements, facts, mirror, open } = asked;
    const localSettings = this.#localSettings;
    const known = { kind: mirror.kind, statements, facts, open, localSettings };
    const pair = newPair(request, known, this.#session, this.#number);
    this.#rehearsals.prepare(pair, mirror, facts.control);
    for (const name of asked.facts.executes) {
      const statement = this.#session.prepared.sent(name);
      if (statement !== undefined) pair.bound = [...pair.bound, statement];
    }
    if (this.#unanswered.length === 0) {
      pair.before = this.#session.state();
      pair.version = this.#version;
    }
    this.#readOrder.hold(pair);
    pair.shareable = this.#sharedWrites.takes(pair);
    return pair;
  }

  /** @returns why the shadow does not take it */
  #offer(pair: Pair): SkipReason | undefined {
    if (pair.rehearsal !== undefined) this.#rehearsals.enter(pair, () => this.#shadow.pump());
    if (!this.#shadow.offer(pair)) {
      this.#rehearsals.undone(pair);
      const reason = this.#shadow.refusal ?? "queue_full";
      this.#transaction = { kind: "skipped", reason };
      if (!pair.begins) this.#undo();
      return reason;
    }
    pair.capture = this.#mirror.newCapture();
    if (pair.kind !== "apply") this.#mirror.counters.mirrored++;
    return undefined;
  }

  /** The shadow does not follow the open transaction any further. */
  #undo(): void {
    if (!this.#isDualWriting) this.#shadow.rollBackWhenIdle();
  }

  #primaryAnswered(pair: Pair, { elapsedMs, failed }: PrimaryAnswer): void {
    this.#readOrder.primaryAnswered(pair);
    const { capture } = pair;
    if (capture === undefined) return;
    pair.capture = undefined;
    pair.primaryFailed = failed;
    pair.primary = this.#shadow.hold(pair, capture.heldBytes)
      ? capture.finish(elapsedMs)
      : { kind: "lost", elapsedMs, reason: "overflow" };
    if (pair.shadow !== undefined && pair.kind !== "apply") this.#judge(pair);
  }

  #settled(pair: Pair): void {
    const isOpen = pair.transaction === this.#number && this.#transaction.kind === "mirrored";
    this.#rehearsals.shadowAnswered(pair, isOpen);
    if (pair.kind !== "apply") {
      if (pair.primary !== undefined) this.#judge(pair);
      else if (pair.shadow?.kind === "lost") this.#broke(pair);
    } else if (this.#writing.hasCommitted(pair)) {
      this.#mirror.judge(pair);
      this.#shadow.release(pair);
      this.#writing.settled(pair);
    }
  }

  #judge(pair: Pair): void {
    this.#mirror.judge(pair);
    this.#shadow.release(pair);
    if (pair.shadow?.kind === "lost" || isOneSided(pair)) this.#broke(pair);
  }

  /** The rest of its transaction would only echo what happened to it. */
  #broke(pair: Pair): void {
    const { transaction } = pair;
    if (transaction === this.#number && this.#transaction.kind === "mirrored") {
      this.#transaction = { kind: "skipped", reason: "resync" };
    }
    this.#shadow.abandon((other) => other.transaction === transaction);
  }

  #newShadow(): ShadowSession {
    const mirror = this.#mirror;
    const side = mirror.shadowSide();
    const { user, parameters, credentials } = this.#session;
    return new ShadowSession({
      clock: mirror.clock,
      health: mirror.health,
      live: mirror.live,
      gathering: mirror.gathering,
      budget: mirror.budget,
      limits: mirror.limits,
      dial: () => {
        const readOnly = mirror.policy().writes !== "apply";
        const limits = this.#rehearsals.serverLimits(mirror.limits().timeoutMs);
        return mirror.dial(side, { user, parameters, readOnly, limits }, credentials);
      },
      cancel: (server) => mirror.cancel(side, server),
      newCapture: mirror.newCapture,
      refused: (sqlstate) => mirror.refused(user, sqlstate),
      settled: (pair) => this.#settled(pair),
      rehearsing: this.#rehearsals.hooks((transaction) => {
        if (transaction !== this.#number || this.#transaction.kind !== "mirrored") return;
        this.#transaction = { kind: "skipped", reason: "rehearsal_ended" };
      }),
    });
  }
}

const NONE: TransactionMirroring = { kind: "none" };
const GONE = { kind: "lost", elapsedMs: 0, reason: "disconnected" } as const;
