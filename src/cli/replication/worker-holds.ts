import type { HeldApplier } from "../../replication/apply/applier.ts";
import type { MigrationReplication } from "../../replication/migration-replication.ts";
import { parseLsn } from "../../wire/position.ts";
import type { HoldQuestion } from "./protocol.ts";

type Entry = {
  readonly giveUp: AbortController;
  readonly taken: Promise<HeldApplier | undefined>;
};

/** The holds that the parent has on what is replicated here. */
export class WorkerHolds {
  readonly #replication: () => MigrationReplication | undefined;
  readonly #holds = new Map<number, Entry>();

  constructor(replication: () => MigrationReplication | undefined) {
    this.#replication = replication;
  }

  async answer(question: HoldQuestion): Promise<boolean> {
    switch (question.kind) {
      case "hold":
        return await this.#take(question.hold);
      case "go_to":
        return await this.#goTo(question);
      case "release":
        return await this.#release(question.hold);
    }
  }

  async #take(hold: number): Promise<boolean> {
    const giveUp = new AbortController();
    const asked = this.#replication()?.applier?.hold(giveUp.signal);
    const taken = Promise.resolve(asked).catch(() => undefined);
    this.#holds.set(hold, { giveUp, taken });
    return (await taken) !== undefined;
  }

  async #goTo({
    hold,
    sees,
    position,
  }: Extract<HoldQuestion, { kind: "go_to" }>): Promise<boolean> {
    const entry = this.#holds.get(hold);
    const held = await entry?.taken;
    if (entry === undefined || held === undefined) return false;
    const lsn = position === null ? undefined : parseLsn(position);
    return await held.goTo(sees, lsn, entry.giveUp.signal);
  }

  /** Also of a hold that is still being waited for. */
  async #release(hold: number): Promise<boolean> {
    const entry = this.#holds.get(hold);
    this.#holds.delete(hold);
    entry?.giveUp.abort();
    return (await entry?.taken)?.release() === true;
  }
}
