import { messageOf } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { AuthConfig } from "../../config/config.ts";
import type { KnownUser } from "../../proxy/startup/login.ts";

/** Who may log in, and how it is proven. */
export type Users = {
  userOf(name: string): Promise<KnownUser>;
  passwordOf(name: string): string | undefined;
};

type UsersDeps = {
  readonly auth: () => AuthConfig;
  /** Reads the verifiers of OLD's roles. */
  readonly readVerifiers: () => Promise<ReadonlyMap<string, string>>;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Verifiers read from OLD are used for so long, so that a changed password is not kept out. */
const FRESH_MS = 5_000;

export function openUsers(deps: UsersDeps): Users {
  let verifiers: ReadonlyMap<string, string> = new Map();
  let readAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  const refresh = async (): Promise<void> => {
    try {
      verifiers = await deps.readVerifiers();
      readAtMs = deps.clock.monotonicMs();
    } catch (error) {
      // Who could log in before still can; the reason is the operator's to see.
      deps.log.warn({ error: messageOf(error) }, "the roles' verifiers could not be read from OLD");
    } finally {
      reading = undefined;
    }
  };
  return {
    passwordOf: (name) => deps.auth().users.find((user) => user.name === name)?.password,
    async userOf(name) {
      const { method, users } = deps.auth();
      const configured = users.find((user) => user.name === name);
      if (configured?.password !== undefined) {
        return { kind: "password", password: configured.password };
      }
      if (configured?.verifier !== undefined) {
        return { kind: "verifier", verifier: configured.verifier };
      }
      if (method === "trust") return { kind: "trust" };
      if (method === "users") return { kind: "unknown" };
      if (deps.clock.monotonicMs() - readAtMs > FRESH_MS) await (reading ??= refresh());
      const verifier = verifiers.get(name);
      return verifier === undefined ? { kind: "unknown" } : { kind: "verifier", verifier };
    },
  };
}
