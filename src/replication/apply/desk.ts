import { CodedError } from "../../base/errors.ts";
import type { SourceStream, SourceTransaction } from "../source/source-transaction.ts";
import type { Lsn } from "../../wire/position.ts";
import { deferred, timeLimit } from "./deferred.ts";
import { Hold } from "./hold.ts";

/** While held the applier looks after acknowledgements so often. */
const HELD_TURN_MS = 100;

/** Where others leave what they want of an applier, and where it looks between two groups. */
export class Desk {
  readonly #works: {
    readonly run: () => Promise<void>;
    readonly refuse: (why: unknown) => void;
  }[] = [];
  #hold: Hold | undefined;
  #isClosing = false;
  #ended: { readonly why: unknown } | undefined;
  #running: Promise<void> | undefined;
  #wake = deferred<void>();
  #hasRung = false;

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /**
   * Resolves when something has been left since it was last looked. Another promise each time: one that lives long would keep
   * every race it was part of.
   */
  nextRing(): Promise<void> {
    this.#wake = deferred<void>();
    if (this.#hasRung) this.#wake.resolve();
    return this.#wake.promise;
  }

  get hold(): Hold | undefined {
    return this.#hold?.isOver === true ? undefined : this.#hold;
  }

  /** Whether somebody wants something now. @param read how far the log has been read */
  isWanted(stream: Pick<SourceStream, "serverEnd">, read: Lsn): boolean {
    const goal = this.hold?.goal;
    const isToStand =
      this.hold !== undefined &&
      (goal === undefined || goal.look(stream, read, undefined) !== "waiting");
    if (this.#works.length > 0 || this.#isClosing || isToStand) return true;
    // All that rang until now has been seen: who waits next waits for something new.
    this.#hasRung = false;
    return false;
  }

  admits(transaction: SourceTransaction): boolean {
    return this.hold === undefined || this.hold.goal?.admits(transaction) === true;
  }

  between<T>(work: () => Promise<T>): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(this.#refusal());
    const { promise, resolve, reject } = deferred<T>();
    const run = async (): Promise<void> => {
      try {
        resolve(await work());
      } catch (error) {
        reject(error);
      }
    };
    this.#works.push({ run, refuse: reject });
    this.#ring();
    return promise;
  }

  /** Once it stands; one at a time, so a second one waits for the first to be over. */
  async takeHold(signal: AbortSignal): Promise<Hold | undefined> {
    const { promise: aborted, resolve: abort } = deferred<void>();
    const giveUp = (): void => abort();
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) abort();
    try {
      while (this.hold !== undefined && !signal.aborted)
        await Promise.race([this.hold.over, aborted]);
      if (this.#ended !== undefined || signal.aborted) return undefined;
      const hold = new Hold(() => this.#ring());
      this.#hold = hold;
      this.#ring();
      const isStopped = await Promise.race([hold.stopped, aborted.then(() => false)]);
      if (!isStopped) hold.end();
      return isStopped ? hold : undefined;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** As long as it is to stand where it is; works have their turn meanwhile. */
  async stand(hold: Hold, isReached: boolean, lookAfter: () => Promise<void>): Promise<void> {
    hold.stands(isReached);
    while (!hold.isOver && hold.goal === undefined && !this.#isClosing) {
      await this.runWorks();
      const timer = timeLimit(HELD_TURN_MS);
      await Promise.race([this.nextRing(), timer.passed]);
      timer.clear();
      if (!hold.isOver && hold.goal === undefined) await lookAfter();
    }
  }

  async runWorks(): Promise<void> {
    this.#hasRung = false;
    for (let work = this.#works.shift(); work !== undefined; work = this.#works.shift())
      await work.run();
  }

  /** @param turn returns false when there is nothing more to do */
  async runUntilClosed(turn: () => Promise<boolean>): Promise<void> {
    const done = deferred<void>();
    this.#running = done.promise;
    try {
      while (!this.#isClosing && (await turn()));
      this.#end(undefined);
    } catch (error) {
      this.#end(error);
      throw error;
    } finally {
      done.resolve();
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#ring();
    await this.#running;
    if (this.#ended === undefined) this.#end(undefined);
  }

  #ring(): void {
    this.#hasRung = true;
    this.#wake.resolve();
  }

  #refusal(): unknown {
    return this.#ended?.why ?? new CodedError("shutting_down", "the applier is closed");
  }

  #end(why: unknown): void {
    this.#ended = { why };
    for (const work of this.#works.splice(0)) work.refuse(this.#refusal());
    this.#hold?.end();
  }
}
