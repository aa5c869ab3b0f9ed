import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { ERRORS } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Side } from "../routing/side.ts";
import type { Dialled, DialOutcome } from "../upstream/dial.ts";
import { authenticationOk } from "../wire/postgres/auth-messages.ts";
import { backendKeyData, readyForQuery } from "../wire/postgres/backend-messages.ts";
import type { ErrorFields } from "../wire/postgres/error-response.ts";
import { errorResponse } from "../wire/postgres/error-response.ts";
import { LONG_KEYS_MINOR } from "../wire/postgres/protocol.ts";
import type { CancelKeys } from "./cancel-keys.ts";
import type { Gate } from "./gate.ts";
import type { Relay } from "./relay.ts";
import { openRelay } from "./relay.ts";
import type { SessionDeps } from "./session-deps.ts";
import { Session } from "./session.ts";
import type { Sides } from "./sides.ts";
import type { AcceptDeps, AuthenticatedClient } from "./startup/accept-client.ts";
import { acceptClient } from "./startup/accept-client.ts";

export type ListenerDeps = {
  readonly accept: AcceptDeps;
  readonly log: Logger;
  readonly gate: Gate;
  readonly sides: Sides;
  readonly primary: () => Side;
  /** The only database that is served here. */
  readonly database: string;
  readonly maxConnections: () => number;
  readonly nextSession: () => number;
  readonly keys: CancelKeys<Session | Relay>;
  readonly sessions: Set<Session>;
  readonly relays: Set<Relay>;
  readonly sessionDeps: (client: AuthenticatedClient) => Omit<SessionDeps, "ended">;
  /** Called once for each connection: what became of it. */
  readonly counted: (outcome: ConnectionOutcome) => void;
  /** A session has begun or ended: what the dialling of its user needs is kept or forgotten. */
  readonly began: (session: Session, client: AuthenticatedClient) => void;
  readonly ended: (session: Session) => void;
  /** Resolves once the primary has heard of it. */
  readonly cancel: (target: Session | Relay) => Promise<void>;
};

export type ConnectionOutcome =
  | "session"
  | "replication"
  | "cancel"
  | "login_failed"
  | "too_many"
  | "refused_by_backend"
  | "backend_unreachable"
  | "client_gone";

/** A port on which clients of one migration connect. */
export type Listener = {
  readonly address: AddressInfo;
  /** Stops taking connections, those that have not logged in yet included; the open ones go on. */
  stop(): void;
};

const SHORT_KEY_BYTES = 4;
const LONG_KEY_BYTES = 32;
const LINGER_MS = 1_000;

export async function openListener(
  host: string,
  port: number,
  deps: ListenerDeps,
): Promise<Listener> {
  const seats = openSeats(deps.maxConnections);
  const comingIn = new Set<Socket>();
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    socket.on("error", () => {});
    const seat = seats.enter();
    if (seat === undefined) {
      deps.counted("too_many");
      refuse(socket, tooMany());
      return;
    }
    comingIn.add(socket);
    welcome(socket, deps, seat)
      .catch((error: unknown) => {
        seat.leave();
        deps.log.error({ error: String(error) }, "a connection ended by a fault of Twinwire");
        socket.destroy();
      })
      .finally(() => comingIn.delete(socket));
  });
  await listening(server, host, port);
  return {
    address: server.address() as AddressInfo,
    stop: () => {
      server.close();
      for (const socket of comingIn) socket.destroy();
    },
  };
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** A connection's place: anybody may stand, who has logged in sits. */
type Seat = {
  /** @returns false when all seats are taken */
  sit(): boolean;
  leave(): void;
};

/**
 * Connections that say nothing must not keep out those that do, so a seat is taken after the login
 * only, and cancelling needs none. As in PostgreSQL twice as many may be connected as may be seated.
 */
function openSeats(max: () => number): { enter(): Seat | undefined } {
  let connected = 0;
  let seated = 0;
  return {
    enter() {
      if (connected >= 2 * max()) return undefined;
      connected++;
      let sits = false;
      return {
        sit() {
          if (seated >= max()) return false;
          seated++;
          sits = true;
          return true;
        },
        leave() {
          connected--;
          if (sits) seated--;
        },
      };
    },
  };
}

async function welcome(socket: Socket, deps: ListenerDeps, seat: Seat): Promise<void> {
  const peer = `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`;
  const accepted = await acceptClient(socket, deps.accept);
  if (accepted.kind === "ended") {
    deps.counted("login_failed");
    return seat.leave();
  }
  if (accepted.kind === "cancel") {
    deps.counted("cancel");
    const target = deps.keys.find(accepted.processId, accepted.secretKey);
    // Closing tells the client that what it asks from now on is not cancelled any more.
    if (target !== undefined) await deps.cancel(target);
    accepted.done();
    return seat.leave();
  }
  accepted.socket.on("error", () => {});
  if (accepted.database !== deps.database) {
    deps.counted("login_failed");
    refuse(accepted.socket, unknownDatabase(accepted.database, deps.database));
    return seat.leave();
  }
  if (!seat.sit()) {
    deps.counted("too_many");
    refuse(accepted.socket, tooMany());
    return seat.leave();
  }
  const outcome = await dialPrimary(accepted, deps);
  if (accepted.socket.destroyed) {
    if (outcome.kind === "ready") outcome.server.socket.destroy();
    deps.counted("client_gone");
    return seat.leave();
  }
  if (outcome.kind === "ready") return admit(accepted, outcome.server, peer, deps, seat.leave);
  seat.leave();
  if (outcome.kind === "refused") {
    deps.counted("refused_by_backend");
    dismiss(accepted.socket, outcome.errorFrame);
  } else {
    deps.counted("backend_unreachable");
    deps.log.warn(
      { side: deps.primary(), error: outcome.error.message },
      "the primary could not be reached",
    );
    refuse(accepted.socket, unreachable());
  }
}

/** Waits while the route is being switched, and dials again when it was switched meanwhile. */
async function dialPrimary(client: AuthenticatedClient, deps: ListenerDeps): Promise<DialOutcome> {
  for (;;) {
    await deps.gate.whenOpen();
    const side = deps.primary();
    const outcome = await deps.sides.dial(
      side,
      { user: client.user, parameters: client.parameters, readOnly: false, limits: [] },
      client.credentials,
    );
    if (outcome.kind !== "ready") return outcome;
    if (!deps.gate.closed && deps.primary() === side) return outcome;
    outcome.server.socket.destroy();
  }
}

function admit(
  client: AuthenticatedClient,
  server: Dialled,
  peer: string,
  deps: ListenerDeps,
  over: () => void,
): void {
  const keyBytes = client.protocolMinor >= LONG_KEYS_MINOR ? LONG_KEY_BYTES : SHORT_KEY_BYTES;
  const greet = (owner: Session | Relay): { welcome: Buffer; processId: number } => {
    const { processId, secretKey } = deps.keys.issue(owner, keyBytes);
    const welcomeBytes = Buffer.concat([
      authenticationOk(),
      server.greeting,
      backendKeyData(processId, secretKey),
      readyForQuery("I"),
    ]);
    return { welcome: welcomeBytes, processId };
  };
  if (client.replication !== false) {
    deps.counted("replication");
    const relay: Relay = openRelay(client.socket, client.leftover, server, () => {
      deps.relays.delete(relay);
      deps.keys.withdraw(processId);
      over();
    });
    const { welcome: bytes, processId } = greet(relay);
    deps.relays.add(relay);
    relay.begin(bytes);
    return;
  }
  deps.counted("session");
  const origin = {
    id: deps.nextSession(),
    user: client.user,
    applicationName: parameter(client, "application_name") ?? "",
    client: peer,
    socket: client.socket,
    leftover: client.leftover,
  };
  const session = new Session(origin, server, {
    ...deps.sessionDeps(client),
    ended: () => {
      deps.sessions.delete(session);
      deps.keys.withdraw(processId);
      deps.ended(session);
      over();
    },
  });
  const { welcome: bytes, processId } = greet(session);
  deps.sessions.add(session);
  deps.began(session, client);
  session.begin(bytes);
}

function parameter(client: AuthenticatedClient, wanted: string): string | undefined {
  return client.parameters.find(([name]) => name === wanted)?.[1];
}

function refuse(socket: Socket, error: ErrorFields): void {
  dismiss(socket, errorResponse(error));
}

/** Says its last words and closes, with a client that does not close in turn as well. */
function dismiss(socket: Socket, words: Uint8Array): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once("close", () => clearTimeout(timer));
  socket.end(words);
  // A connection that nobody reads from is never known to have ended.
  socket.resume();
}

function tooMany(): ErrorFields {
  return {
    severity: "FATAL",
    sqlstate: ERRORS.too_many_connections.sqlstate,
    message: "sorry, too many clients already",
    hint: "Raise listen.max_connections in Twinwire's configuration, or let clients share connections.",
  };
}

function unknownDatabase(asked: string, served: string): ErrorFields {
  return {
    severity: "FATAL",
    sqlstate: "3D000",
    message: `database "${asked}" does not exist`,
    detail: `This is Twinwire, and here it serves the database "${served}" only.`,
    hint: `Put "${served}" into the connection string.`,
  };
}

function unreachable(): ErrorFields {
  return {
    severity: "FATAL",
    sqlstate: ERRORS.backend_unreachable.sqlstate,
    message: "the database behind Twinwire could not be reached",
    hint: "Look into Twinwire's log for the reason.",
  };
}
