/**
 * What gathers so long shares a write and a read. Several exchanges of a busy session come within it,
 * and the shadow, whose answer nobody waits for, is hardly later than it is anyway.
 */
export const GATHERING_MS = 10;

/** Lets the exchanges of busy sessions gather for a moment, those of all sessions by one timer. */
export class Gathering {
  readonly #after: (ms: number, then: () => void) => void;
  #waiting: (() => void)[] = [];

  constructor(after: (ms: number, then: () => void) => void) {
    this.#after = after;
  }

  /** @param over called when the moment is over, which others may have begun earlier */
  join(over: () => void): void {
    if (this.#waiting.length === 0) this.#after(GATHERING_MS, () => this.#over());
    this.#waiting.push(over);
  }

  #over(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const over of waiting) over();
  }
}

/** Where one session stands: nothing gathers, something does, or it has gathered long enough. */
export class GatheringTurn {
  readonly #gathering: Gathering;
  readonly #over: () => void;
  #begun = false;
  #due = false;

  constructor(gathering: Gathering, over: () => void) {
    this.#gathering = gathering;
    this.#over = () => {
      this.#begun = false;
      this.#due = true;
      over();
    };
  }

  /** What has gathered is to go. */
  get isDue(): boolean {
    return this.#due;
  }

  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#gathering.join(this.#over);
  }

  /** It has gone, or there was nothing. */
  spent(): void {
    this.#due = false;
  }
}
