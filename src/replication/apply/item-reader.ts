import { setImmediate as nextTurn } from "node:timers/promises";
import type { SourceItem, SourceStream } from "../source/source-transaction.ts";

/** `later`: nothing is at hand; `ended`: nothing will come. */
export type ReadItem = SourceItem | "later" | "ended";

const SOON = Promise.resolve();

/** Tells what a stream has at hand from what it is waiting for; items can be put back. */
export class ItemReader {
  readonly #stream: SourceStream;
  readonly #back: SourceItem[] = [];
  #asked: Promise<void> | undefined;
  #answer: ReadItem = "later";
  #failure: { readonly error: unknown } | undefined;

  constructor(stream: SourceStream) {
    this.#stream = stream;
  }

  /** The next item, if it is there without waiting for the network. @throws what the stream throws */
  async read(): Promise<ReadItem> {
    const back = this.#back.shift();
    if (back !== undefined) return back;
    void this.#ask();
    // A queued item needs a few microtasks, one that is being decoded a turn of the event loop.
    for (let i = 0; i < 4 && this.#isOpen(); i++) await SOON;
    if (this.#isOpen()) await nextTurn();
    if (this.#failure !== undefined) throw this.#failure.error;
    const item = this.#answer;
    if (item === "later" || item === "ended") return item;
    this.#answer = "later";
    this.#asked = undefined;
    return item;
  }

  /** Resolves when `read` has something; never rejects. */
  arrival(): Promise<void> {
    if (this.#back.length > 0) return Promise.resolve();
    return this.#ask();
  }

  /** Puts items back, to be read again in their order before all others. */
  unread(items: readonly SourceItem[]): void {
    this.#back.unshift(...items);
  }

  #isOpen(): boolean {
    return this.#answer === "later" && this.#failure === undefined;
  }

  #ask(): Promise<void> {
    this.#asked ??= this.#stream.next().then(
      (item) => {
        this.#answer = item ?? "ended";
      },
      (error: unknown) => {
        this.#failure = { error };
      },
    );
    return this.#asked;
  }
}
