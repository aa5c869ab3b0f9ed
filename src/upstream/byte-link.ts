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
export function openLink(socket: Socket, events: LinkEvents, leftover: Uint8Array): ByteLink {
  socket.pause();
  const buffered = socket.read() as Buffer | null;
  let early = Buffer.concat(buffered === null ? [leftover] : [leftover, buffered]);
  let closed = false;
  /** Nothing is written any more; `over`: nothing is read either. */
  let finished = false;
  let over = false;
  const close = (how: "end" | "reset"): void => {
    if (closed) return;
    closed = true;
    events.closed(how);
  };
  const bytes = (buffer: Buffer, length: number): void => {
    if (!over) events.bytes(buffer, length);
  };
  const direct = readDirectly(socket, bytes);
  const own = direct ?? socket;
  const reset = (): void => {
    if (own.destroyed) return;
    if (direct === undefined) own.destroy();
    else own.resetAndDestroy();
  };
  const drained = (): void => {
    if (own.writableLength === 0) events.drained();
  };
  const finish = (): void => {
    finished = true;
    own.end();
  };
  if (direct === undefined) own.on("data", (chunk: Buffer) => bytes(chunk, chunk.length));
  own.on("drain", drained);
  own.on("end", () => {
    // Only a plain connection can be closed by halves.
    if (!own.allowHalfOpen) finished = true;
    if (!closed) events.ended();
  });
  own.on("error", () => close("reset"));
  own.on("close", (failed: boolean) => close(failed ? "reset" : "end"));
  own.pause();
  return {
    write: (piece) => {
      if (finished) return true;
      own.write(piece);
      if (own.writableLength === 0) return true;
      // Node tells of drained writes only when many bytes waited.
      if (!own.writableNeedDrain) own.write(NOTHING, drained);
      return false;
    },
    get pending() {
      return own.writableLength > 0;
    },
    pause: () => own.pause(),
    resume: () => {
      own.resume();
      if (early.length === 0) return;
      const first = early;
      early = NOTHING;
      bytes(first, first.length);
    },
    finish,
    end: () => {
      over = true;
      finish();
      // What still comes is thrown away: closing on unread bytes would destroy those under way.
      own.resume();
      closeInTime(own);
    },
    breakOff: () => {
      over = true;
      if (own.writableLength === 0 || finished) return reset();
      finished = true;
      own.write(NOTHING, reset);
      closeInTime(own);
    },
    reset,
    socket: own,
  };
}

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

const NOTHING = Buffer.alloc(0);

type SocketWithHandle = Socket & {
  _handle: { readonly constructor: { readonly name: string } } | null;
};

/**
 * Node reads into one buffer of ours only when told so as a socket is made, and sockets made by a
 * listening server cannot be told. So the connection is handed from the socket it has to one made
 * for it; measured at 15 % of the CPU of a query. TLS keeps its own buffers and is read by events.
 */
function readDirectly(socket: Socket, bytes: LinkEvents["bytes"]): Socket | undefined {
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
      buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
      callback: (length: number, buffer: Buffer): boolean => {
        bytes(buffer, length);
        return true;
      },
    },
  };
  return new Socket(options as ConstructorParameters<typeof Socket>[0]);
}
