import type { Socket } from "node:net";
import type { CodedError } from "../base/errors.ts";
import { Deadline } from "./deadline.ts";
import { errorFields } from "../wire/postgres/error-response.ts";
import { failure } from "./failure.ts";
import { logIn } from "./login.ts";
import { isSocketFolder, openSocket } from "./open-socket.ts";
import type { Encryption } from "./open-socket.ts";
import type { ScramCache } from "./scram-cache.ts";
import type { ServerAddress } from "./server-address.ts";

/** How to prove who the user is. Never logged. */
export type Credentials =
  | { readonly kind: "password"; readonly password: string }
  /** The client's own keys: log in without the password where the server holds the same verifier. */
  | { readonly kind: "scram_keys"; readonly clientKey: Uint8Array; readonly serverKey: Uint8Array }
  | { readonly kind: "none" };

export type DialRequest = {
  readonly address: ServerAddress;
  /** Startup parameters in order, `user` and `database` among them. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
  readonly credentials: Credentials;
  /** For everything from the name's resolution to ReadyForQuery, a second try without TLS included. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
};

/**
 * A server session that has logged in and is idle. The caller owns the socket, which is paused. Only
 * a listener stays that ignores errors: the socket may break before the caller listens, and is
 * `destroyed` then.
 */
export type Dialled = {
  readonly socket: Socket;
  /** A cancel request for this session must be encrypted as well. */
  readonly encrypted: boolean;
  readonly processId: number;
  /** 4 to 256 bytes; empty where the server gave no key. */
  readonly secretKey: Uint8Array;
  /** Frames sent between AuthenticationOk and ReadyForQuery but BackendKeyData, as they came. */
  readonly greeting: Uint8Array;
  /** The last ParameterStatus of each name. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Bytes that came after ReadyForQuery and were read with it; nearly always empty. */
  readonly leftover: Uint8Array;
};

export type DialOutcome =
  | { readonly kind: "ready"; readonly server: Dialled }
  /** The server answered with an ErrorResponse: the whole frame, to be passed on unchanged. */
  | { readonly kind: "refused"; readonly sqlstate: string; readonly errorFrame: Uint8Array }
  | { readonly kind: "failed"; readonly error: CodedError };

export type DialDeps = {
  /** So many bytes that nobody can guess: `randomBytes` of `node:crypto`. */
  readonly random: (bytes: number) => Uint8Array;
  /** Without one, every SCRAM login by password derives its keys anew. */
  readonly scramCache?: ScramCache | undefined;
};

type Attempt = {
  readonly outcome: DialOutcome;
  /** The other kind of connection, with or without TLS, may do better. */
  readonly again: boolean;
};

/**
 * Connects to a PostgreSQL server and logs in, TLS and channel binding as `libpq` would with the same
 * `sslmode`. Nothing is thrown, and nothing stays open unless the outcome is `ready`.
 */
export async function dial(request: DialRequest, deps: DialDeps): Promise<DialOutcome> {
  const deadline = new Deadline(request.timeoutMs, request.signal);
  try {
    const [first, second] = encryptionsFor(request.address);
    const one = await attempt(request, deps, first, deadline);
    if (second === undefined || !one.again) return one.outcome;
    const two = await attempt(request, deps, second, deadline);
    return moreTelling(one.outcome, two.outcome);
  } finally {
    deadline.release();
  }
}

/** The order in which `sslmode` tries, the second where the first says `again`. */
function encryptionsFor({ host, tls }: ServerAddress): readonly [Encryption, Encryption?] {
  if (isSocketFolder(host)) return ["plain"];
  switch (tls.mode) {
    case "disable":
      return ["plain"];
    case "allow":
      return ["plain", "tls"];
    case "prefer":
      return ["tls_if_offered", "plain"];
    case "require":
    case "verify-ca":
    case "verify-full":
      return ["tls"];
  }
}

async function attempt(
  request: DialRequest,
  deps: DialDeps,
  encryption: Encryption,
  deadline: Deadline,
): Promise<Attempt> {
  let socket: Socket | undefined;
  try {
    const opened = await openSocket(request.address, encryption, deadline);
    if (opened.kind === "no_tls")
      return { outcome: failure(request.address, opened.error), again: true };
    socket = opened.socket;
    const login = await logIn(opened, request, deps, deadline);
    if (login.kind === "ready") return { outcome: login, again: false };
    socket.destroy();
    const errorFrame = Buffer.from(login.frame.bytes);
    const sqlstate = errorFields(errorFrame).get("C") ?? "";
    const encrypted = opened.tls !== undefined;
    const otherIsLeft = encryption === "plain" || encrypted;
    const again = otherIsLeft && !login.authenticated && sqlstate !== CANNOT_CONNECT_NOW;
    return { outcome: { kind: "refused", sqlstate, errorFrame }, again };
  } catch (error) {
    socket?.destroy();
    return { outcome: failure(request.address, error), again: false };
  }
}

/** A server that is starting or stopping says so to everybody. */
const CANNOT_CONNECT_NOW = "57P03";
/** What a server says when no line of pg_hba.conf allows this kind of connection, among other things. */
const INVALID_AUTHORIZATION = "28000";

/** Of two attempts: a server's own words before ours, and a reason before "not this kind of connection". */
function moreTelling(one: DialOutcome, two: DialOutcome): DialOutcome {
  if (one.kind !== "refused" || two.kind === "ready") return two;
  if (two.kind === "failed") return one;
  return two.sqlstate === INVALID_AUTHORIZATION ? one : two;
}
