import type { Socket } from "node:net";
import { CodedError } from "../base/errors.ts";

/** A message of the server during the login. */
export type LoginFrame = {
  readonly type: number;
  /** Header included. */
  readonly bytes: Buffer;
  readonly body: Buffer;
};

/** All that a server says from its first byte to ReadyForQuery: a few kilobytes, or it is no such server. */
const MAX_LOGIN_BYTES = 1024 * 1024;
const HEADER_BYTES = 5;

/** Reads what a server says during the login, one message at a time and never more than a megabyte in all. */
export class LoginReader {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #read = 0;
  /** Why nothing more will come. */
  #error: CodedError | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onEnd);
    socket.on("error", this.#onError);
    socket.resume();
  }

  /**
   * The next message.
   * @throws CodedError protocol_violation for what is no message, backend_lost when the server closed.
   */
  async next(): Promise<LoginFrame> {
    for (;;) {
      const frame = this.#take();
      if (frame !== undefined) return frame;
      await this.#more();
    }
  }

  /** The single byte that answers an SSLRequest, and nothing after it (CVE-2021-23222). */
  async answerByte(): Promise<number> {
    while (this.#bytes.length === 0) await this.#more();
    if (this.#bytes.length > 1) {
      throw violation("the server sent unencrypted data after its answer to SSLRequest");
    }
    const [answer = 0] = this.#bytes;
    this.#bytes = Buffer.alloc(0);
    return answer;
  }

  /** Pauses the socket and stops listening. @returns the bytes that were read and not used. */
  release(): Buffer {
    const socket = this.#socket;
    socket.pause();
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("close", this.#onEnd);
    socket.off("error", this.#onError);
    return this.#bytes;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#read += chunk.length;
    if (this.#read > MAX_LOGIN_BYTES) {
      this.#bytes = Buffer.alloc(0);
      this.#fail(violation(`the server sent more than ${MAX_LOGIN_BYTES} bytes during the login`));
      return;
    }
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#wake?.();
  };

  readonly #onEnd = (): void => {
    this.#fail(new CodedError("backend_lost", "the server closed the connection during the login"));
  };

  readonly #onError = (cause: Error): void => {
    const lost = "the connection broke during the login";
    this.#fail(
      cause instanceof CodedError ? cause : new CodedError("backend_lost", lost, { cause }),
    );
  };

  #fail(error: CodedError): void {
    this.#error ??= error;
    this.#socket.pause();
    this.#wake?.();
  }

  async #more(): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  #take(): LoginFrame | undefined {
    if (this.#bytes.length < HEADER_BYTES) return undefined;
    const type = this.#bytes[0] ?? 0;
    const length = this.#bytes.readUInt32BE(1);
    if (length < 4 || length > MAX_LOGIN_BYTES) throw notAMessage(type, length);
    const end = 1 + length;
    if (this.#bytes.length < end) return undefined;
    const bytes = this.#bytes.subarray(0, end);
    this.#bytes = this.#bytes.subarray(end);
    return { type, bytes, body: bytes.subarray(HEADER_BYTES) };
  }
}

/** Before protocol 3.0 an error was "E" and text, and a server that cannot start a process still says it so. */
function notAMessage(type: number, length: number): CodedError {
  return type === 0x45 && length > MAX_LOGIN_BYTES
    ? new CodedError("backend_refused", "the server cannot start a process for the connection")
    : violation(`the server sent ${typeName(type)} with an impossible length of ${length}`);
}

export function violation(what: string): CodedError {
  return new CodedError("protocol_violation", what);
}

/** A message type for people: `message "T"`, or a number where it does not print. */
export function typeName(type: number): string {
  const printable = type > 0x20 && type < 0x7f;
  return `message ${printable ? `"${String.fromCharCode(type)}"` : `0x${type.toString(16).padStart(2, "0")}`}`;
}
