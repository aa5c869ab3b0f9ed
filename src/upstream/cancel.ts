import type { Socket } from "node:net";
import { CodedError } from "../base/errors.ts";
import { Deadline } from "./deadline.ts";
import { failure } from "./failure.ts";
import { openSocket } from "./open-socket.ts";
import type { ServerAddress } from "./server-address.ts";
import { encodeStartup } from "../wire/postgres/startup.ts";

export type CancelTarget = {
  readonly address: ServerAddress;
  readonly processId: number;
  readonly secretKey: Uint8Array;
  /** As the session is: a key that was told under TLS is never sent without. */
  readonly encrypted: boolean;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
};

/** `sent`: the server has read the request and closed. It never says whether anything was cancelled. */
export type CancelOutcome =
  | { readonly kind: "sent" }
  | { readonly kind: "failed"; readonly error: CodedError };

/**
 * Asks a server to cancel what one of its sessions is doing. Nothing is thrown.
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export async function sendCancel(target: CancelTarget): Promise<CancelOutcome> {
  const { address, processId, secretKey, encrypted } = target;
  const deadline = new Deadline(target.timeoutMs, target.signal);
  try {
    const opened = await openSocket(address, encrypted ? "tls" : "plain", deadline);
    if (opened.kind === "no_tls") return failure(address, opened.error);
    const { socket } = opened;
    deadline.waitingFor = "the server to close after a cancel request";
    socket.write(encodeStartup({ type: "cancel_request", processId, secretKey }));
    await closed(socket);
    return { kind: "sent" };
  } catch (error) {
    return failure(address, error);
  } finally {
    deadline.release();
  }
}

/** A reset counts as closed, for the request may have been read; the deadline's error does not. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on("error", (error) => {
      if (error instanceof CodedError) reject(error);
    });
    socket.on("end", () => socket.destroy());
    socket.on("close", () => resolve());
    socket.resume();
  });
}
