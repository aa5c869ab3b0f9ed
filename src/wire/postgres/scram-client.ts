import { timingSafeEqual } from "node:crypto";
import { base64, decodeBase64, hmac, sha256, xor } from "./scram.ts";
import type { ScramKeys } from "./scram.ts";

/** What the client says about TLS channel binding. `not_offered`: it could, the server offered no PLUS. */
export type ScramBinding =
  | { readonly kind: "none" }
  | { readonly kind: "not_offered" }
  | { readonly kind: "tls-server-end-point"; readonly certificateHash: Uint8Array };

/** The client's part up to its first message. Messages hold one byte in each character (latin1). */
export type ScramStart = {
  /** client-first-message, the data of SASLInitialResponse. */
  readonly message: string;
  readonly bare: string;
  readonly nonce: string;
  /** The `c=` attribute of the final message. */
  readonly bound: string;
};

/** The server's challenge: derive the keys from `salt` and `iterations`, then {@link answerScram}. */
export type ScramChallenge = {
  readonly kind: "challenge";
  readonly start: ScramStart;
  readonly serverFirst: string;
  readonly nonce: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
};

export type ScramInvalid = { readonly kind: "invalid"; readonly reason: string };

/** A derivation of this many rounds takes seconds; a server that asks for more is not to be served. */
const MAX_ITERATIONS = 10_000_000;

/**
 * Begins a login. `nonce` is fresh printable randomness without commas: 18 random bytes in base64.
 * @see https://www.rfc-editor.org/rfc/rfc5802#section-7
 */
export function startScram(nonce: string, binding: ScramBinding): ScramStart {
  // PostgreSQL takes the user from the startup packet and ignores the name here.
  const bare = `n=,r=${nonce}`;
  const header = gs2Header(binding);
  const data = binding.kind === "tls-server-end-point" ? binding.certificateHash : Buffer.alloc(0);
  const bound = base64(Buffer.concat([Buffer.from(header, "latin1"), data]));
  return { message: header + bare, bare, nonce, bound };
}

function gs2Header(binding: ScramBinding): string {
  switch (binding.kind) {
    case "none":
      return "n,,";
    case "not_offered":
      return "y,,";
    case "tls-server-end-point":
      return "p=tls-server-end-point,,";
  }
}

/** Reads server-first-message, the data of AuthenticationSASLContinue. */
export function readServerFirst(
  start: ScramStart,
  serverFirst: string,
): ScramChallenge | ScramInvalid {
  const found = /^r=([!-+\--~]+),s=([^,]+),i=(\d{1,10})(?:,|$)/.exec(serverFirst);
  const salt = decodeBase64(found?.[2] ?? "");
  if (!found || !salt) return invalid("the server's first SCRAM message is malformed");
  const nonce = found[1] ?? "";
  if (!nonce.startsWith(start.nonce) || nonce.length === start.nonce.length) {
    return invalid("the server's SCRAM nonce does not continue the client's");
  }
  const iterations = Number(found[3]);
  if (iterations < 1 || iterations > MAX_ITERATIONS) {
    return invalid(`the server asks for ${iterations} SCRAM iterations`);
  }
  return { kind: "challenge", start, serverFirst, nonce, salt, iterations };
}

/** client-final-message, and the signature by which the server must prove that it knows the user. */
export function answerScram(
  challenge: ScramChallenge,
  keys: ScramKeys,
): { readonly message: string; readonly serverSignature: Uint8Array } {
  const { start, serverFirst, nonce } = challenge;
  const withoutProof = `c=${start.bound},r=${nonce}`;
  const authMessage = `${start.bare},${serverFirst},${withoutProof}`;
  const proof = xor(keys.clientKey, hmac(sha256(keys.clientKey), authMessage));
  return {
    message: `${withoutProof},p=${base64(proof)}`,
    serverSignature: hmac(keys.serverKey, authMessage),
  };
}

/** Checks server-final-message, the data of AuthenticationSASLFinal: a wrong one is an impostor. */
export function checkServerFinal(
  serverSignature: Uint8Array,
  serverFinal: string,
): { readonly kind: "ok" } | ScramInvalid {
  if (serverFinal.startsWith("e=")) return invalid("the server refused the SCRAM login");
  const signature = decodeBase64(/^v=([^,]+)(?:,|$)/.exec(serverFinal)?.[1] ?? "");
  if (!signature) return invalid("the server's last SCRAM message is malformed");
  if (signature.length !== serverSignature.length || !timingSafeEqual(signature, serverSignature)) {
    return invalid("the server could not prove that it knows the user");
  }
  return { kind: "ok" };
}

function invalid(reason: string): ScramInvalid {
  return { kind: "invalid", reason };
}
