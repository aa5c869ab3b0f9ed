import type { FromReplicator, HoldQuestion, ToReplicator } from "./protocol.ts";

/** NEW stands still in the process that fills it. */
export type HeldReplication = {
  /** Has it have exactly what a snapshot of OLD sees, taken since it stands. @returns false where that cannot be had */
  goTo(sees: string, position: string | null, signal: AbortSignal): Promise<boolean>;
  /** @returns whether it has stood until now */
  release(): Promise<boolean>;
};

/** For a process that is alive but does not answer. */
const RELEASE_MS = 5000;

/** Asks the process that replicates for holds, and takes its answers. Nothing here hangs when it dies or is silent. */
export class Holds {
  readonly #tell: (message: ToReplicator) => void;
  readonly #asked = new Map<number, (yes: boolean) => void>();
  #lastHold = 0;
  #lastRequest = 0;

  constructor(tell: (message: ToReplicator) => void) {
    this.#tell = tell;
  }

  async take(signal: AbortSignal): Promise<HeldReplication | undefined> {
    const hold = ++this.#lastHold;
    const release = (): Promise<boolean> =>
      this.#ask({ kind: "release", hold }, AbortSignal.timeout(RELEASE_MS));
    if (await this.#ask({ kind: "hold", hold }, signal)) {
      return {
        goTo: (sees, position, giveUp) =>
          this.#ask({ kind: "go_to", hold, sees, position }, giveUp),
        release,
      };
    }
    void release();
    return undefined;
  }

  heard({ request, yes }: Extract<FromReplicator, { kind: "answer" }>): void {
    this.#asked.get(request)?.(yes);
  }

  /** The process is gone, and with it every hold. */
  lost(): void {
    for (const answer of this.#asked.values()) answer(false);
  }

  async #ask(question: HoldQuestion, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    const request = ++this.#lastRequest;
    let giveUp = (): void => {};
    const answer = new Promise<boolean>((resolve) => {
      this.#asked.set(request, resolve);
      giveUp = () => resolve(false);
    });
    signal.addEventListener("abort", giveUp, { once: true });
    this.#tell({ ...question, request });
    const yes = await answer;
    signal.removeEventListener("abort", giveUp);
    this.#asked.delete(request);
    return yes;
  }
}
