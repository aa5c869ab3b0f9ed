import { Socket } from "node:net";

/** What a connection tells its owner. `bytes` are valid during the call only. */
export type LinkEvents = {
  bytes(buffer: Buffer, length: number): void;
  /** Everything written has left for the kernel. */
  drained(): void;
  /** The peer has said all it has to say; it may still listen. */
  ended(): void;
  /** The connection is gone: closed by both ends, or reset by the peer or the network. Called once. */
  closed(how: "end" | "reset"): void;
};

/**
 * One end of a session: an established connection of either side, read without allocating.
 * After `write` returned false the written bytes must stay untouched until `drained`; stopping the
 * reader that owns their buffer is all it takes, and is the back-pressure as well.
 */
export type ByteLink = {
  write(bytes: Buffer): boolean;
  readonly pending: boolean;
  pause(): void;
  resume(): void;
  /** Says, after what was written, that nothing more will be; what the peer says is still read. */
  finish(): void;
  /** Closes after what was written has been sent. Nothing more is read. */
  end(): void;
  /** Closes after what was written has been sent, with RST where the transport has one. */
  breakOff(): void;
  /** Closes at once, with RST where the transport has one. */
  reset(): void;
  readonly socket: Socket;
};

/** Pages of the buffer that are never written cost no memory, so idle sessions stay small. */
const READ_BUFFER_BYTES = 65_536;
/** A peer that does not read gets so long to take the last bytes. */
const LAST_BYTES_MS = 60_000;
/** A peer that has all bytes gets so long to close its own end. */
const LINGER_MS = 5_000;

/**
 * Takes over a connected socket on which nothing listens. Reading starts with `resume`, with the
 * bytes that came early: `leftover`, and what the socket has buffered.
 */
export function openLink(
  socket: Socket,
  events: LinkEvents,
  leftover: Uint8Array,
  readBufferBytes: number = READ_BUFFER_BYTES,
): ByteLink {
  socket.pause();
  const buffered = socket.read() as Buffer | null;
  const early = Buffer.concat(buffered === null ? [leftover] : [leftover, buffered]);
  return new SocketLink(socket, events, { early, readBufferBytes });
}

type LinkOptions = { readonly early: Buffer; readonly readBufferBytes: number };

class SocketLink implements ByteLink {
  readonly socket: Socket;
  readonly #events: LinkEvents;
  /** Read without allocating, and closed by halves. */
  readonly #direct: boolean;
  #early: Buffer;
  #closed = false;
  /** Nothing is written any more. */
  #finished = false;
  /** Nothing is read any more. */
  #over = false;

  constructor(socket: Socket, events: LinkEvents, { early, readBufferBytes }: LinkOptions) {
    this.#events = events;
    this.#early = early;
    const direct = readDirectly(socket, readBufferBytes, (buffer, length) =>
      this.#bytes(buffer, length),
    );
    const own = direct ?? socket;
    this.#direct = direct !== undefined;
    this.socket = own;
    if (direct === undefined) own.on("data", (chunk: Buffer) => this.#bytes(chunk, chunk.length));
    own.on("drain", () => this.#drained());
    own.on("end", () => {
      if (!this.#direct) this.#finished = true;
      if (!this.#closed) events.ended();
    });
    own.on("error", () => this.#close("reset"));
    own.on("close", (failed: boolean) => this.#close(failed ? "reset" : "end"));
    own.pause();
  }

  get pending(): boolean {
    return this.socket.writableLength > 0;
  }

  write(bytes: Buffer): boolean {
    if (this.#finished) return true;
    const own = this.socket;
    own.write(bytes);
    if (own.writableLength === 0) return true;
    // Node tells of drained writes only when many bytes waited.
    if (!own.writableNeedDrain) own.write(NOTHING, () => this.#drained());
    return false;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
    if (this.#early.length === 0) return;
    const bytes = this.#early;
    this.#early = NOTHING;
    this.#bytes(bytes, bytes.length);
  }

  finish(): void {
    this.#finished = true;
    this.socket.end();
  }

  end(): void {
    this.#over = true;
    this.finish();
    // What still comes is thrown away: closing on unread bytes would destroy those under way.
    this.socket.resume();
    closeInTime(this.socket);
  }

  breakOff(): void {
    this.#over = true;
    if (!this.pending || this.#finished) return this.reset();
    this.#finished = true;
    this.socket.write(NOTHING, () => this.reset());
    closeInTime(this.socket);
  }

  reset(): void {
    if (this.socket.destroyed) return;
    if (this.#direct) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  #bytes(buffer: Buffer, length: number): void {
    if (!this.#over) this.#events.bytes(buffer, length);
  }

  #drained(): void {
    if (!this.pending) this.#events.drained();
  }

  #close(how: "end" | "reset"): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.closed(how);
  }
}

const NOTHING = Buffer.alloc(0);

/** Frees the connection of a peer that neither reads nor closes. */
function closeInTime(socket: Socket): void {
  const within = (ms: number): NodeJS.Timeout => setTimeout(() => socket.destroy(), ms).unref();
  let timer = within(LAST_BYTES_MS);
  socket.once("finish", () => {
    clearTimeout(timer);
    timer = within(LINGER_MS);
  });
  socket.once("close", () => clearTimeout(timer));
}

type SocketWithHandle = Socket & {
  _handle: { readonly constructor: { readonly name: string } } | null;
};

/**
 * Node reads into one buffer of ours only when told so as a socket is made, and sockets made by a
 * listening server cannot be told. So the connection is handed from the socket it has to one made
 * for it; measured at 15 % of the CPU of a query. TLS keeps its own buffers and is read by events.
 */
function readDirectly(
  socket: Socket,
  readBufferBytes: number,
  bytes: LinkEvents["bytes"],
): Socket | undefined {
  const previous = socket as SocketWithHandle;
  const handle = previous._handle;
  if (handle === null || handle === undefined || handle.constructor.name !== "TCP")
    return undefined;
  previous._handle = null;
  previous.destroy();
  const options = {
    handle,
    allowHalfOpen: true,
    onread: {
      buffer: Buffer.allocUnsafeSlow(readBufferBytes),
      callback: (length: number, buffer: Buffer): boolean => {
        bytes(buffer, length);
        return true;
      },
    },
  };
  return new Socket(options as ConstructorParameters<typeof Socket>[0]);
}
