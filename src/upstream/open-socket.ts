import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import { CodedError } from "../base/errors.ts";
import type { Deadline } from "./deadline.ts";
import { LoginReader, typeName, violation } from "./login-reader.ts";
import type { ServerAddress } from "./server-address.ts";
import { encodeStartup } from "../wire/postgres/startup.ts";
import { tlsOptions } from "./tls-options.ts";

/** `tls_if_offered`: ask, and go on without when the server says no. */
export type Encryption = "plain" | "tls_if_offered" | "tls";

/** `no_tls`: it could have been made without TLS. Every other failure is thrown. */
export type OpenOutcome =
  | { readonly kind: "open"; readonly socket: Socket; readonly tls: TLSSocket | undefined }
  | { readonly kind: "no_tls"; readonly error: CodedError };

const KEEPALIVE_DELAY_MS = 30_000;
const ANSWER_YES = 0x53;
const ANSWER_NO = 0x4e;

/**
 * Connects, and starts TLS where asked. Nothing is read of what the server says then, and nothing of
 * this listens on the socket but for errors, which it ignores; on failure it is destroyed.
 * @throws CodedError
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
 */
export async function openSocket(
  address: ServerAddress,
  encryption: Encryption,
  deadline: Deadline,
): Promise<OpenOutcome> {
  const options = encryption === "plain" ? undefined : tlsOptions(address);
  deadline.waitingFor = "a connection";
  const socket = connectTo(address);
  // For as long as it lives: an error between two listeners must not end the process.
  socket.on("error", () => {});
  deadline.hold(socket);
  try {
    await opened(socket, "connect", "backend_unreachable");
    if (options === undefined) return { kind: "open", socket, tls: undefined };
    deadline.waitingFor = "the answer to SSLRequest";
    const answer = await askForTls(socket);
    if (answer === ANSWER_NO && encryption === "tls_if_offered") {
      return { kind: "open", socket, tls: undefined };
    }
    if (answer !== ANSWER_YES) {
      const error = withoutTls(address, answer);
      socket.destroy();
      return { kind: "no_tls", error };
    }
  } catch (error) {
    socket.destroy();
    throw error;
  }
  deadline.waitingFor = "the TLS handshake";
  return shakeHands(socket, options, deadline);
}

function connectTo({ host, port }: ServerAddress): Socket {
  if (isSocketFolder(host)) return connectTcp({ path: `${host}/.s.PGSQL.${port}` });
  return connectTcp({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
    // Node.js gives an address 250 ms before it tries the next: too short across an ocean.
    autoSelectFamilyAttemptTimeout: 2000,
  });
}

/** A host that is a path means the Unix socket in that folder, and no TLS. */
export function isSocketFolder(host: string): boolean {
  return host.startsWith("/");
}

async function askForTls(socket: Socket): Promise<number> {
  const reader = new LoginReader(socket);
  try {
    socket.write(encodeStartup({ type: "ssl_request" }));
    return await reader.answerByte();
  } finally {
    reader.release();
  }
}

/** @throws CodedError protocol_violation for what is no answer. */
function withoutTls(address: ServerAddress, answer: number): CodedError {
  if (answer === ANSWER_NO) {
    return new CodedError(
      "backend_refused",
      `the server does not offer TLS, and sslmode=${address.tls.mode} asks for it`,
    );
  }
  // The text of an error at this point comes from nobody known, so it is not read (CVE-2024-10977).
  if (answer === 0x45) {
    return new CodedError("backend_refused", "the server answered SSLRequest with an error");
  }
  throw violation(`the server answered SSLRequest with ${typeName(answer)}`);
}

async function shakeHands(
  plain: Socket,
  options: ReturnType<typeof tlsOptions>,
  deadline: Deadline,
): Promise<OpenOutcome> {
  let socket: TLSSocket;
  try {
    socket = connectTls({ ...options, socket: plain });
  } catch (cause) {
    plain.destroy();
    // OpenSSL does not repeat the text it could not read.
    const what = "the certificate or key for the server cannot be used";
    throw new CodedError("config_invalid", what, { cause });
  }
  socket.on("error", () => {});
  deadline.hold(socket);
  try {
    await opened(socket, "secureConnect", "backend_refused");
    return { kind: "open", socket, tls: socket };
  } catch (error) {
    socket.destroy();
    if (error instanceof CodedError && error.code === "backend_refused") {
      return { kind: "no_tls", error };
    }
    throw error;
  }
}

/** Waits until the socket is connected. An error that is not ours yet gets `code`. */
async function opened(
  socket: Socket,
  event: "connect" | "secureConnect",
  code: "backend_unreachable" | "backend_refused",
): Promise<void> {
  const step = event === "connect" ? "connection failed" : "TLS failed";
  await new Promise<void>((resolve, reject) => {
    const done = (error: CodedError | undefined): void => {
      socket.off(event, onOpen);
      socket.off("error", onError);
      socket.off("close", onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onOpen = (): void => done(undefined);
    const onClose = (): void => done(new CodedError(code, `${step}: closed by the server`));
    const onError = (cause: Error): void => {
      done(
        cause instanceof CodedError
          ? cause
          : new CodedError(code, `${step}: ${reasonOf(cause)}`, { cause }),
      );
    };
    socket.on(event, onOpen);
    socket.on("error", onError);
    socket.on("close", onClose);
  });
}

/** Several addresses of one name fail together, with no message of their own. */
function reasonOf(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return error.errors
    .map((each: unknown) => (each instanceof Error ? each.message : ""))
    .join(", ");
}
