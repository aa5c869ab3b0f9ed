import type { Socket } from "node:net";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { Credentials } from "../../upstream/dial.ts";
import { negotiateProtocolVersion } from "../../wire/postgres/backend-messages.ts";
import { oldErrorResponse } from "../../wire/postgres/error-response.ts";
import { isProtocolOption, negotiate, NEWEST_MINOR } from "../../wire/postgres/protocol.ts";
import { decodeStartup, replicationMode, startupBodyBytes } from "../../wire/postgres/startup.ts";
import type { StartupPacket, StartupParameters } from "../../wire/postgres/startup.ts";
import type { ClientTls } from "./client-tls.ts";
import type { LoginKeys } from "./login-keys.ts";
import { logIn } from "./login.ts";
import type { KnownUser } from "./login.ts";
import { refusal, StartupFailure } from "./startup-failure.ts";
import type { EndReason } from "./startup-failure.ts";
import { StartupLink } from "./startup-link.ts";

export type AcceptDeps = {
  /** Undefined: clients that ask for TLS are told that there is none. */
  readonly tls: ClientTls | undefined;
  readonly userOf: (name: string) => Promise<KnownUser>;
  readonly keys: LoginKeys;
  /** From the connection up to the end of the login. */
  readonly loginTimeoutMs: number;
  readonly randomBytes: (size: number) => Uint8Array;
  readonly log: Logger;
};

/** What came of a connection. */
export type AcceptedClient =
  | AuthenticatedClient
  | {
      readonly kind: "cancel";
      readonly processId: number;
      readonly secretKey: Uint8Array;
      /** Closes the connection, which tells the client that its request was passed on. */
      readonly done: () => void;
    }
  /** The connection is closed, and the client has been told why. */
  | { readonly kind: "ended"; readonly reason: EndReason; readonly message: string };

/** A client that is who it says, and waits for AuthenticationOk. */
export type AuthenticatedClient = {
  readonly kind: "client";
  /** The plain socket or the TLS stream over it: paused, and nothing listens on it. */
  readonly socket: Socket;
  readonly encrypted: boolean;
  /** 0 to 2: from 2 on secret keys may be longer than 4 bytes. */
  readonly protocolMinor: number;
  /** As they came, but the `_pq_.` options: `user` and maybe `database` and `replication` are among them. */
  readonly parameters: StartupParameters;
  readonly user: string;
  readonly database: string;
  readonly replication: boolean | "database";
  readonly credentials: Credentials;
  /** What the client sent ahead of its time; normally empty. */
  readonly leftover: Buffer;
};

type Startup = Extract<StartupPacket, { readonly type: "startup" }>;
type Request = Exclude<StartupPacket, { readonly type: "malformed" | "unsupported" }>;

/**
 * Takes a connection from its first byte to the end of its login, AuthenticationOk not included.
 * `socket` must not have been read from. Never rejects; on "client" the caller owns the socket and
 * must listen for its errors before it awaits anything else.
 */
export async function acceptClient(socket: Socket, deps: AcceptDeps): Promise<AcceptedClient> {
  const link = new StartupLink(socket);
  const timer = setTimeout(() => link.expire(), deps.loginTimeoutMs);
  try {
    const request = await beginning(link, deps);
    if (request.type === "cancel_request") {
      const { processId, secretKey } = request;
      return { kind: "cancel", processId, secretKey, done: () => void link.close() };
    }
    return await greet(link, request, deps);
  } catch (error) {
    const failure = asFailure(error, deps.log);
    await link.close(failure);
    return { kind: "ended", reason: failure.reason, message: failure.message };
  } finally {
    clearTimeout(timer);
  }
}

/** Answers requests for encryption until the client says what it wants. */
async function beginning(
  link: StartupLink,
  deps: AcceptDeps,
): Promise<Startup | Extract<Request, { readonly type: "cancel_request" }>> {
  let begun = await link.take(1);
  if (begun.readUInt8(0) === TLS_HANDSHAKE) {
    if (!deps.tls) throw new StartupFailure("tls_failed", "direct TLS, but none is configured");
    await link.secure(deps.tls, begun);
    begun = Buffer.alloc(0);
  }
  // As in PostgreSQL each may be asked for once, in either order, and none over the other.
  const open = { ssl: true, gssenc: true };
  for (;;) {
    const request = await takeRequest(link, begun);
    begun = Buffer.alloc(0);
    if (request.type === "ssl_request" && open.ssl) {
      open.ssl = false;
      if (deps.tls && !link.encrypted) {
        open.gssenc = false;
        refuseEarlyBytes(link, "SSL request");
        link.write(ACCEPTED);
        await link.secure(deps.tls);
      } else {
        link.write(DECLINED);
        refuseEarlyBytes(link, "SSL request");
      }
    } else if (request.type === "gssenc_request" && open.gssenc) {
      open.gssenc = false;
      link.write(DECLINED);
      refuseEarlyBytes(link, "GSSAPI encryption request");
    } else if (request.type === "startup" || request.type === "cancel_request") {
      return request;
    } else throw unsupported(1234, request.type === "ssl_request" ? 5679 : 5680);
  }
}

const TLS_HANDSHAKE = 0x16;
const ACCEPTED = Buffer.from("S");
const DECLINED = Buffer.from("N");

/** Reads one startup packet, of which `begun` was read already. */
async function takeRequest(link: StartupLink, begun: Buffer): Promise<Request> {
  const rest = await link.take(4 - begun.length);
  const size = startupBodyBytes(Buffer.concat([begun, rest]));
  if (size === undefined) throw refusal("malformed", "08P01", "invalid length of startup packet");
  const packet = decodeStartup(await link.take(size));
  if (packet.type === "malformed") throw refusal("malformed", packet.sqlstate, packet.message);
  if (packet.type === "unsupported") throw unsupported(packet.major, packet.minor);
  return packet;
}

/** Bytes sent ahead in plain text would count as sent under encryption (CVE-2021-23222). */
function refuseEarlyBytes(link: StartupLink, request: string): void {
  if (link.waiting === 0) return;
  throw refusal("malformed", "08P01", `received unencrypted data after ${request}`, {
    detail:
      "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
  });
}

function unsupported(major: number, minor: number): StartupFailure {
  const message = `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.${NEWEST_MINOR}`;
  return major < 3
    ? new StartupFailure("unsupported", message, oldErrorResponse(message))
    : refusal("unsupported", "0A000", message);
}

async function greet(
  link: StartupLink,
  startup: Startup,
  deps: AcceptDeps,
): Promise<AuthenticatedClient> {
  const replication = replicationOf(startup.parameters);
  const { minor, unknownOptions, tell } = negotiate(startup.minor, startup.parameters);
  if (tell) link.write(negotiateProtocolVersion(minor, unknownOptions));
  const user = last(startup.parameters, "user");
  if (!user) {
    throw refusal("malformed", "28000", "no PostgreSQL user name specified in startup packet");
  }
  const known = await link.during(lookUp(user, deps));
  const credentials = await logIn({
    link,
    user,
    known,
    keys: deps.keys,
    certificateHash: link.encrypted ? deps.tls?.certificateHash : undefined,
    nonce: () => deps.randomBytes(18),
    log: deps.log,
  });
  const socket = await link.release();
  return {
    kind: "client",
    socket,
    encrypted: link.encrypted,
    protocolMinor: minor,
    parameters: startup.parameters.filter(([name]) => !isProtocolOption(name)),
    user,
    database: last(startup.parameters, "database") || user,
    replication,
    credentials,
    leftover: (socket.readableLength > 0 && (socket.read() as Buffer | null)) || Buffer.alloc(0),
  };
}

/** Where a parameter comes twice, the later one counts. */
function last(parameters: StartupParameters, name: string): string | undefined {
  return parameters.findLast(([other]) => other === name)?.[1];
}

function replicationOf(parameters: StartupParameters): boolean | "database" {
  const value = last(parameters, "replication");
  const mode = value === undefined ? false : replicationMode(value);
  if (mode !== undefined) return mode;
  throw refusal("malformed", "22023", `invalid value for parameter "replication": "${value}"`, {
    hint: 'Valid values are: "false", 0, "true", 1, "database".',
  });
}

async function lookUp(user: string, deps: AcceptDeps): Promise<KnownUser> {
  try {
    return await deps.userOf(user);
  } catch (error) {
    deps.log.error({ error: messageOf(error) }, "a user could not be looked up");
    throw refusal("lookup_failed", "57P03", "Twinwire cannot check passwords at the moment");
  }
}

function asFailure(error: unknown, log: Logger): StartupFailure {
  if (error instanceof StartupFailure) return error;
  log.error({ error: messageOf(error) }, "a connection could not be started");
  return refusal("internal", "XX000", "internal error");
}
