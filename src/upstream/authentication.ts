import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { CodedError } from "../base/errors.ts";
import { serverEndPointHash } from "../wire/postgres/scram-channel-binding.ts";
import {
  answerScram,
  checkServerFinal,
  readServerFirst,
  startScram,
} from "../wire/postgres/scram-client.ts";
import type { ScramBinding, ScramChallenge } from "../wire/postgres/scram-client.ts";
import { SCRAM_SHA_256, SCRAM_SHA_256_PLUS, deriveScramKeys } from "../wire/postgres/scram.ts";
import type { ScramKeys } from "../wire/postgres/scram.ts";
import type { Credentials } from "./dial.ts";
import type { LoginFrame, LoginReader } from "./login-reader.ts";
import { typeName, violation } from "./login-reader.ts";
import type { ScramCache } from "./scram-cache.ts";
import { passwordMessage, saslInitialResponse, saslResponse } from "./startup-messages.ts";

/** One connection on which a startup message has been sent. */
export type LoginLink = {
  readonly socket: Socket;
  /** The same socket, where it is encrypted. */
  readonly tls: TLSSocket | undefined;
  readonly reader: LoginReader;
  readonly user: string;
  readonly credentials: Credentials;
  readonly channelBinding: "disable" | "prefer" | "require";
  /** Fresh random bytes. */
  readonly random: (bytes: number) => Uint8Array;
  readonly scramCache: ScramCache | undefined;
};

/** `refused`: the server's ErrorResponse. */
export type AuthenticationOutcome =
  | { readonly kind: "authenticated" }
  | { readonly kind: "refused"; readonly frame: LoginFrame };

type Request = { readonly kind: "request"; readonly code: number; readonly data: Buffer };
type Refused = Extract<AuthenticationOutcome, { kind: "refused" }>;

/** @see https://www.postgresql.org/docs/current/protocol-message-formats.html */
const REQUEST = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;

/** Other requests by name, for the sentence that refuses them. */
const UNSUPPORTED: Readonly<Record<number, string>> = {
  2: "Kerberos",
  6: "SCM credential",
  7: "GSSAPI",
  9: "SSPI",
};

/**
 * Answers the server's requests up to AuthenticationOk.
 * @throws CodedError authentication_failed when the credentials cannot answer, or the server cannot
 * prove who it is; protocol_violation, backend_lost.
 */
export async function authenticate(link: LoginLink): Promise<AuthenticationOutcome> {
  const request = await nextRequest(link);
  if (request.kind === "refused") return request;
  if (request.code !== REQUEST.sasl) refuseUnbound(link);
  let refused: Refused | undefined;
  switch (request.code) {
    case REQUEST.ok:
      return { kind: "authenticated" };
    case REQUEST.cleartext:
      link.socket.write(passwordMessage(passwordFor(link, "a cleartext password")));
      break;
    case REQUEST.md5:
      link.socket.write(passwordMessage(md5Answer(link, request.data)));
      break;
    case REQUEST.sasl:
      refused = await answerSasl(link, request.data);
      break;
    default:
      throw new CodedError("authentication_failed", unsupported(request.code));
  }
  const last = refused ?? (await nextRequest(link));
  if (last.kind === "refused") return last;
  if (last.code === REQUEST.ok) return { kind: "authenticated" };
  throw violation(`the server sent authentication request ${last.code} after the login's end`);
}

function unsupported(code: number): string {
  const name = UNSUPPORTED[code] ?? `method ${code}`;
  return `the server asks for ${name} authentication; Twinwire logs in by SCRAM-SHA-256, md5 or password`;
}

async function nextRequest(link: LoginLink): Promise<Request | Refused> {
  for (;;) {
    const frame = await link.reader.next();
    switch (String.fromCharCode(frame.type)) {
      case "R":
        if (frame.body.length < 4)
          throw violation("the server's authentication request is cut short");
        return { kind: "request", code: frame.body.readInt32BE(0), data: frame.body.subarray(4) };
      case "E":
        return { kind: "refused", frame };
      // NegotiateProtocolVersion: 3.0 is all that was asked for, so there is nothing to give up.
      case "v":
        break;
      default:
        throw violation(`the server sent ${typeName(frame.type)} where authentication was due`);
    }
  }
}

function refuseUnbound({ channelBinding }: LoginLink): void {
  if (channelBinding !== "require") return;
  throw new CodedError(
    "authentication_failed",
    "channel_binding=require, and the server authenticates without channel binding",
  );
}

/** The configured password. `request` is what the server wants it for. */
function passwordFor({ credentials, user }: LoginLink, request: string): string {
  switch (credentials.kind) {
    case "password":
      return credentials.password;
    case "scram_keys":
      throw new CodedError(
        "authentication_failed",
        `the server asks user "${user}" for ${request}, which the client's own SCRAM keys cannot answer; ` +
          "configure a password, or give the user a SCRAM-SHA-256 verifier there",
      );
    case "none":
      throw new CodedError(
        "authentication_failed",
        `the server asks user "${user}" for ${request}, and none is configured`,
      );
  }
}

function md5Answer(link: LoginLink, salt: Buffer): string {
  if (salt.length !== 4) throw violation("the server's md5 salt does not have 4 bytes");
  const inner = md5(Buffer.from(passwordFor(link, "an md5 password") + link.user, "utf8"));
  return `md5${md5(Buffer.concat([Buffer.from(inner, "latin1"), salt]))}`;
}

function md5(bytes: Buffer): string {
  return createHash("md5").update(bytes).digest("hex");
}

/** SCRAM-SHA-256 up to the proof of the server. @see https://www.rfc-editor.org/rfc/rfc5802 */
async function answerSasl(link: LoginLink, offer: Buffer): Promise<Refused | undefined> {
  const { mechanism, binding } = chooseMechanism(link, offer.toString("latin1").split("\0"));
  const start = startScram(Buffer.from(link.random(18)).toString("base64"), binding);
  link.socket.write(saslInitialResponse(mechanism, start.message));

  const first = await nextRequest(link);
  if (first.kind === "refused") return first;
  expectCode(first, REQUEST.saslContinue);
  const challenge = readServerFirst(start, first.data.toString("latin1"));
  if (challenge.kind === "invalid") throw violation(challenge.reason);
  const answer = answerScram(challenge, await keysFor(link, challenge));
  link.socket.write(saslResponse(answer.message));

  const final = await nextRequest(link);
  if (final.kind === "refused") return final;
  // AuthenticationOk here would let in an impostor who knows nothing of the user.
  expectCode(final, REQUEST.saslFinal);
  const proof = checkServerFinal(answer.serverSignature, final.data.toString("latin1"));
  if (proof.kind === "invalid") throw new CodedError("authentication_failed", proof.reason);
  return undefined;
}

function expectCode(request: Request, code: number): void {
  if (request.code === code) return;
  throw violation(`the server sent authentication request ${request.code} where ${code} was due`);
}

/** libpq's choice: PLUS where both can; a server that hides PLUS finds the client saying so. */
function chooseMechanism(
  link: LoginLink,
  offered: readonly string[],
): { readonly mechanism: string; readonly binding: ScramBinding } {
  const { tls, channelBinding } = link;
  const offersPlus = offered.includes(SCRAM_SHA_256_PLUS);
  if (offersPlus && tls === undefined) {
    throw violation("the server offers SCRAM-SHA-256-PLUS without TLS");
  }
  const certificate = channelBinding === "disable" ? undefined : tls?.getPeerX509Certificate()?.raw;
  const certificateHash = certificate && serverEndPointHash(certificate);
  if (offersPlus && certificateHash !== undefined) {
    const binding: ScramBinding = { kind: "tls-server-end-point", certificateHash };
    return { mechanism: SCRAM_SHA_256_PLUS, binding };
  }
  refuseUnbound(link);
  if (!offered.includes(SCRAM_SHA_256)) {
    throw new CodedError(
      "authentication_failed",
      "the server offers no SASL mechanism that can be used here (SCRAM-SHA-256)",
    );
  }
  const kind = certificateHash === undefined ? "none" : "not_offered";
  return { mechanism: SCRAM_SHA_256, binding: { kind } };
}

async function keysFor(link: LoginLink, challenge: ScramChallenge): Promise<ScramKeys> {
  if (link.credentials.kind === "scram_keys") return link.credentials;
  const password = passwordFor(link, "a SCRAM-SHA-256 password");
  const { salt, iterations } = challenge;
  return link.scramCache === undefined
    ? deriveScramKeys(password, salt, iterations)
    : link.scramCache.keysOf(password, salt, iterations);
}
