import { randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { ListenConfig } from "../../config/config.ts";
import type { MigrationMirror } from "../../mirror/migration-mirror.ts";
import { countSkipped } from "../../mirror/migration-mirror.ts";
import { SessionMirror } from "../../mirror/session-mirror.ts";
import { CancelKeys } from "../../proxy/cancel-keys.ts";
import { Gate } from "../../proxy/gate.ts";
import type { Listener } from "../../proxy/listener.ts";
import { openListener } from "../../proxy/listener.ts";
import type { Relay } from "../../proxy/relay.ts";
import type { Session } from "../../proxy/session.ts";
import type { AuthenticatedClient } from "../../proxy/startup/accept-client.ts";
import { openClientTls } from "../../proxy/startup/client-tls.ts";
import { openTraffic } from "../../proxy/traffic.ts";
import type { Side } from "../../routing/side.ts";
import type { TrafficPort } from "../../routing/traffic-port.ts";
import type { Analyser } from "../../sql/analyser.ts";
import type { Credentials, DialOutcome } from "../../upstream/dial.ts";
import type { MigrationSettings } from "./migration-settings.ts";
import type { TrafficNumbers } from "./traffic-numbers.ts";
import type { Upstreams } from "./upstreams.ts";

/** The clients of a migration, and what holds and moves them. */
export type Clients = {
  readonly sessions: ReadonlySet<Session>;
  readonly relays: ReadonlySet<Relay>;
  readonly traffic: TrafficPort;
  /** From now on no transaction begins. */
  hold(): void;
  listen(config: ListenConfig, database: string): Promise<Listener>;
  /** What a user who is connected has proven, for logins of ours as the user. */
  credentialsOf(user: string): Credentials | undefined;
};

type ClientsDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  readonly analyser: Analyser;
  readonly settings: MigrationSettings;
  readonly upstreams: Upstreams;
  readonly mirror: MigrationMirror;
  readonly numbers: TrafficNumbers;
  readonly primary: () => Side;
  readonly setPrimary: (side: Side) => void;
  readonly nextSession: () => number;
};

export function openClients(deps: ClientsDeps): Clients {
  const { clock, log, upstreams, mirror, primary } = deps;
  const { sides } = upstreams;
  const gate = new Gate();
  const sessions = new Set<Session>();
  const relays = new Set<Relay>();
  const logins = new Map<Session, AuthenticatedClient>();
  const keys = new CancelKeys<Session | Relay>(randomBytes);
  const dial = (session: Session, side: Side): Promise<DialOutcome> => {
    const login = logins.get(session);
    if (login === undefined) throw new Error("a session without its login");
    const { user, parameters, credentials } = login;
    return sides.dial(side, { user, parameters, readOnly: false, limits: [] }, credentials);
  };
  const traffic = openTraffic({
    clock,
    log,
    gate,
    sessions,
    relays,
    dial,
    setPrimary: deps.setPrimary,
    probe: (side) => upstreams.catalogues.refresh(side),
    owedWrites: () => mirror.order.size + mirror.rehearsals.sequences.busy,
  });
  return {
    sessions,
    relays,
    traffic,
    hold: () => gate.close(() => {}),
    credentialsOf: (user) => loginOf(user, logins.values())?.credentials,
    listen: (config, database) =>
      openListener(config.host, config.port, {
        accept: acceptDeps(deps, config),
        log,
        gate,
        sides,
        primary,
        database,
        maxConnections: () => deps.settings.config().listen.maxConnections,
        nextSession: deps.nextSession,
        keys,
        sessions,
        relays,
        sessionDeps: (client) => sessionDeps(deps, gate, client),
        counted: (outcome) => {
          deps.numbers.connected(outcome);
          if (outcome !== "replication") return;
          // Nothing in it is told apart, so the connection counts as one exchange.
          mirror.counters.seen++;
          countSkipped(mirror, [], "replication");
        },
        began: (session, client) => logins.set(session, client),
        ended: (session) => logins.delete(session),
        cancel: async (target) => {
          if ("mirror" in target) target.cancelled();
          await sides.cancel(primary(), target.server);
        },
      }),
  };
}

function loginOf(
  user: string,
  logins: Iterable<AuthenticatedClient>,
): AuthenticatedClient | undefined {
  for (const login of logins) if (login.user === user) return login;
  return undefined;
}

function acceptDeps({ upstreams, log }: ClientsDeps, config: ListenConfig) {
  return {
    tls: config.tls === undefined ? undefined : openClientTls(config.tls),
    userOf: (user: string) => upstreams.users.userOf(user),
    keys: upstreams.loginKeys,
    loginTimeoutMs: config.loginTimeoutMs,
    randomBytes,
    log,
  };
}

function sessionDeps(deps: ClientsDeps, gate: Gate, client: AuthenticatedClient) {
  const { clock, analyser, settings, mirror, numbers } = deps;
  const { user, parameters, credentials } = client;
  return {
    clock,
    gate,
    analyse: (sql: Uint8Array, start: number, end: number) => analyser.analyse(sql, start, end),
    understandFirst: () => settings.shadow().enabled && settings.shadow().writes === "apply",
    keepBytes: () => (settings.shadow().enabled ? settings.shadow().queue.bytes : 0),
    openMirror: (
      session: Pick<ConstructorParameters<typeof SessionMirror>[1], "prepared" | "state">,
    ) => new SessionMirror(mirror, { user, parameters, credentials, ...session }),
    traffic: numbers.counters,
  };
}
