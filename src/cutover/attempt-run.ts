import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { otherSide, type Side } from "../routing/side.ts";
import type { Attempt, AttemptStep } from "./attempt.ts";
import type { Ledger } from "./ledger.ts";
import { type Effect, type Step, type ToggleEvent, transition } from "./machine.ts";
import { heldSentence, movedSentence } from "./outcome.ts";
import { settleWithin, type Sleep } from "./settle-within.ts";
import type { StoredToggle } from "./store-port.ts";
import type { Holder, TrafficPort } from "../routing/traffic-port.ts";

/** What one attempt works with. `traffic` answers for all sessions of the migration. */
export type RunDeps = {
  readonly ledger: Ledger;
  readonly traffic: TrafficPort;
  readonly clock: Clock;
  readonly sleep: Sleep;
  readonly log: Logger;
  readonly maxPauseMs: number;
  readonly prepareMs: number;
  /** Called when the attempt or the route has a new state. */
  readonly changed: (attempt: Attempt) => void;
};

type Next = Extract<Step, { kind: "next" }>;

/** The proxy ends its pause by itself; this long after the deadline it is not waited for any more. */
const PAUSE_GRACE_MS = 1000;
const STORE_RETRY_MS = 200;
const MOVE_RETRY_MS = [10, 100, 1000] as const;

type Run = RunDeps & {
  readonly from: Side;
  readonly to: Side;
  readonly beganMs: number;
  readonly abort: AbortSignal;
  /** Aborts when the standby connections are not wanted any more. */
  readonly standby: AbortController;
  attempt: Attempt;
  pausedAtMs: number | undefined;
  moveFailures: number;
};

/**
 * Carries an attempt whose `begin` is stored to its end. Each state is stored before its effects;
 * the release of the clients alone never waits for the store. Does not reject.
 */
export async function runAttempt(
  deps: RunDeps,
  attempt: Attempt,
  begun: Next,
  abort: AbortSignal,
): Promise<void> {
  const run: Run = {
    ...deps,
    from: otherSide(attempt.to),
    to: attempt.to,
    beganMs: deps.clock.monotonicMs(),
    abort,
    standby: new AbortController(),
    attempt,
    pausedAtMs: undefined,
    moveFailures: 0,
  };
  let event = await performAll(run, begun.effects);
  while (event !== undefined) {
    const step = transition(run.ledger.toggle(), event);
    if (step.kind !== "next") break;
    event = await take(run, step);
  }
}

/** One step of the machine: what needs no store, the store, the rest. */
async function take(run: Run, step: Next): Promise<ToggleEvent | undefined> {
  await performAll(run, step.covered);
  if (step.ends !== undefined) finish(run, step.ends);
  const stored = await store(run, step);
  run.changed(run.attempt);
  return stored.kind === "stored" ? performAll(run, step.effects) : stored.event;
}

async function performAll(run: Run, effects: readonly Effect[]): Promise<ToggleEvent | undefined> {
  let event: ToggleEvent | undefined;
  for (const effect of effects) event = (await perform(run, effect)) ?? event;
  return event;
}

async function perform(run: Run, effect: Effect): Promise<ToggleEvent | undefined> {
  switch (effect) {
    case "prepare":
      return prepare(run);
    case "pause":
      return pause(run);
    case "move":
      return move(run);
    case "resume":
      return resume(run);
    case "discard":
      run.standby.abort();
      return undefined;
  }
}

/** Logins happen here, so that the pause does not contain them. */
async function prepare(run: Run): Promise<ToggleEvent> {
  const sinceMs = run.clock.monotonicMs();
  const outcome = await settleWithin(
    Promise.resolve().then(() => run.traffic.prepare(run.to, run.standby.signal)),
    { ms: run.prepareMs, sleep: run.sleep, signal: run.abort },
  );
  switch (outcome.kind) {
    case "aborted":
      return aborted(run, "prepare", sinceMs);
    case "late":
      return gaveUp(run, "prepare", sinceMs, {
        type: "deadline",
        why: `The connections to ${run.to} were not open within ${run.prepareMs} ms; traffic stays on ${run.from}.`,
      });
    case "failed":
      return portFailed(run, "prepare", sinceMs, outcome.error);
    case "done": {
      const { ready, failed } = outcome.value;
      const detail = `${ready} standby connections to ${run.to} open, ${failed} failed`;
      if (ready === 0 && failed > 0) {
        const why = `No connection to ${run.to} could be opened for any of ${failed} sessions; traffic stays on ${run.from}.`;
        return gaveUp(run, "prepare", sinceMs, { type: "failed", why });
      }
      addStep(run, "prepare", sinceMs, detail);
      return { type: "prepared" };
    }
  }
}

async function pause(run: Run): Promise<ToggleEvent> {
  const sinceMs = run.clock.monotonicMs();
  run.pausedAtMs = sinceMs;
  const outcome = await settleWithin(
    Promise.resolve().then(() => run.traffic.pause(sinceMs + run.maxPauseMs)),
    { ms: run.maxPauseMs + PAUSE_GRACE_MS, sleep: run.sleep, signal: run.abort },
  );
  switch (outcome.kind) {
    case "aborted":
      return aborted(run, "pause", sinceMs);
    case "failed":
      return portFailed(run, "pause", sinceMs, outcome.error);
    case "late": {
      const why = `The sessions did not come to rest within ${run.maxPauseMs} ms, so traffic goes on at ${run.from}. The proxy did not say who held it up.`;
      return gaveUp(run, "pause", sinceMs, { type: "deadline", why });
    }
    case "done":
      if (outcome.value.kind === "held") return held(run, sinceMs, outcome.value.holders);
      addStep(run, "pause", sinceMs, "every session stands between two transactions");
      return { type: "quiet" };
  }
}

function held(run: Run, sinceMs: number, holders: readonly Holder[]): ToggleEvent {
  run.attempt = { ...run.attempt, holders };
  const why = heldSentence(holders, run.maxPauseMs, run.from);
  return gaveUp(run, "pause", sinceMs, { type: "held", why });
}

/** After the decision there is only forward: a failure is logged, waited out and tried again. */
async function move(run: Run): Promise<ToggleEvent> {
  const sinceMs = run.clock.monotonicMs();
  try {
    const moved = await run.traffic.move(run.to, run.ledger.toggle().epoch);
    addStep(run, "move", sinceMs, movedSentence(moved));
    run.attempt = {
      ...run.attempt,
      outcome: `Traffic is on ${run.to}: ${movedSentence(moved)}.`,
    };
    return { type: "moved" };
  } catch (error) {
    const waitMs = MOVE_RETRY_MS[Math.min(run.moveFailures, MOVE_RETRY_MS.length - 1)] ?? 0;
    run.moveFailures++;
    run.log.error(
      { attempt: run.attempt.id, tries: run.moveFailures, error: messageOf(error) },
      "the sessions could not be moved; trying again",
    );
    if (run.moveFailures === 1) addStep(run, "move", sinceMs, "failed, tried again");
    await run.sleep(waitMs, new AbortController().signal);
    return { type: "failed" };
  }
}

function resume(run: Run): undefined {
  if (run.pausedAtMs === undefined) return;
  const sinceMs = run.clock.monotonicMs();
  try {
    run.traffic.resume();
  } catch (error) {
    // The state is what the store says; what hangs now is the proxy's to report.
    run.log.error({ attempt: run.attempt.id, error: messageOf(error) }, "the resume failed");
  }
  const pauseMs = run.clock.monotonicMs() - run.pausedAtMs;
  run.pausedAtMs = undefined;
  run.attempt = { ...run.attempt, pauseMs: round(pauseMs) };
  addStep(run, "resume", sinceMs, `new transactions waited ${round(pauseMs)} ms`);
}

type Stored =
  | { readonly kind: "stored" }
  /** What happened instead; nothing more happens without an event. */
  | { readonly kind: "not_stored"; readonly event: ToggleEvent | undefined };

async function store(run: Run, step: Next): Promise<Stored> {
  if (step.state === run.ledger.toggle()) return { kind: "stored" };
  const sinceMs = run.clock.monotonicMs();
  run.ledger.put(run.attempt);
  try {
    const refused = await run.ledger.store(step.state);
    if (refused !== undefined) {
      await follow(run, refused.conflict);
      return { kind: "not_stored", event: undefined };
    }
  } catch (error) {
    run.log.error({ attempt: run.attempt.id, error: messageOf(error) }, "the store failed");
    if (step.ends !== undefined) {
      // A restart reaches this state from the one stored before.
      run.ledger.assume(step.state);
      return { kind: "stored" };
    }
    if (step.state.stage !== "decided" || !(await decidedAfterAll(run, step))) {
      const why = `The store failed, so traffic stays on ${run.from}: ${messageOf(error)}`;
      return { kind: "not_stored", event: gaveUp(run, "store", sinceMs, { type: "failed", why }) };
    }
  }
  if (step.state.stage === "decided") {
    addStep(run, "decide", sinceMs, `${run.to} is the primary, epoch ${step.state.epoch}`);
  }
  return { kind: "stored" };
}

/**
 * The store failed while it decided, so nobody knows whether it did. Clients wait until it says:
 * going on at either side could lose writes.
 */
async function decidedAfterAll(run: Run, step: Next): Promise<boolean> {
  for (;;) {
    try {
      return await run.ledger.wasStored(step.state);
    } catch (error) {
      run.log.error({ attempt: run.attempt.id, error: messageOf(error) }, "decided or not?");
      await run.sleep(STORE_RETRY_MS, new AbortController().signal);
    }
  }
}

/** Somebody else changed the record: what it says now is the truth, and this attempt is over. */
async function follow(run: Run, record: StoredToggle | undefined): Promise<void> {
  if (record !== undefined) run.ledger.adopt(record);
  const { primary } = run.ledger.toggle();
  if (run.pausedAtMs !== undefined && primary !== run.from) {
    while ((await move(run)).type !== "moved") continue;
  }
  run.standby.abort();
  resume(run);
  const outcome = `Another process changed the route; traffic is on ${primary}.`;
  run.attempt = { ...run.attempt, state: "failed", outcome };
  run.ledger.put(run.attempt);
}

function aborted(run: Run, step: string, sinceMs: number): ToggleEvent {
  const why = `Aborted by request; traffic stays on ${run.from}.`;
  return gaveUp(run, step, sinceMs, { type: "abort", why });
}

function portFailed(run: Run, step: string, sinceMs: number, error: unknown): ToggleEvent {
  const why = `The ${step} failed, so traffic stays on ${run.from}: ${messageOf(error)}`;
  return gaveUp(run, step, sinceMs, { type: "failed", why });
}

function gaveUp(
  run: Run,
  step: string,
  sinceMs: number,
  end: { readonly type: "held" | "deadline" | "failed" | "abort"; readonly why: string },
): ToggleEvent {
  run.attempt = { ...run.attempt, outcome: end.why };
  addStep(run, step, sinceMs, end.why);
  return { type: end.type };
}

function addStep(run: Run, step: string, sinceMs: number, detail: string): void {
  const atMs = round(sinceMs - run.beganMs);
  const tookMs = round(run.clock.monotonicMs() - sinceMs);
  const added: AttemptStep = { step, atMs, tookMs, detail };
  run.attempt = { ...run.attempt, timeline: [...run.attempt.timeline, added] };
  run.ledger.put(run.attempt);
}

function finish(run: Run, state: "succeeded" | "failed" | "aborted"): void {
  run.attempt = { ...run.attempt, state };
  run.ledger.put(run.attempt);
}

/** Tenths of a millisecond: what a clock is good for. */
function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
