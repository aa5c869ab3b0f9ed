import { createHash, createHmac, pbkdf2 } from "node:crypto";
import { saslPrep } from "./scram-saslprep.ts";

export const SCRAM_SHA_256 = "SCRAM-SHA-256";
/** The same with channel binding; offered over TLS only. */
export const SCRAM_SHA_256_PLUS = "SCRAM-SHA-256-PLUS";

const KEY_BYTES = 32;

/** What a password comes to for one salt and iteration count: enough to log in, and to recognise the server. 32 bytes each. */
export type ScramKeys = { readonly clientKey: Uint8Array; readonly serverKey: Uint8Array };

/** What a server stores of a password. It checks a proof, but does not produce one. */
export type ScramVerifier = {
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
};

/**
 * Derives the keys from a password, a string or the bytes a client sent. Slow on purpose and run off
 * the event loop: keep the result by salt and iterations. `iterations` from 1 to 2^31 - 1.
 */
export function deriveScramKeys(
  password: string | Uint8Array,
  salt: Uint8Array,
  iterations: number,
): Promise<ScramKeys> {
  return new Promise((resolve, reject) => {
    pbkdf2(saslPrep(password), salt, iterations, KEY_BYTES, "sha256", (error, saltedPassword) => {
      if (error) reject(error);
      else {
        resolve({
          clientKey: hmac(saltedPassword, "Client Key"),
          serverKey: hmac(saltedPassword, "Server Key"),
        });
      }
    });
  });
}

export function scramVerifierOf(
  keys: ScramKeys,
  salt: Uint8Array,
  iterations: number,
): ScramVerifier {
  return { iterations, salt, storedKey: sha256(keys.clientKey), serverKey: keys.serverKey };
}

/**
 * Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` as in `pg_authid.rolpassword`;
 * undefined if it is anything else, an md5 hash for one.
 * @see https://www.postgresql.org/docs/18/catalog-pg-authid.html
 */
export function parseScramVerifier(text: string): ScramVerifier | undefined {
  const found = /^SCRAM-SHA-256\$([1-9]\d{0,9}):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(text);
  const iterations = Number(found?.[1]);
  const salt = decodeBase64(found?.[2] ?? "");
  const storedKey = decodeBase64(found?.[3] ?? "");
  const serverKey = decodeBase64(found?.[4] ?? "");
  if (!salt || storedKey?.length !== KEY_BYTES || serverKey?.length !== KEY_BYTES) return undefined;
  return iterations < 2 ** 31 ? { iterations, salt, storedKey, serverKey } : undefined;
}

/** The text that {@link parseScramVerifier} reads and `CREATE ROLE … PASSWORD` takes. */
export function formatScramVerifier(verifier: ScramVerifier): string {
  const { iterations, salt, storedKey, serverKey } = verifier;
  return `SCRAM-SHA-256$${iterations}:${base64(salt)}$${base64(storedKey)}:${base64(serverKey)}`;
}

/** HMAC-SHA-256. A string's characters are bytes, as in all SCRAM messages here. */
export function hmac(key: Uint8Array, message: string): Buffer {
  return createHmac("sha256", key).update(message, "latin1").digest();
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

/** @returns undefined unless `text` is padded base64 and nothing else. */
export function decodeBase64(text: string): Buffer | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text))
    return undefined;
  return text === "" ? undefined : Buffer.from(text, "base64");
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

export function xor(a: Uint8Array, b: Uint8Array): Buffer {
  return Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)));
}
