import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { MigrationRoute } from "../routing/phase.ts";
import type { Side } from "../routing/side.ts";
import type { Attempt, Verb } from "./attempt.ts";
import { runAttempt } from "./attempt-run.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import { routeOf, type Step, transition } from "./machine.ts";
import { type Guard, type ReadinessFacts, refusing } from "./readiness.ts";
import type { Sleep } from "./settle-within.ts";
import type { CutoverEvent, CutoverStore } from "./store-port.ts";
import type { TrafficPort } from "../routing/traffic-port.ts";

/** Ports and settings of one migration's conductor. */
export type ConductorDeps = {
  readonly migration: string;
  readonly store: CutoverStore;
  readonly traffic: TrafficPort;
  readonly clock: Clock;
  readonly sleep: Sleep;
  readonly log: Logger;
  readonly newId: () => string;
  /** Asked when a verb arrives, and then only. */
  readonly facts: () => ReadinessFacts;
  /** Asked at the start of each attempt, so that it can change while Twinwire runs. */
  readonly maxPauseMs: () => number;
  /** Time for opening the standby connections. */
  readonly prepareMs?: number;
  /** Called with every event, after it was handed to the store. */
  readonly onEvent?: (event: CutoverEvent) => void;
};

export type VerbOutcome =
  | { readonly kind: "accepted"; readonly attempt: Attempt }
  | { readonly kind: "refused"; readonly guards: readonly Guard[] }
  | { readonly kind: "conflict"; readonly message: string };

/** Switches one migration's traffic between its sides, one attempt at a time. */
export type Conductor = {
  route(): MigrationRoute;
  /** Returns once the attempt has begun; it is followed with `attempt`. @throws `store_failed`. */
  switchTo(
    to: Side,
    verb: Extract<Verb, "route" | "cutover" | "rollback">,
    options?: { readonly force?: boolean },
  ): Promise<VerbOutcome>;
  /** Returns once the attempt has ended; `conflict` when it could not be stopped any more. */
  abort(): Promise<VerbOutcome>;
  /** The newest first. */
  attempts(): readonly Attempt[];
  attempt(id: string): Attempt | undefined;
  /** Resolves when no attempt is running. */
  settled(): Promise<void>;
  /** Gives up an attempt that has not decided and waits for one that has. No verb is taken afterwards. */
  close(): Promise<void>;
};

/**
 * The route to start with: reads the record, makes it where there is none, and settles what a
 * process that is gone left behind. Nothing else need run yet.
 *
 * @throws `store_failed`, or `conflict` when another process changes it at the same time.
 */
export async function recoverRoute(
  deps: Pick<ConductorDeps, "migration" | "store" | "clock">,
): Promise<MigrationRoute> {
  return routeOf((await openLedger(deps)).toggle());
}

/** Opens the conductor of one migration; the route is recovered first. @throws as `recoverRoute`. */
export async function openConductor(deps: ConductorDeps): Promise<Conductor> {
  const ledger = await openLedger(deps);
  const idle = Promise.resolve();
  const state: Running = {
    busy: false,
    closed: false,
    abort: undefined,
    starting: idle,
    done: idle,
  };
  return {
    route: () => routeOf(ledger.toggle()),
    async switchTo(to, verb, options) {
      const wasBusy = state.busy;
      const starting = begin(deps, ledger, state, { to, verb, ...options });
      if (!wasBusy) state.starting = starting;
      return starting;
    },
    abort: () => abortRunning(ledger, state),
    attempts: () => ledger.attempts(),
    attempt: (id) => ledger.attempts().find((attempt) => attempt.id === id),
    settled: () => state.done,
    async close(): Promise<void> {
      state.closed = true;
      // A verb that is just being stored begins with its abort.
      await Promise.allSettled([state.starting]);
      state.abort?.abort();
      await state.done;
    },
  };
}

type Running = {
  /** From before the first await of a verb, so that two verbs cannot begin together. */
  busy: boolean;
  closed: boolean;
  abort: AbortController | undefined;
  /** The last verb that was taken. */
  starting: Promise<unknown>;
  done: Promise<void>;
};

type Request = {
  readonly to: Side;
  readonly verb: "route" | "cutover" | "rollback";
  readonly force?: boolean;
};

const PREPARE_MS = 30_000;
/** Longer than any attempt takes; only a shared store ever sees a lease run out. */
const LEASE_MS = 10 * 60_000;

async function begin(
  deps: ConductorDeps,
  ledger: Ledger,
  state: Running,
  request: Request,
): Promise<VerbOutcome> {
  if (state.closed) return { kind: "conflict", message: "Twinwire is shutting down." };
  if (state.busy) return conflict("another attempt is under way; follow it, or abort it");
  const id = deps.newId();
  const step = transition(ledger.toggle(), { type: "begin", to: request.to, attempt: id });
  if (step.kind === "refused") return conflict(step.why);
  if (step.kind === "ignored") return conflict("not possible now");
  const guards = refusing(request.verb, deps.facts());
  if (guards.length > 0 && request.force !== true) return { kind: "refused", guards };
  state.busy = true;
  let running = false;
  const lease = await deps.store
    .acquireLease({ name: `cutover/${deps.migration}`, holder: id, forMs: LEASE_MS })
    .catch((error: unknown) => {
      state.busy = false;
      throw error;
    });
  try {
    if (lease === undefined) return conflict("another process is switching this migration");
    const attempt = newAttempt(deps, id, request, step.state.epoch);
    ledger.put(attempt);
    const refused = await ledger.store(step.state);
    if (refused !== undefined) {
      if (refused.conflict !== undefined) ledger.adopt(refused.conflict);
      ledger.put({ ...attempt, state: "failed", outcome: "Another process changed the route." });
      return conflict("another process has just changed the route; look at the status");
    }
    running = true;
    state.done = conduct({ deps, ledger, state, release: () => lease.release() }, attempt, step);
    return { kind: "accepted", attempt };
  } finally {
    if (!running) {
      state.busy = false;
      await lease?.release();
    }
  }
}

type Conducting = {
  readonly deps: ConductorDeps;
  readonly ledger: Ledger;
  readonly state: Running;
  readonly release: () => Promise<void>;
};

async function conduct(
  { deps, ledger, state, release }: Conducting,
  attempt: Attempt,
  begun: Extract<Step, { kind: "next" }>,
): Promise<void> {
  const abort = new AbortController();
  if (state.closed) abort.abort();
  state.abort = abort;
  try {
    const changed = announcer(deps, ledger);
    changed(attempt);
    const run = {
      ledger,
      traffic: deps.traffic,
      clock: deps.clock,
      sleep: deps.sleep,
      log: deps.log,
      maxPauseMs: deps.maxPauseMs(),
      prepareMs: deps.prepareMs ?? PREPARE_MS,
      changed,
    };
    await runAttempt(run, attempt, begun, abort.signal);
    await release();
  } catch (error) {
    deps.log.error({ attempt: attempt.id, error: messageOf(error) }, "the attempt broke off");
  } finally {
    state.busy = false;
    state.abort = undefined;
  }
}

async function abortRunning(ledger: Ledger, state: Running): Promise<VerbOutcome> {
  const { attempt: id } = ledger.toggle();
  const step = transition(ledger.toggle(), { type: "abort" });
  if (step.kind === "refused") return conflict(step.why);
  state.abort?.abort();
  await state.done;
  const attempt = ledger.attempts().find((candidate) => candidate.id === id);
  if (attempt?.state === "aborted") return { kind: "accepted", attempt };
  return conflict(`the attempt had ended already: ${attempt?.outcome ?? "its outcome is unknown"}`);
}

function newAttempt(deps: ConductorDeps, id: string, request: Request, epoch: number): Attempt {
  return {
    id,
    migration: deps.migration,
    verb: request.verb,
    to: request.to,
    epoch,
    state: "running",
    startedAt: new Date(deps.clock.nowMs()).toISOString(),
    timeline: [],
  };
}

/** Tells of the attempt when its state changes and of the route when its phase does. */
function announcer(deps: ConductorDeps, ledger: Ledger): (attempt: Attempt) => void {
  let phase = "";
  let attemptState = "";
  const tell = (type: CutoverEvent["type"], detail: CutoverEvent["detail"]): void => {
    const event = { at: new Date(deps.clock.nowMs()).toISOString(), type, detail };
    deps.store.appendEvent(deps.migration, event).catch((error: unknown) => {
      // Events are for reading; the attempt itself is stored elsewhere.
      deps.log.warn({ error: messageOf(error) }, "an event was not stored");
    });
    try {
      deps.onEvent?.(event);
    } catch (error) {
      // A listener's trouble must not stop the attempt it is told about.
      deps.log.warn({ error: messageOf(error) }, "a listener of events failed");
    }
  };
  return (attempt) => {
    const route = routeOf(ledger.toggle());
    if (route.phase !== phase) tell("phase", { ...route });
    phase = route.phase;
    if (attempt.state === attemptState) return;
    attemptState = attempt.state;
    const { id, verb, to, state, outcome, pauseMs } = attempt;
    tell("attempt", { id, verb, to, state, outcome: outcome ?? null, pauseMs: pauseMs ?? null });
    deps.log.info({ attempt: id, verb, to, state, outcome, pauseMs }, "attempt");
  };
}

function conflict(why: string): VerbOutcome {
  return { kind: "conflict", message: `${why[0]?.toUpperCase()}${why.slice(1)}.` };
}
