import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { DialOutcome } from "../../src/upstream/dial.ts";
import { message, readyForQuery } from "../../src/wire/postgres/backend-messages.ts";
import { FrameReader, typeFlags } from "../../src/wire/postgres/frame-reader.ts";
import { Frontend, FRONTEND_TYPES } from "../../src/wire/postgres/message-types.ts";
import { until } from "./mirrored.ts";

/** A shadow of the test's own making, its login left out: it answers what it is told to answer. */
export type ToldShadow = {
  dial(): Promise<DialOutcome>;
  /** The client's statements as they came, those of one write joined by `+`. */
  readonly writes: readonly string[];
  /** Answers the oldest statement that it has not answered. */
  answer(with_?: "row" | "error"): void;
  written(...writes: readonly string[]): Promise<unknown>;
  dropConnections(): void;
  close(): Promise<void>;
};

const LIMITS = {
  wholeBytes: 4096,
  interesting: typeFlags(FRONTEND_TYPES),
  known: typeFlags(FRONTEND_TYPES),
  maxBodyBytes: 4096,
};
const DONE = Buffer.concat([message("C", Buffer.from("SELECT 0\0")), readyForQuery("I")]);
const ERROR = Buffer.concat([
  message("E", Buffer.from("SERROR\0VERROR\0C22012\0Mdivision by zero\0\0")),
  readyForQuery("I"),
]);

export async function openToldShadow(): Promise<ToldShadow> {
  const sockets = new Set<Socket>();
  const writes: string[] = [];
  let asking: Socket | undefined;
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    let together: string[] = [];
    const frames = new FrameReader(LIMITS, {
      frame: (type, bytes, start, end) => {
        if (type !== Frontend.Query) return;
        const sql = bytes.toString("latin1", start + 5, end - 1);
        // What brings the session in step is no exchange of the client.
        if (/^(?:reset|rollback)/i.test(sql)) socket.write(DONE);
        else together.push(sql);
      },
      largeFrame: () => {},
    });
    socket.on("data", (chunk) => {
      asking = socket;
      frames.push(chunk, 0, chunk.length);
      if (together.length > 0) writes.push(together.join("+"));
      together = [];
    });
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    writes,
    dial: () => dialled(port),
    answer: (with_ = "row") => void asking?.write(with_ === "row" ? DONE : ERROR),
    written: (...wanted) =>
      until(`the writes ${wanted.join(", ")}; there were ${writes.join(", ")}`, () =>
        wanted.every((write, index) => writes[writes.length - wanted.length + index] === write),
      ),
    dropConnections: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

async function dialled(port: number): Promise<DialOutcome> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  const none = new Uint8Array();
  const server = { socket, encrypted: false, processId: 1, secretKey: none, greeting: none };
  return { kind: "ready", server: { ...server, parameters: new Map(), leftover: none } };
}
