import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { silentLogger } from "../../src/base/logger.ts";
import { acceptClient } from "../../src/proxy/startup/accept-client.ts";
import type { AcceptDeps, AcceptedClient } from "../../src/proxy/startup/accept-client.ts";
import { openLoginKeys } from "../../src/proxy/startup/login-keys.ts";
import type { KnownUser } from "../../src/proxy/startup/login.ts";
import { authenticationOk } from "../../src/wire/postgres/auth-messages.ts";
import {
  backendKeyData,
  parameterStatus,
  readyForQuery,
} from "../../src/wire/postgres/backend-messages.ts";

/** A server that has the startup and hardly anything after it: every query succeeds without rows. */
export type StartupListener = {
  readonly port: number;
  /** What came of the connections, in the order they were decided. */
  readonly outcomes: readonly AcceptedClient[];
  readonly open: () => number;
  /** Waits until `count` connections have been decided. */
  decided(count: number): Promise<readonly AcceptedClient[]>;
  stop(): Promise<void>;
};

export async function startListener(
  users: Readonly<Record<string, KnownUser>>,
  deps: Partial<AcceptDeps> = {},
  handedOver: (socket: Socket) => void = () => {},
): Promise<StartupListener> {
  const outcomes: AcceptedClient[] = [];
  const sockets = new Set<Socket>();
  let tell = (): void => {};
  const all: AcceptDeps = {
    tls: undefined,
    userOf: async (name) => users[name] ?? { kind: "unknown" },
    keys: openLoginKeys(Buffer.from("a secret of the test")),
    loginTimeoutMs: 10_000,
    randomBytes,
    log: silentLogger,
    ...deps,
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    void acceptClient(socket, all).then((outcome) => {
      if (outcome.kind === "client") {
        handedOver(outcome.socket);
        serve(outcome.socket, outcome.leftover);
      }
      if (outcome.kind === "cancel") outcome.done();
      outcomes.push(outcome);
      tell();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    outcomes,
    open: () => sockets.size,
    decided: async (count) => {
      while (outcomes.length < count) await new Promise<void>((resolve) => (tell = resolve));
      return outcomes;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const COMPLETE = Buffer.from("430000000d53454c454354203000", "hex");
const REPLIES: Readonly<Record<string, Buffer>> = {
  Q: Buffer.concat([COMPLETE, readyForQuery("I")]),
  P: Buffer.from("3100000004", "hex"),
  B: Buffer.from("3200000004", "hex"),
  D: Buffer.from("6e00000004", "hex"),
  E: COMPLETE,
  S: readyForQuery("I"),
};

function serve(socket: Socket, leftover: Buffer): void {
  socket.on("error", () => {});
  socket.write(
    Buffer.concat([
      authenticationOk(),
      parameterStatus("server_version", "16.0"),
      parameterStatus("client_encoding", "UTF8"),
      backendKeyData(42, Buffer.alloc(4, 1)),
      readyForQuery("I"),
    ]),
  );
  let rest = leftover;
  const take = (): void => {
    while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
      const reply = REPLIES[rest.toString("latin1", 0, 1)];
      if (reply) socket.write(reply);
      rest = rest.subarray(1 + rest.readInt32BE(1));
    }
  };
  socket.on("data", (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes]);
    take();
  });
  take();
  socket.resume();
}

/** Sends bytes, in the pieces given, to a server; all it says until it closes, or until `enough`. */
export async function converse(
  port: number,
  pieces: readonly Uint8Array[],
  enough: (answer: Buffer) => boolean = () => false,
): Promise<Buffer> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const answer: Buffer[] = [];
  const ended = new Promise<void>((resolve) => {
    socket.on("data", (bytes: Buffer) => {
      answer.push(bytes);
      if (enough(Buffer.concat(answer))) resolve();
    });
    socket.on("error", () => resolve());
    socket.on("close", () => resolve());
  });
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    // Lets each piece leave on its own.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
  socket.destroy();
  return Buffer.concat(answer);
}
