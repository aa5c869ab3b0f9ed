import { messageOf } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { ReplicationRecord } from "../../control/replication-record.ts";
import { streamNames } from "../../replication/names.ts";
import type { BudgetVerdict, TimedLook } from "../../replication/protection/wal-budget.ts";
import { giveUpSlot, judgeBudget } from "../../replication/protection/wal-budget.ts";
import type { Ask } from "../../replication/read-shapes.ts";
import { lookAtSlot } from "../../replication/source/slot-state.ts";

export type GuardDeps = {
  readonly migration: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly record: ReplicationRecord;
  readonly ask: (side: "old" | "new") => Ask;
  readonly budgetBytes: () => number;
  /** It runs: slots that are not there are not just being made. */
  readonly isRunning: () => boolean;
  /** The migration ends here, for this reason. */
  readonly fail: (reason: string) => void;
};

const LOOK_MS = 5_000;
const SIDES = ["old", "new"] as const;

/**
 * Protects the databases that keep log for a migration, whether or not it runs: at the budget its slot is dropped. Watches as
 * well whether a slot is lost and whether the server is still the one it was made on.
 */
export class BudgetGuard {
  readonly #deps: GuardDeps;
  readonly #timer: NodeJS.Timeout;
  readonly #before = new Map<"old" | "new", TimedLook>();
  readonly #warnings = new Map<"old" | "new", string>();
  #isLooking = false;

  constructor(deps: GuardDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS).unref();
  }

  /** What is worth knowing, a sentence each. */
  get warnings(): readonly string[] {
    return [...this.#warnings.values()];
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    for (const side of SIDES) {
      try {
        await this.#lookAt(side);
      } catch (error) {
        // A database that cannot be asked cannot be protected either; asking goes on.
        this.#deps.log.debug({ side, error: messageOf(error) }, "a slot could not be looked at");
      }
    }
    this.#isLooking = false;
  }

  async #lookAt(side: "old" | "new"): Promise<void> {
    const { migration, clock, record, ask, budgetBytes, isRunning, fail } = this.#deps;
    const { slot } = streamNames(migration, side === "old" ? "forward" : "reverse");
    const look = { ...(await lookAtSlot(ask(side), slot)), atMs: clock.monotonicMs() };
    const known = record.source(side);
    const before = this.#before.get(side);
    this.#before.set(side, look);
    const limits = { slotName: slot, known, before, budgetBytes: budgetBytes() };
    const verdict = judgeBudget(look, limits);
    if (known === undefined && look.slot !== undefined) record.rememberSource(side, look);
    const where = side === "old" ? "OLD" : "NEW";
    if (verdict.kind === "warn") this.#warnings.set(side, `${where}: ${verdict.sentence}`);
    else this.#warnings.delete(side);
    if (!ENDS.has(verdict.kind) || (verdict.kind !== "stop" && !isRunning())) return;
    if (verdict.kind === "stop") await giveUpSlot(ask(side), slot);
    fail(`${where}: ${verdict.sentence}.`);
  }
}

const ENDS: ReadonlySet<BudgetVerdict["kind"]> = new Set([
  "stop",
  "lost",
  "other_server",
  "other_timeline",
]);
