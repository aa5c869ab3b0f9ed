import type { SkipReason } from "../routing/skip-reason.ts";
import type { Admission } from "./admission.ts";
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

  /** The primary is outside a transaction. @returns false when the shadow does not get what it did */
  end(outcome: TransactionEnd): boolean {
    const unit = this.#unit;
    this.#unit = undefined;
    if (unit === undefined) return true;
    this.#mirror.order.settled(unit.expected);
    if (outcome === "rolled_back" && unit.writes) this.#leaveOut(unit, "not_committed");
    else if (outcome === "uncertain") this.#lose(unit, "desync");
    else if (unit.broken !== undefined) this.#lose(unit, unit.broken);
    else if (unit.pairs.some((pair) => pair.shadow !== undefined)) this.#lose(unit, "shadow_down");
    else {
      this.#begin(unit);
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
    if (unit.pairs.length === 0) return;
    unit.pairs.forEach((pair, index) => {
      pair.begins = index === 0;
      this.#units.set(pair, unit);
    });
    unit.open = unit.pairs.length;
    this.#mirror.counters.applied += unit.open;
    unit.turn = {
      writes: unit.writes,
      start: () => {
        for (const pair of unit.pairs) pair.ready = true;
        this.#shadow().pump();
      },
    };
    this.#mirror.order.enter(unit.turn);
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

/** An error on one side only: from here on the two sides are in different states. */
export function isOneSided({ primaryFailed, shadowFailed }: Pair): boolean {
  return primaryFailed !== shadowFailed;
}
