import { createHmac } from "node:crypto";
import { deriveScramKeys, scramVerifierOf } from "../../wire/postgres/scram.ts";
import type { ScramVerifier } from "../../wire/postgres/scram.ts";

/** As in PostgreSQL: iterations and salt of a verifier that is made from a password. */
const ITERATIONS = 4096;
const SALT_BYTES = 16;

/**
 * What a login needs of a user for whom there is no verifier. `secret` makes salts that look random,
 * stay the same for a name and cannot be told from those of users that exist; it should survive a
 * restart, as the salts of real verifiers do.
 */
export type LoginKeys = {
  /** The verifier of a password that is known. The derivation is done once for a user. */
  verifierOf(user: string, password: string): Promise<ScramVerifier>;
  /** One that no proof fits, for users that do not exist. */
  mockVerifier(user: string): ScramVerifier;
};

/** Call `verifierOf` for the users of the configuration ahead, and no login shows by its time who exists. */
export function openLoginKeys(secret: Uint8Array): LoginKeys {
  const known = new Map<string, { password: string; verifier: Promise<ScramVerifier> }>();
  const saltOf = (user: string): Buffer =>
    createHmac("sha256", secret).update(user).digest().subarray(0, SALT_BYTES);
  const derive = async (user: string, password: string): Promise<ScramVerifier> => {
    const salt = saltOf(user);
    return scramVerifierOf(await deriveScramKeys(password, salt, ITERATIONS), salt, ITERATIONS);
  };
  return {
    verifierOf: (user, password) => {
      const found = known.get(user);
      if (found?.password === password) return found.verifier;
      const verifier = derive(user, password);
      known.set(user, { password, verifier });
      return verifier;
    },
    mockVerifier: (user) => ({
      iterations: ITERATIONS,
      salt: saltOf(user),
      storedKey: Buffer.alloc(32),
      serverKey: Buffer.alloc(32),
    }),
  };
}
