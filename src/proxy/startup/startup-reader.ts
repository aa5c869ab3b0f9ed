import type { Socket } from "node:net";
import { refusal, StartupFailure } from "./startup-failure.ts";

/**
 * Pulls exact numbers of bytes out of a socket, and never more than asked for: the rest stays where
 * TLS or the session will read it. One waits at a time.
 */
export class StartupReader {
  readonly #socket: Socket;
  #over: "closed" | "timeout" | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("readable", this.#signal);
    for (const event of ENDINGS) socket.on(event, this.#closed);
    if (socket.destroyed) this.#over = "closed";
  }

  /** @throws StartupFailure when the client goes away first, or on `expire`. */
  async take(size: number): Promise<Buffer> {
    if (size === 0) return Buffer.alloc(0);
    for (;;) {
      if (this.#over === "timeout") throw timeout();
      const bytes = this.#socket.read(size) as Buffer | null;
      if (bytes?.length === size) return bytes;
      // At its end a stream gives what it has, even if it is less.
      if (bytes !== null || this.#over !== undefined) throw clientGone();
      await this.#somethingNew();
    }
  }

  /**
   * Waits for work of ours, but not longer than for the client.
   * @throws StartupFailure when the client goes away first, or on `expire`.
   */
  async during<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const finished = (): void => {
      done = true;
      this.#signal();
    };
    work.then(finished, finished);
    while (!done) {
      // Nothing is read, but the end of the stream is noticed.
      this.#socket.read(0);
      if (this.#over === "timeout") throw timeout();
      if (this.#over === "closed") throw clientGone();
      await this.#somethingNew();
    }
    return work;
  }

  /** Bytes that came and were not asked for. */
  get waiting(): number {
    return this.#socket.readableLength;
  }

  /** What is under way, and all that is asked for later, fails for lack of time. */
  expire(): void {
    this.#over = "timeout";
    this.#signal();
  }

  /**
   * Lets go of the socket: paused, nothing listens. Errors are caught up to the moment it resolves, so
   * the next owner has to listen in the same turn of the event loop.
   * @throws StartupFailure when the client has gone meanwhile.
   */
  async release(): Promise<void> {
    this.stop();
    // Node decides only on the next tick how a stream flows that has lost its `readable` listener.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    this.#socket.pause();
    for (const event of ENDINGS) this.#socket.off(event, this.#closed);
    if (this.#over === "closed") throw clientGone();
  }

  /** Takes no more; errors of the socket are still caught. */
  stop(): void {
    this.#socket.off("readable", this.#signal);
  }

  #somethingNew(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  readonly #signal = (): void => {
    this.#wake?.();
    this.#wake = undefined;
  };

  readonly #closed = (): void => {
    this.#over ??= "closed";
    this.#signal();
  };
}

function timeout(): StartupFailure {
  return refusal("timeout", "57014", "canceling authentication due to timeout");
}

function clientGone(): StartupFailure {
  return new StartupFailure("closed", "the client closed the connection");
}

const ENDINGS = ["end", "error", "close"] as const;
