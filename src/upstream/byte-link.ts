import { Socket } from "node:net";

/** What a connection tells its owner. `bytes` are valid during the call only. */
export type LinkEvents = {
  bytes(buffer: Buffer, length: number): void;
  /** Everything written has left for the kernel. */
  drained(): void;
  /** No more bytes come: closed in order, or reset by the peer or the network. */
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
  /** Closes after what was written has been sent. */
  end(): void;
  /** Closes at once, with RST where the transport has one. */
  reset(): void;
  readonly socket: Socket;
};

/** Pages of the buffer that are never written cost no memory, so idle sessions stay small. */
const READ_BUFFER_BYTES = 65_536;

/**
 * Takes over a connected socket on which nothing listens. Reading starts with `resume`, with the
 * bytes that came early: `leftover`, and what the socket has buffered.
 */
export function openLink(socket: Socket, events: LinkEvents, leftover: Uint8Array): ByteLink {
  socket.pause();
  const buffered = socket.read() as Buffer | null;
  let early = Buffer.concat(buffered === null ? [leftover] : [leftover, buffered]);
  const direct = readDirectly(socket, events);
  const own = direct ?? socket;
  let closed = false;
  const close = (how: "end" | "reset"): void => {
    if (closed) return;
    closed = true;
    events.closed(how);
  };
  if (direct === undefined) own.on("data", (chunk: Buffer) => events.bytes(chunk, chunk.length));
  own.on("drain", () => events.drained());
  own.on("end", () => close("end"));
  own.on("error", () => close("reset"));
  own.on("close", (failed: boolean) => close(failed ? "reset" : "end"));
  own.pause();
  return {
    write: (bytes) => {
      own.write(bytes);
      return own.writableLength === 0;
    },
    get pending() {
      return own.writableLength > 0;
    },
    pause: () => own.pause(),
    resume: () => {
      own.resume();
      if (early.length === 0) return;
      const bytes = early;
      early = NOTHING;
      events.bytes(bytes, bytes.length);
    },
    end: () => endWithin(own, CLOSE_DEADLINE_MS),
    reset: () => {
      if (own.destroyed) return;
      if (own instanceof Socket && direct !== undefined) own.resetAndDestroy();
      else own.destroy();
    },
    socket: own,
  };
}

const NOTHING = Buffer.alloc(0);
/** A peer that neither reads nor closes keeps a connection no longer than this. */
const CLOSE_DEADLINE_MS = 30_000;

function endWithin(socket: Socket, deadlineMs: number): void {
  socket.end();
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), deadlineMs);
  timer.unref();
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
function readDirectly(socket: Socket, events: LinkEvents): Socket | undefined {
  const previous = socket as SocketWithHandle;
  const handle = previous._handle;
  if (handle === null || handle === undefined || handle.constructor.name !== "TCP")
    return undefined;
  previous._handle = null;
  previous.destroy();
  const options = {
    handle,
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
      callback: (length: number, buffer: Buffer): boolean => {
        events.bytes(buffer, length);
        return true;
      },
    },
  };
  return new Socket(options as ConstructorParameters<typeof Socket>[0]);
}
