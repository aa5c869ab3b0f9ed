import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { authenticationOk } from "../../src/wire/postgres/auth-messages.ts";
import {
  backendKeyData,
  parameterStatus,
  readyForQuery,
} from "../../src/wire/postgres/backend-messages.ts";

/** A server of the test's own making: it lets everybody in and then does what it is told. */
export type RawBackend = {
  readonly port: number;
  /** What happens to the next connections: before their login, and with the first bytes after it. */
  behave: { connected?: (socket: Socket) => unknown; asked?: (socket: Socket) => unknown };
  /** Open connections. */
  readonly open: () => number;
  stop(): Promise<void>;
};

const WELCOME = Buffer.concat([
  authenticationOk(),
  parameterStatus("server_version", "16.0"),
  parameterStatus("client_encoding", "UTF8"),
  backendKeyData(4242, Buffer.from([1, 2, 3, 4])),
  readyForQuery("I"),
]);

/** Until told otherwise it closes every connection at once. */
export async function startBackend(): Promise<RawBackend> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    const { connected, asked } = backend.behave;
    if (connected !== undefined) return void connected(socket);
    if (asked === undefined) return void socket.destroy();
    socket.once("data", () => {
      socket.write(WELCOME);
      socket.once("data", () => asked(socket));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const backend: RawBackend = {
    port: (server.address() as AddressInfo).port,
    behave: {},
    open: () => sockets.size,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
  return backend;
}
