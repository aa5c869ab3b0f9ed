import type { RecordedExchange } from "../../divergence/recorded-exchange.ts";
import type { RecheckDeps } from "./recheck-deps.ts";
import type { RecheckSession } from "./recheck-session.ts";

/** The connections of one recheck: two to the primary, one to the shadow. */
export type Sessions = {
  readonly primary: RecheckSession;
  readonly second: RecheckSession;
  readonly shadow: RecheckSession;
};

/** Opens one after the other, so that those that are open are closed when another cannot be had. @throws CodedError */
export async function openSessions(
  openSession: RecheckDeps["openSession"],
  exchange: RecordedExchange,
): Promise<Sessions> {
  const open: RecheckSession[] = [];
  const next = async (role: "primary" | "shadow"): Promise<RecheckSession> => {
    const session = await openSession(role, exchange);
    open.push(session);
    return session;
  };
  try {
    const primary = await next("primary");
    const second = await next("primary");
    return { primary, second, shadow: await next("shadow") };
  } catch (error) {
    for (const session of open) session.close();
    throw error;
  }
}

export function closeSessions(sessions: Sessions): void {
  for (const session of Object.values(sessions)) session.close();
}
