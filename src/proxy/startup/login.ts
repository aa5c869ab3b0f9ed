import { isUtf8 } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import type { Logger } from "../../base/logger.ts";
import type { Credentials } from "../../upstream/dial.ts";
import {
  authenticationCleartext,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
  MAX_PASSWORD_BYTES,
  MAX_SASL_BYTES,
  PASSWORD_TYPE,
  readPassword,
  readSaslInitial,
} from "../../wire/postgres/auth-messages.ts";
import {
  challengeClient,
  checkClientProof,
  readClientFinal,
  readClientFirst,
} from "../../wire/postgres/scram-server.ts";
import type { ScramFault } from "../../wire/postgres/scram-attributes.ts";
import {
  parseScramVerifier,
  SCRAM_SHA_256,
  SCRAM_SHA_256_PLUS,
} from "../../wire/postgres/scram.ts";
import type { ScramVerifier } from "../../wire/postgres/scram.ts";
import type { LoginKeys } from "./login-keys.ts";
import { refusal } from "./startup-failure.ts";
import type { StartupFailure } from "./startup-failure.ts";
import type { StartupLink } from "./startup-link.ts";

/** What Twinwire knows of a user that wants to log in. */
export type KnownUser =
  | { readonly kind: "password"; readonly password: string }
  /** As in `pg_authid.rolpassword`: a SCRAM verifier, or an md5 hash, which needs TLS. */
  | { readonly kind: "verifier"; readonly verifier: string }
  /** Nothing, but the primary will: the password is asked for over TLS and handed on unchecked. */
  | { readonly kind: "cleartext" }
  | { readonly kind: "trust" }
  | { readonly kind: "unknown" };

export type LoginDeps = {
  readonly link: StartupLink;
  readonly user: string;
  readonly known: KnownUser;
  readonly keys: LoginKeys;
  /** Of Twinwire's certificate, where the client came over TLS and it can be bound to. */
  readonly certificateHash: Uint8Array | undefined;
  /** Fresh randomness: 18 bytes. */
  readonly nonce: () => Uint8Array;
  readonly log: Logger;
};

/**
 * Has the client prove who it is, up to and without AuthenticationOk.
 * @throws StartupFailure with PostgreSQL's own error where it cannot.
 */
export async function logIn(deps: LoginDeps): Promise<Credentials> {
  const { user, known, keys, link, log } = deps;
  switch (known.kind) {
    case "trust":
      return { kind: "none" };
    case "unknown":
      await scram(deps, keys.mockVerifier(user));
      throw wrongPassword(user);
    case "password": {
      const proven = await scram(deps, await keys.verifierOf(user, known.password));
      if (!proven) throw wrongPassword(user);
      return { kind: "password", password: known.password };
    }
    case "cleartext":
      if (!link.encrypted)
        throw refusal("unsupported", "28000", "password authentication needs TLS");
      return passwordCredentials(await askPassword(deps), user);
    case "verifier": {
      const verifier = parseScramVerifier(known.verifier);
      if (verifier) return scramLogin(deps, verifier);
      if (link.encrypted && isMd5(known.verifier)) return md5Login(deps, known.verifier);
      log.warn(
        { user },
        "the stored password is no SCRAM verifier, so this user needs TLS to log in",
      );
      await scram(deps, keys.mockVerifier(user));
      throw wrongPassword(user);
    }
  }
}

async function scramLogin(deps: LoginDeps, verifier: ScramVerifier): Promise<Credentials> {
  const clientKey = await scram(deps, verifier);
  if (!clientKey) throw wrongPassword(deps.user);
  return { kind: "scram_keys", clientKey, serverKey: verifier.serverKey };
}

/** The SCRAM exchange. @returns the client's key, or undefined where its proof is wrong. */
async function scram(deps: LoginDeps, verifier: ScramVerifier): Promise<Uint8Array | undefined> {
  const { link, certificateHash } = deps;
  const plus = certificateHash ? [SCRAM_SHA_256_PLUS] : [];
  const mechanisms = [...plus, SCRAM_SHA_256];
  link.write(authenticationSasl(mechanisms));
  const initial = readSaslInitial(await takeAnswer(deps, "SASL", MAX_SASL_BYTES));
  if (initial.kind === "fault") throw refusal("malformed", "08P01", initial.message);
  const { mechanism } = initial;
  if (!mechanisms.includes(mechanism)) {
    throw refusal("malformed", "08P01", "client selected an invalid SASL authentication mechanism");
  }
  const data = initial.data ?? (await delayedData(deps));
  const first = readClientFirst(data, { mechanism, certificateHash });
  if (first.kind === "fault") throw brokenScram(first);
  const nonce = Buffer.from(deps.nonce()).toString("base64");
  const sent = challengeClient(first, nonce, verifier);
  link.write(authenticationSaslContinue(sent.message));
  const answer = await takeAnswer(deps, "SASL", MAX_SASL_BYTES);
  const final = readClientFinal(answer.toString("latin1"), sent);
  if (final.kind === "fault") throw brokenScram(final);
  const proof = checkClientProof(final, verifier);
  if (proof.kind === "wrong") return undefined;
  link.write(authenticationSaslFinal(proof.serverFinal));
  return proof.clientKey;
}

/** A client may name the mechanism first and send its first data when asked. */
async function delayedData(deps: LoginDeps): Promise<string> {
  deps.link.write(authenticationSaslContinue(""));
  return (await takeAnswer(deps, "SASL", MAX_SASL_BYTES)).toString("latin1");
}

async function md5Login(deps: LoginDeps, stored: string): Promise<Credentials> {
  const password = await askPassword(deps);
  const hash = createHash("md5").update(password).update(deps.user).digest();
  if (!timingSafeEqual(hash, Buffer.from(stored.slice(3), "hex"))) throw wrongPassword(deps.user);
  return passwordCredentials(password, deps.user);
}

async function askPassword(deps: LoginDeps): Promise<Buffer> {
  deps.link.write(authenticationCleartext());
  const answer = readPassword(await takeAnswer(deps, "password", MAX_PASSWORD_BYTES));
  if (answer.kind === "fault") throw refusal("malformed", "08P01", answer.message);
  if (answer.password.length === 0) {
    throw refusal("authentication_failed", "28P01", "empty password returned by client");
  }
  return answer.password;
}

/** The body of the client's next message, which must be an answer to ours. */
async function takeAnswer(
  { link, user }: LoginDeps,
  expected: "SASL" | "password",
  maxBytes: number,
): Promise<Buffer> {
  const type = (await link.take(1)).readUInt8(0);
  if (type !== PASSWORD_TYPE) {
    const message = `expected ${expected} response, got message type ${type}`;
    throw refusal("malformed", "08P01", message);
  }
  const size = (await link.take(4)).readInt32BE(0) - 4;
  if (size < 0 || size > maxBytes) throw wrongPassword(user);
  return link.take(size);
}

function isMd5(stored: string): boolean {
  return /^md5[0-9a-f]{32}$/.test(stored);
}

function passwordCredentials(password: Buffer, user: string): Credentials {
  // Passwords are text on the way to a server: one that is none cannot be handed on.
  if (!isUtf8(password)) throw wrongPassword(user);
  return { kind: "password", password: password.toString("utf8") };
}

function wrongPassword(user: string): StartupFailure {
  const message = `password authentication failed for user "${user}"`;
  const origin = { file: "auth.c", routine: "auth_failed" };
  return refusal("authentication_failed", "28P01", message, origin);
}

function brokenScram(fault: ScramFault): StartupFailure {
  return refusal("malformed", fault.sqlstate, fault.message, { detail: fault.detail });
}
