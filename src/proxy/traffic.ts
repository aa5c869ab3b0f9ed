import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { PinReason } from "../routing/session-state.ts";
import { pinnedBy } from "../routing/session-state.ts";
import type { Side } from "../routing/side.ts";
import type { Holder, MoveOutcome, PauseOutcome, TrafficPort } from "../routing/traffic-port.ts";
import type { Dialled, DialOutcome } from "../upstream/dial.ts";
import type { Gate } from "./gate.ts";
import { bringInStep } from "./in-step.ts";
import type { Relay } from "./relay.ts";
import { changedParameters } from "./server-parameters.ts";
import type { Session } from "./session.ts";

export type TrafficDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  readonly gate: Gate;
  /** Every session that has logged in. */
  readonly sessions: ReadonlySet<Session>;
  /** Replication connections, which never move. */
  readonly relays: ReadonlySet<Relay>;
  readonly dial: (session: Session, side: Side) => Promise<DialOutcome>;
  readonly setPrimary: (side: Side) => void;
  /** Asks the side something. @throws when it does not answer */
  readonly probe: (side: Side) => Promise<void>;
  /** Writes that dual writing still owes the shadow, and what rehearsals have yet to set back there. */
  readonly owedWrites: () => number;
};

/** So many sessions are dialled or brought in step at the same time. */
const PARALLEL_MOVES = 32;
const IN_STEP_TIMEOUT_MS = 5_000;
const POLL_MS = 5;

/** Stops, moves and releases all sessions of a migration: the proxy's part of a switch. */
export function openTraffic(deps: TrafficDeps): TrafficPort {
  const standbys = new Map<Session, Dialled>();
  const discardStandbys = (): void => {
    for (const server of standbys.values()) server.socket.destroy();
    standbys.clear();
  };
  return {
    prepare: (to, signal) => {
      // An attempt that is given up before its pause comes to no resume.
      signal.addEventListener("abort", discardStandbys, { once: true });
      return prepareStandbys(deps, standbys, to, signal);
    },
    pause: (deadlineMs) => pause(deps, deadlineMs),
    move: async (to) => {
      const outcome = await moveAll(deps, standbys, to);
      discardStandbys();
      return outcome;
    },
    resume: () => {
      discardStandbys();
      deps.gate.open();
      for (const session of deps.sessions) session.pump();
    },
  };
}

async function prepareStandbys(
  deps: TrafficDeps,
  standbys: Map<Session, Dialled>,
  to: Side,
  signal: AbortSignal,
): Promise<{ readonly ready: number; readonly failed: number }> {
  let failed = 0;
  // Without any session to dial for, nothing else would tell that the side is down.
  await deps.probe(to);
  await inParallel([...deps.sessions], async (session) => {
    if (signal.aborted || standbys.has(session) || pinOf(session) !== undefined) return;
    const outcome = await deps.dial(session, to);
    if (outcome.kind !== "ready") failed++;
    else if (signal.aborted || !deps.sessions.has(session)) outcome.server.socket.destroy();
    else standbys.set(session, outcome.server);
  });
  return { ready: standbys.size, failed };
}

/** Resolves when every session is quiet and nothing is owed to the shadow, or at the deadline. */
async function pause(deps: TrafficDeps, deadlineMs: number): Promise<PauseOutcome> {
  const { clock, gate, sessions } = deps;
  let wake: () => void = () => {};
  gate.close(() => wake());
  const quiet = (): boolean => {
    for (const session of sessions) if (!session.quiet) return false;
    return deps.owedWrites() === 0;
  };
  while (!quiet()) {
    const leftMs = deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) return { kind: "held", holders: holdersOf(deps) };
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(leftMs, POLL_MS));
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  return { kind: "quiet" };
}

function holdersOf(deps: TrafficDeps): readonly Holder[] {
  const nowMs = deps.clock.monotonicMs();
  const holders: Holder[] = [];
  for (const session of deps.sessions) {
    if (session.quiet) continue;
    const { activity, origin } = session;
    holders.push({
      session: origin.id,
      user: origin.user,
      applicationName: origin.applicationName,
      client: origin.client,
      reason: activity.running ? "running_statement" : "open_transaction",
      forMs: nowMs - activity.sinceMs,
      statement: activity.statement,
    });
  }
  const owed = deps.owedWrites();
  if (owed > 0 && holders.length === 0) holders.push(owedHolder(owed));
  return holders;
}

function owedHolder(owed: number): Holder {
  return {
    session: 0,
    user: "",
    applicationName: "twinwire",
    client: "",
    reason: "shadow_queue",
    forMs: 0,
    statement: `${owed} transactions are not yet repeated or undone on the shadow`,
  };
}

async function moveAll(
  deps: TrafficDeps,
  standbys: Map<Session, Dialled>,
  to: Side,
): Promise<MoveOutcome> {
  deps.setPrimary(to);
  const ended: Record<string, number> = {};
  let moved = 0;
  for (const relay of deps.relays) {
    relay.end(cannotMove("replication"));
    ended["replication"] = (ended["replication"] ?? 0) + 1;
  }
  await inParallel([...deps.sessions], async (session) => {
    const standby = standbys.get(session);
    standbys.delete(session);
    const pin = await moveOne(deps, session, standby, to);
    if (pin === undefined) moved++;
    else {
      session.end(cannotMove(pin));
      ended[pin] = (ended[pin] ?? 0) + 1;
    }
  });
  return { moved, ended };
}

/** @returns why the session could not be moved */
async function moveOne(
  deps: TrafficDeps,
  session: Session,
  standby: Dialled | undefined,
  to: Side,
): Promise<PinReason | undefined> {
  const pin = pinOf(session);
  if (pin !== undefined) {
    standby?.socket.destroy();
    return pin;
  }
  const server = await freshServer(deps, session, standby, to);
  if (server === undefined) return "not_accepted";
  const step = await bringInStep(
    server,
    session.log.state.current,
    session.prepared.confirmed(),
    IN_STEP_TIMEOUT_MS,
  );
  if (step.kind === "refused") {
    deps.log.warn(
      { session: session.origin.id, sqlstate: step.sqlstate },
      "a session's settings or prepared statements were refused by the side it moves to",
    );
    return "not_accepted";
  }
  session.moveTo(step.server, changedParameters(session.parameters, step.server.parameters));
  return undefined;
}

async function freshServer(
  deps: TrafficDeps,
  session: Session,
  standby: Dialled | undefined,
  to: Side,
): Promise<Dialled | undefined> {
  if (standby !== undefined && !standby.socket.destroyed) return standby;
  const outcome = await deps.dial(session, to);
  return outcome.kind === "ready" ? outcome.server : undefined;
}

function pinOf(session: Session): PinReason | undefined {
  return session.log.confused ? "unclear_state" : pinnedBy(session.log.state);
}

const PIN_WORDS: Record<PinReason, string> = {
  temporary_table: "it has temporary tables",
  advisory_lock: "it holds advisory locks",
  held_cursor: "it has a cursor WITH HOLD",
  listen: "it listens for notifications",
  replication: "it is a replication connection",
  unclear_state: "its state is not certain",
  not_accepted: "its settings or statements were refused there",
};

function cannotMove(pin: PinReason) {
  return {
    severity: "FATAL",
    sqlstate: "57P01",
    message: "terminating connection because its session cannot move to the other database",
    detail: `The traffic is being switched, and this session stays behind: ${PIN_WORDS[pin]}.`,
    hint: "Connect again.",
  } as const;
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async (): Promise<void> => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL_MOVES }, worker));
}
