import type { SkipReason } from "../routing/skip-reason.ts";
import type { Admission } from "./admission.ts";
import type { Turn } from "./apply-order.ts";
import type { ApplyUnit } from "./apply-unit.ts";
import { newApplyUnit } from "./apply-unit.ts";
import type { MigrationMirror } from "./migration-mirror.ts";
import { countSkipped } from "./migration-mirror.ts";
import type { Pair } from "./pair.ts";
import type { ShadowSession } from "./shadow-session.ts";

/** Uncertain: nobody knows whether the primary committed. */
export type TransactionEnd = "committed" | "rolled_back" | "uncertain";

/**
 * Gathers what one session's primary has answered and has each transaction that it committed
 * repeated on the shadow. Which exchanges make a transaction is the server's word, not the SQL's.
 *
 * A server gives up the locks of a transaction before it says that it committed, so what waited for
 * them may be answered first. Whoever waited in a transaction of its own sends its COMMIT after the
 * other's, though: places are taken when a COMMIT is sent. What commits by itself takes its place
 * when it is answered; two such that wait for each other's locks may still be taken for each other.
 */
export class DualWriting {
  readonly #mirror: MigrationMirror;
  readonly #shadow: () => ShadowSession;
  /** The transaction that is open on the primary. */
  #unit: ApplyUnit | undefined;
  /** Pairs of transactions that have their turn or wait for it. */
  readonly #units = new Map<Pair, ApplyUnit>();

  constructor(mirror: MigrationMirror, shadow: () => ShadowSession) {
    this.#mirror = mirror;
    this.#shadow = shadow;
  }

  /** The primary is about to be asked to write these tables. */
  expect(tables: readonly string[]): void {
    this.#mirror.order.expect();
    this.#mirror.noteOwed(tables);
  }

  /** The primary is about to be asked to commit what it has answered so far. */
  committing(): void {
    const unit = this.#unit;
    if (unit === undefined || !unit.writes || unit.turn !== undefined) return;
    unit.turn = this.#turnOf(unit, true);
    this.#mirror.order.enter(unit.turn);
  }

  /** The primary has answered, or never will. */
  join({ pair, owes, gap }: Admission): void {
    if (pair?.kind !== "apply" && gap === undefined) return;
    const unit = (this.#unit ??= newApplyUnit());
    unit.broken ??= gap;
    if (owes !== undefined) {
      unit.writes = true;
      unit.expected++;
      for (const table of owes) unit.owed.add(table);
    }
    if (pair?.kind !== "apply") return;
    unit.pairs.push(pair);
    unit.writes ||= pair.writes;
  }

  /** A part of the open transaction has been committed: COMMIT AND CHAIN, or COMMIT among others. */
  partlyCommitted(): void {
    if (this.#unit === undefined) return;
    this.#unit.partlyCommitted = true;
  }

  /** The primary is outside a transaction. @returns false when the shadow does not get what it did */
  end(outcome: TransactionEnd): boolean {
    const unit = this.#unit;
    this.#unit = undefined;
    if (unit === undefined) return true;
    const repeated = this.#ended(unit, outcome);
    this.#mirror.order.settled(unit.expected);
    if (!repeated && unit.turn !== undefined) this.#mirror.order.leave(unit.turn);
    return repeated;
  }

  #ended(unit: ApplyUnit, outcome: TransactionEnd): boolean {
    const undone = outcome === "rolled_back" && !unit.partlyCommitted && !commitsInside(unit);
    const cancelled = unit.pairs.some((pair) => pair.cancelled);
    if (undone && (unit.writes || cancelled)) this.#leaveOut(unit, "not_committed");
    else if (outcome === "uncertain" || (outcome === "rolled_back" && commitsInside(unit)))
      this.#lose(unit, "desync");
    else if (unit.broken !== undefined) this.#lose(unit, unit.broken);
    else if (unit.pairs.some((pair) => pair.shadow !== undefined)) this.#lose(unit, "shadow_down");
    else {
      if (unit.pairs.length > 0) this.#begin(unit);
      return true;
    }
    return false;
  }

  /** The shadow has done with a pair, whose two observations have been judged. */
  settled(pair: Pair): void {
    const unit = this.#units.get(pair);
    if (unit?.turn === undefined) return;
    this.#units.delete(pair);
    unit.open--;
    if (!unit.failed && (pair.shadow?.kind === "lost" || isOneSided(pair))) {
      unit.failed = true;
      // The rest could only fail as well; dropping it comes back here for each of its pairs.
      this.#shadow().abandon((other) => this.#units.get(other) === unit);
    }
    if (unit.open > 0 || !this.#mirror.order.leave(unit.turn)) return;
    if (unit.failed) this.#drift(unit, "a write failed or was lost on the shadow");
  }

  /** Whether the primary has committed the pair's transaction: the shadow's answer is then judged. */
  hasCommitted(pair: Pair): boolean {
    return this.#units.has(pair);
  }

  #begin(unit: ApplyUnit): void {
    unit.pairs.forEach((pair, index) => {
      pair.begins = index === 0;
      // It came too late: what has been committed is not to be cancelled on the shadow.
      pair.cancelled = false;
      this.#units.set(pair, unit);
    });
    unit.open = unit.pairs.length;
    this.#mirror.counters.applied += unit.open;
    if (unit.turn !== undefined) return this.#mirror.order.release(unit.turn);
    unit.turn = this.#turnOf(unit, false);
    this.#mirror.order.enter(unit.turn);
  }

  #turnOf(unit: ApplyUnit, held: boolean): Turn {
    const start = (): void => {
      for (const pair of unit.pairs) pair.ready = true;
      this.#shadow().pump();
    };
    return { writes: unit.writes, start, held };
  }

  #leaveOut(unit: ApplyUnit, reason: SkipReason): void {
    this.#shadow().withdraw(unit.pairs);
    for (const pair of unit.pairs) countSkipped(this.#mirror, pair.statements, reason);
  }

  #lose(unit: ApplyUnit, reason: SkipReason): void {
    this.#leaveOut(unit, reason);
    this.#drift(unit, "a committed write could not be repeated on the shadow");
  }

  #drift({ owed }: ApplyUnit, reason: string): void {
    if (owed.size > 0) this.#mirror.drifted.add([...owed], reason);
  }
}

/** A procedure may commit and fail later. */
function commitsInside({ pairs }: ApplyUnit): boolean {
  const [only] = pairs;
  if (pairs.length !== 1 || only?.begins !== true) return false;
  return only.statements.some(({ kind }) => kind === "utility");
}

/** An error on one side only: from here on the two sides are in different states. */
export function isOneSided({ primaryFailed, shadowFailed }: Pair): boolean {
  return primaryFailed !== shadowFailed;
}
