import { CodedError } from "../../base/errors.ts";
import type { SourceStream, SourceTransaction } from "../source/source-transaction.ts";
import type { Lsn } from "../../wire/position.ts";
import { deferred, timeLimit } from "./deferred.ts";
import type { Hold } from "./hold.ts";

type HeldOutcome = { release(): Promise<void> } | undefined;
type Asked = { readonly hold: Hold; readonly answer: (outcome: HeldOutcome) => void };

/** While held the applier looks after acknowledgements so often. */
const HELD_TURN_MS = 100;

/** Where others leave what they want of an applier, and where it looks between two groups. */
export class Desk {
  readonly #works: {
    readonly run: () => Promise<void>;
    readonly refuse: (why: unknown) => void;
  }[] = [];
  #asked: Asked | undefined;
  #isClosing = false;
  #ended: { readonly why: unknown } | undefined;
  #running: Promise<void> | undefined;
  #wake = deferred<void>();

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Resolves when something has been left since it was last asked for. */
  get wake(): Promise<void> {
    return this.#wake.promise;
  }

  get holdWanted(): Hold | undefined {
    return this.#asked?.hold;
  }

  /** @param read how far the log has been read */
  isWanted(stream: Pick<SourceStream, "serverEnd">, read: Lsn): boolean {
    if (this.#works.length > 0 || this.#isClosing) return true;
    return (
      this.#asked !== undefined && this.#asked.hold.look(stream, read, undefined) !== "waiting"
    );
  }

  admits(transaction: SourceTransaction): boolean {
    return this.#asked === undefined || this.#asked.hold.admits(transaction);
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

  /** One at a time: a second one is refused. */
  async hold(hold: Hold, signal: AbortSignal): Promise<HeldOutcome> {
    if (this.#ended !== undefined || this.#asked !== undefined || signal.aborted) return undefined;
    const { promise, resolve } = deferred<HeldOutcome>();
    this.#asked = { hold, answer: resolve };
    const ring = (): void => this.#ring();
    signal.addEventListener("abort", ring, { once: true });
    this.#ring();
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", ring);
    }
  }

  refuseHold(): void {
    this.#asked?.answer(undefined);
    this.#asked = undefined;
  }

  /** Until it is released; works have their turn meanwhile. */
  async keepHeld(lookAfter: () => Promise<void>): Promise<void> {
    const asked = this.#asked;
    if (asked === undefined) return;
    const released = deferred<void>();
    let isReleased = false;
    asked.answer({
      release: () => {
        isReleased = true;
        released.resolve();
        return Promise.resolve();
      },
    });
    while (!isReleased && !this.#isClosing) {
      await this.runWorks();
      const timer = timeLimit(HELD_TURN_MS);
      await Promise.race([released.promise, this.wake, timer.passed]);
      timer.clear();
      if (!isReleased) await lookAfter();
    }
    this.#asked = undefined;
  }

  async runWorks(): Promise<void> {
    this.#wake = deferred<void>();
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
    this.#wake.resolve();
  }

  #refusal(): unknown {
    return this.#ended?.why ?? new CodedError("shutting_down", "the applier is closed");
  }

  #end(why: unknown): void {
    this.#ended = { why };
    for (const work of this.#works.splice(0)) work.refuse(this.#refusal());
    this.refuseHold();
  }
}
