import type { Socket } from "node:net";
import { CodedError } from "../base/errors.ts";

/**
 * Ends a connection that is being made, at its time limit or when the caller aborts: whatever socket
 * is held then is destroyed with the reason, and whoever waits on that socket gets it as an error.
 */
export class Deadline {
  /** What is being waited for, for the error's sentence. */
  waitingFor = "a connection";
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  #socket: Socket | undefined;
  #error: CodedError | undefined;

  constructor(timeoutMs: number, signal: AbortSignal | undefined) {
    this.#signal = signal;
    this.#timer = setTimeout(() => {
      this.#expire(`no answer within ${timeoutMs} ms, waiting for ${this.waitingFor}`, undefined);
    }, timeoutMs);
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted === true) this.#onAbort();
  }

  readonly #onAbort = (): void => {
    this.#expire("given up before the login was complete", this.#signal?.reason);
  };

  /** Watches over `socket` instead of the one before. */
  hold(socket: Socket): void {
    this.#socket = socket;
    if (this.#error !== undefined) socket.destroy(this.#error);
  }

  /** Lets go of the socket and of the time limit. */
  release(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#socket = undefined;
  }

  #expire(what: string, cause: unknown): void {
    clearTimeout(this.#timer);
    this.#error = new CodedError("backend_unreachable", what, { cause });
    this.#socket?.destroy(this.#error);
  }
}
