import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { encodeStartup } from "../../src/wire/postgres/startup.ts";

/** A client that speaks the protocol in bytes and keeps every byte it is told. The server must trust it. */
export type RawSession = {
  send(...frames: readonly Uint8Array[]): void;
  /** Sends each byte on its own. */
  trickle(bytes: Uint8Array): Promise<void>;
  /** Waits until frames of these types have come in this order, others between them, since the last wait. */
  until(types: string): Promise<void>;
  /** Waits until what has come after the startup satisfies. */
  seen(enough: (frames: Buffer) => boolean): Promise<void>;
  /** Waits for the end of the connection. */
  closed(): Promise<Ending>;
  /** How the connection ended, if it did. */
  readonly ended: Ending | undefined;
  /** All that has come, cut where the frames end. */
  frames(): Buffer;
  readonly key: { readonly processId: number; readonly secretKey: Buffer };
  readonly socket: Socket;
};

export type RawStartup = {
  readonly parameters?: readonly (readonly [name: string, value: string])[];
  readonly minor?: number;
  /** Called with everything that is sent and received after the startup, in that order. */
  readonly heard?: (from: "frontend" | "backend", bytes: Buffer) => void;
};

/** In order, or by a reset. */
export type Ending = "end" | "reset";

const DEADLINE_MS = 60_000;

/** Connects as `postgres` to the database `postgres` unless the parameters say otherwise. */
export async function openRaw(port: number, startup: RawStartup = {}): Promise<RawSession> {
  const session = await connectRaw(port, startup);
  await session.until("Z");
  return session;
}

/** Connects and sends the startup packet; the answer is the caller's to wait for. */
export async function connectRaw(port: number, startup: RawStartup = {}): Promise<RawSession> {
  const { parameters = [], minor = 0, heard = () => {} } = startup;
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const incoming = new Incoming();
  let ended: Ending | undefined;
  let wake = (): void => {};
  let begun = false;
  socket.on("data", (chunk: Buffer) => {
    incoming.take(chunk);
    if (begun) heard("backend", chunk);
    begun ||= incoming.types.includes("Z");
    wake();
  });
  socket.on("error", () => (ended = "reset"));
  socket.on("end", () => (ended ??= "end"));
  socket.on("close", () => {
    ended ??= "end";
    wake();
  });
  const wait = (what: string, done: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => fail("in time"), DEADLINE_MS);
      const fail = (how: string): void => {
        clearTimeout(late);
        wake = () => {};
        reject(new Error(`${what} did not come ${how}; got ${incoming.types.slice(-60)}`));
      };
      wake = () => {
        if (done()) {
          clearTimeout(late);
          wake = () => {};
          resolve();
        } else if (ended !== undefined && socket.closed) fail(`before the ${ended}`);
      };
      wake();
    });
  const given = new Set(parameters.map(([name]) => name));
  const defaults = (
    [
      ["user", "postgres"],
      ["database", "postgres"],
    ] as const
  ).filter(([name]) => !given.has(name));
  socket.write(encodeStartup({ type: "startup", minor, parameters: [...defaults, ...parameters] }));
  let waited = 0;
  const send = (bytes: Uint8Array): void => {
    heard("frontend", Buffer.from(bytes));
    socket.write(bytes);
  };
  return {
    socket,
    send: (...frames) => send(Buffer.concat(frames)),
    async trickle(bytes) {
      for (const byte of bytes) {
        send(Buffer.from([byte]));
        await turn();
      }
    },
    until: (types) =>
      wait(types, () => {
        let at = waited;
        for (const type of types) {
          at = incoming.types.indexOf(type, at) + 1;
          if (at === 0) return false;
        }
        waited = at;
        return true;
      }),
    seen: (enough) => wait("what was expected", () => enough(incoming.bytes())),
    get ended() {
      return ended;
    },
    async closed() {
      await wait("the end", () => ended !== undefined && socket.closed);
      return ended ?? "end";
    },
    frames: () => incoming.bytes(),
    get key() {
      const { start, end } = incoming.first("K");
      const body = incoming.bytes().subarray(start + 5, end);
      return { processId: body.readInt32BE(0), secretKey: body.subarray(4) };
    },
  };
}

/** Asks a server to cancel what a session does; resolves when the server has closed. */
export async function cancelRaw(port: number, key: RawSession["key"]): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  socket.resume();
  socket.write(encodeStartup({ type: "cancel_request", ...key }));
  await once(socket, "close");
}

/** Finds the frames in what comes, and keeps it. */
class Incoming {
  /** One letter a frame. */
  types = "";
  readonly #chunks: Buffer[] = [];
  readonly #firsts = new Map<string, { start: number; end: number }>();
  #size = 0;
  /** Where the next frame begins, counted from the first byte. */
  #next = 0;
  #header: number[] = [];
  /** The frame whose header has come. */
  #open: { type: string; start: number; end: number } | undefined;

  take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#finish(this.#size + chunk.length);
    let at = Math.max(this.#next + this.#header.length, this.#size) - this.#size;
    while (at < chunk.length) {
      this.#header.push(chunk[at] as number);
      at++;
      if (this.#header.length < 5) continue;
      const start = this.#next;
      this.#next += 1 + Buffer.from(this.#header).readUInt32BE(1);
      const type = String.fromCharCode(this.#header[0] as number);
      this.#open = { type, start, end: this.#next };
      this.#header = [];
      this.#finish(this.#size + chunk.length);
      at = this.#next - this.#size;
    }
    this.#size += chunk.length;
    this.#finish(this.#size);
  }

  #finish(upTo: number): void {
    if (this.#open === undefined || this.#open.end > upTo) return;
    const { type, start, end } = this.#open;
    this.#open = undefined;
    this.types += type;
    if (!this.#firsts.has(type)) this.#firsts.set(type, { start, end });
  }

  first(type: string): { readonly start: number; readonly end: number } {
    const found = this.#firsts.get(type);
    if (found === undefined) throw new Error(`no frame of type ${type} has come`);
    return found;
  }

  bytes(): Buffer {
    const all = Buffer.concat(this.#chunks);
    this.#chunks.splice(0, this.#chunks.length, all);
    return all;
  }
}
