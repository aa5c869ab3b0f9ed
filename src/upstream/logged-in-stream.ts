import { Duplex } from "node:stream";
import { authenticationOk } from "../wire/postgres/auth-messages.ts";
import { readyForQuery } from "../wire/postgres/backend-messages.ts";
import type { Dialled } from "./dial.ts";

/**
 * A session that has logged in, for a client that wants to log in itself: its startup message is
 * taken from it and answered with what the server said to ours. So `pg` brings the queries, and how
 * to connect is written once.
 */
export class LoggedInStream extends Duplex {
  readonly #server: Dialled;
  #started = false;

  constructor(server: Dialled) {
    super();
    this.#server = server;
    const { socket } = server;
    socket.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
    if (socket.destroyed) this.destroy();
  }

  /** What `pg` calls on its socket; the connection is there already. */
  connect(): this {
    process.nextTick(() => this.emit("connect"));
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  override _read(): void {
    if (this.#started) this.#server.socket.resume();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    const { socket, greeting, leftover } = this.#server;
    if (this.#started) {
      socket.write(chunk, done);
      return;
    }
    this.#started = true;
    this.push(Buffer.concat([authenticationOk(), greeting, readyForQuery("I"), leftover]));
    socket.resume();
    done();
  }

  override _final(done: (error?: Error | null) => void): void {
    // Terminate has been written: there is nothing to wait for, least of all from a server that hangs.
    this.#server.socket.end(() => {
      done();
      this.destroy();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#server.socket.destroy();
    done(error);
  }
}
