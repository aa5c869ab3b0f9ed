/**
 * Holds back new transactions of one migration while its route is switched. Sessions ask before
 * they forward and say when they have become quiet.
 */
export class Gate {
  #closed = false;
  #waiting: (() => void)[] = [];
  #quiet: () => void = () => {};

  get closed(): boolean {
    return this.#closed;
  }

  /** @param quiet called whenever a session has finished what it was doing */
  close(quiet: () => void): void {
    this.#closed = true;
    this.#quiet = quiet;
  }

  open(): void {
    this.#closed = false;
    this.#quiet = () => {};
    for (const go of this.#waiting.splice(0)) go();
  }

  becameQuiet(): void {
    this.#quiet();
  }

  /** Resolves once the gate is open. */
  async whenOpen(): Promise<void> {
    while (this.#closed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
