import type { Socket } from "node:net";
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
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
};

/** A server session that has logged in and is idle. The caller owns the socket; nothing listens on it. */
export type Dialled = {
  readonly socket: Socket;
  readonly processId: number;
  readonly secretKey: Uint8Array;
  /** Frames sent between AuthenticationOk and ReadyForQuery but BackendKeyData, as they came. */
  readonly greeting: Uint8Array;
  /** The last ParameterStatus of each name. */
  readonly parameters: ReadonlyMap<string, string>;
};

export type DialOutcome =
  | { readonly kind: "ready"; readonly server: Dialled }
  /** The server answered with an ErrorResponse: the whole frame, to be passed on unchanged. */
  | { readonly kind: "refused"; readonly sqlstate: string; readonly errorFrame: Uint8Array }
  | { readonly kind: "failed"; readonly error: Error };

export type DialModule = {
  dial(request: DialRequest): Promise<DialOutcome>;
};
