import { setTimeout as sleep } from "node:timers/promises";

/** Tasks that live and end together: the first that fails ends the others through their signal. */
export class TaskGroup {
  readonly #controller = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(outer: AbortSignal) {
    if (outer.aborted) this.#controller.abort();
    outer.addEventListener("abort", () => this.#controller.abort(), {
      once: true,
      signal: this.#controller.signal,
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  add(task: () => Promise<void>): void {
    const running = task().catch((error: unknown) => {
      // What a task says once the others have ended is only that it was ended.
      if (!this.signal.aborted) this.#failure ??= { error };
      this.end();
    });
    this.#tasks.add(running);
    void running.then(() => this.#tasks.delete(running));
  }

  /** Runs work at once and again so long after each end. */
  every(ms: number, work: () => Promise<void>): void {
    this.add(async () => {
      while (!this.signal.aborted) {
        await work();
        await this.sleep(ms);
      }
    });
  }

  /** Ends early, and quietly, when the group does. */
  async sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.signal }).catch(() => {});
  }

  end(): void {
    this.#controller.abort();
  }

  /** @throws what the first task failed of, once all have ended */
  async ended(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
