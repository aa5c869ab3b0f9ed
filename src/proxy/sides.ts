import type { SessionStartup } from "../mirror/migration-mirror.ts";
import type { Side } from "../routing/side.ts";
import type { Credentials, DialDeps, DialOutcome, Dialled } from "../upstream/dial.ts";
import { dial } from "../upstream/dial.ts";
import { sendCancel } from "../upstream/cancel.ts";
import type { ServerAddress } from "../upstream/server-address.ts";

/** Where a side is, and how a client's user logs in there. */
export type SideTarget = ServerAddress & {
  readonly database: string;
  /** The user named in the connection string and its password, if there is one. */
  readonly user: string;
  readonly password: string | undefined;
};

export type SidesDeps = DialDeps & {
  readonly target: (side: Side) => SideTarget;
  /** A password configured for a user. */
  readonly passwordOf: (user: string) => string | undefined;
  readonly dialTimeoutMs: number;
};

/** Opens and cancels sessions of clients on either side. */
export type Sides = {
  dial(side: Side, startup: SessionStartup, own: Credentials): Promise<DialOutcome>;
  /** Resolves once the server has taken it, or cannot be reached for it. */
  cancel(side: Side, server: Dialled): Promise<void>;
};

const CANCEL_TIMEOUT_MS = 5_000;

export function openSides(deps: SidesDeps): Sides {
  return {
    dial: (side, startup, own) => {
      const target = deps.target(side);
      return dial(
        {
          address: target,
          parameters: parametersFor(target, startup),
          credentials: credentialsFor(target, startup.user, own, deps.passwordOf(startup.user)),
          timeoutMs: deps.dialTimeoutMs,
        },
        deps,
      );
    },
    cancel: async (side, server) => {
      // The server does not say what came of it, so a failure is nobody's news either.
      await sendCancel({
        address: deps.target(side),
        processId: server.processId,
        secretKey: server.secretKey,
        encrypted: server.encrypted,
        timeoutMs: CANCEL_TIMEOUT_MS,
      });
    },
  };
}

/**
 * A side's own connection string comes first, since passwords may differ between the sides; then
 * what is configured of the user, then what the client itself proved.
 */
function credentialsFor(
  target: SideTarget,
  user: string,
  own: Credentials,
  configured: string | undefined,
): Credentials {
  if (user === target.user && target.password !== undefined) {
    return { kind: "password", password: target.password };
  }
  return configured === undefined ? own : { kind: "password", password: configured };
}

/** A read-only session's default and its limits are set at startup, so that RESET ALL returns to them. */
function parametersFor(target: SideTarget, startup: SessionStartup): [string, string][] {
  const parameters: [string, string][] = [
    ["user", startup.user],
    ["database", target.database],
  ];
  const limited = new Set(startup.limits.map(([name]) => name));
  for (const [name, value] of startup.parameters) {
    if (limited.has(name)) continue;
    if (name === "user" || name === "database") continue;
    if (startup.readOnly && name === "default_transaction_read_only") continue;
    parameters.push([name, value]);
  }
  if (startup.readOnly) parameters.push(["default_transaction_read_only", "on"]);
  for (const [name, value] of startup.limits) parameters.push([name, value]);
  return parameters;
}
