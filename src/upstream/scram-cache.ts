import { createHash } from "node:crypto";
import { deriveScramKeys } from "../wire/postgres/scram.ts";
import type { ScramKeys } from "../wire/postgres/scram.ts";

/** Keys already derived: deriving takes milliseconds of CPU, and a switch logs in hundreds of sessions at once. */
export type ScramCache = {
  /** The keys of a password for one salt; logins at the same moment share one derivation. */
  keysOf(password: string, salt: Uint8Array, iterations: number): Promise<ScramKeys>;
};

/** Keeps the `maxEntries` last used. Entries are as secret as passwords and never leave the process. */
export function openScramCache(maxEntries: number): ScramCache {
  const entries = new Map<string, Promise<ScramKeys>>();
  const keysOf = (password: string, salt: Uint8Array, iterations: number): Promise<ScramKeys> => {
    const hash = createHash("sha256").update(password).digest("base64");
    const name = `${hash}:${Buffer.from(salt).toString("base64")}:${iterations}`;
    const derived = entries.get(name) ?? deriveScramKeys(password, salt, iterations);
    entries.delete(name);
    entries.set(name, derived);
    derived.catch(() => entries.delete(name));
    for (const oldest of entries.keys()) {
      if (entries.size <= maxEntries) break;
      entries.delete(oldest);
    }
    return derived;
  };
  return { keysOf };
}
