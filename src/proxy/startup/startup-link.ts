import type { Socket } from "node:net";
import { errorResponse } from "../../wire/postgres/error-response.ts";
import { agreedOnProtocol, secureClient } from "./client-tls.ts";
import type { ClientTls } from "./client-tls.ts";
import { StartupFailure } from "./startup-failure.ts";
import { StartupReader } from "./startup-reader.ts";

/** How long a client that was refused may take to read why, before the connection is cut. */
const LINGER_MS = 1000;

/** The client's end of the wire during its startup: plain at first, maybe TLS later. */
export class StartupLink {
  /** The plain socket, also under TLS. */
  readonly #plain: Socket;
  #socket: Socket;
  #reader: StartupReader;
  #encrypted = false;
  #shakingHands = false;

  constructor(socket: Socket) {
    this.#plain = socket;
    this.#socket = socket;
    this.#reader = new StartupReader(socket);
  }

  get encrypted(): boolean {
    return this.#encrypted;
  }

  /** Bytes that came before they were asked for. */
  get waiting(): number {
    return this.#reader.waiting;
  }

  take(size: number): Promise<Buffer> {
    return this.#reader.take(size);
  }

  during<T>(work: Promise<T>): Promise<T> {
    return this.#reader.during(work);
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /**
   * Goes on over TLS. `early`: bytes of the handshake that were read already, because the client
   * began with it; such a client must name the protocol.
   */
  async secure(tls: ClientTls, early?: Buffer): Promise<void> {
    await this.#reader.release();
    if (early) this.#plain.unshift(early);
    this.#shakingHands = true;
    const encrypted = await secureClient(this.#plain, tls);
    this.#shakingHands = false;
    this.#socket = encrypted;
    this.#reader = new StartupReader(encrypted);
    this.#encrypted = true;
    if (early && !agreedOnProtocol(encrypted)) {
      throw new StartupFailure("tls_failed", "direct TLS without the ALPN protocol postgresql");
    }
  }

  /** Time is up: whatever the startup waits for from the client fails. */
  expire(): void {
    if (this.#shakingHands) this.#plain.destroy();
    else this.#reader.expire();
  }

  /** Hands the stream to its next owner: paused, with nothing listening on it. */
  async release(): Promise<Socket> {
    await this.#reader.release();
    return this.#socket;
  }

  /** Closes after the last words to the client. Resolves when the connection is gone. */
  close(failure?: StartupFailure): Promise<void> {
    const socket = this.#socket;
    const answer = failure?.answer;
    if (socket.closed || socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => socket.destroy(), LINGER_MS);
      // The client may be gone already; that is no news.
      socket.on("error", () => {});
      socket.on("close", () => {
        clearTimeout(timer);
        resolve();
      });
      if (!answer) {
        socket.destroy();
        return;
      }
      socket.end(answer instanceof Uint8Array ? answer : errorResponse(answer));
      // Closing on unread bytes would reset the connection, and the client might never read why.
      this.#reader.stop();
      socket.on("data", () => {});
      socket.resume();
    });
  }
}
