import type { Clock } from "../base/clock.ts";
import { CodedError } from "../base/errors.ts";
import type { Attempt } from "./attempt.ts";
import { routeOf, toggleOf, transition, type Toggle } from "./machine.ts";
import type { CutoverStore, StoredToggle } from "./store-port.ts";

const ATTEMPTS_KEPT = 100;

/** What the store holds of one migration, as far as this process knows; the only writer of it. */
export type Ledger = {
  toggle(): Toggle;
  /** The newest first. */
  attempts(): readonly Attempt[];
  /** In memory; stored with the next change of the toggle. */
  put(attempt: Attempt): void;
  /** @returns what stands there instead, if somebody else changed it. @throws `store_failed`. */
  store(next: Toggle): Promise<{ readonly conflict: StoredToggle | undefined } | undefined>;
  /** Takes what was read from the store for what it holds. */
  adopt(record: StoredToggle): void;
  /** Goes on in memory although the store does not know: for states that a restart reaches too. */
  assume(next: Toggle): void;
  /** After the store failed over a change: whether it holds it all the same. @throws `store_failed`. */
  wasStored(next: Toggle): Promise<boolean>;
};

type LedgerDeps = {
  readonly migration: string;
  readonly store: CutoverStore;
  readonly clock: Clock;
};

/**
 * Reads the record, makes it where there is none, and ends the attempt of a process that is gone:
 * back before the decision, forward after it.
 */
export async function openLedger(deps: LedgerDeps): Promise<Ledger> {
  const known = await deps.store.attempts(deps.migration, ATTEMPTS_KEPT);
  const ledger = newLedger(deps, known.filter(isAttempt));
  const record = await deps.store.read(deps.migration);
  if (record === undefined) {
    await storeOrThrow(ledger, ledger.toggle());
    return ledger;
  }
  ledger.adopt(record);
  const before = ledger.toggle();
  const step = transition(before, { type: "reopened" });
  if (step.kind !== "next") return ledger;
  const running = ledger.attempts().find((attempt) => attempt.id === before.attempt);
  if (running !== undefined) ledger.put(endOfDeadProcess(running, before, deps.clock));
  await storeOrThrow(ledger, step.state);
  return ledger;
}

async function storeOrThrow(ledger: Ledger, next: Toggle): Promise<void> {
  if ((await ledger.store(next)) !== undefined) {
    throw new CodedError(
      "conflict",
      "Another process changed the route while this one started. Let one of them run.",
    );
  }
}

function endOfDeadProcess(attempt: Attempt, at: Toggle, clock: Clock): Attempt {
  const decided = at.stage === "decided";
  const outcome = decided
    ? `Twinwire ended after the decision and before every session had moved; on its return the traffic is on ${at.primary}.`
    : `Twinwire ended before the decision; on its return the traffic is where it was, on ${at.primary}.`;
  const atMs = Math.max(0, Math.round(clock.nowMs() - Date.parse(attempt.startedAt)));
  const step = { step: decided ? "rolled_forward" : "aborted", atMs, tookMs: 0, detail: outcome };
  return {
    ...attempt,
    state: decided ? "succeeded" : "aborted",
    timeline: [...attempt.timeline, step],
    outcome,
  };
}

function newLedger(deps: LedgerDeps, known: readonly Attempt[]): Ledger {
  let toggle: Toggle = { stage: "settled", primary: "old", epoch: 0, attempt: undefined };
  let revision = 0;
  /** The last change when the store failed over it: it may be stored or not. */
  let inDoubt: Toggle | undefined;
  const attempts = attemptList(known);

  const adopt = (record: StoredToggle): void => {
    toggle = toggleOf(record.route, record.attempt);
    revision = record.revision;
    inDoubt = undefined;
  };
  return {
    toggle: () => toggle,
    attempts: () => attempts.all(),
    put: (attempt) => attempts.put(attempt),
    async store(next) {
      const { migration, store } = deps;
      if (inDoubt !== undefined) {
        const record = await store.read(migration);
        if (isSuccessor(record, revision, inDoubt)) revision = record.revision;
      }
      inDoubt = next;
      const saving = attempts.unsaved();
      const outcome = await store.compareAndSet({
        migration,
        expectedRevision: revision,
        route: routeOf(next),
        attempt: next.attempt,
        attempts: saving,
      });
      inDoubt = undefined;
      if (outcome.kind === "conflict") return { conflict: outcome.record };
      attempts.saved(saving);
      adopt(outcome.record);
      return undefined;
    },
    adopt,
    assume(next): void {
      toggle = next;
    },
    async wasStored(next) {
      const record = await deps.store.read(deps.migration);
      if (!isSuccessor(record, revision, next)) return false;
      adopt(record);
      return true;
    },
  };
}

type AttemptList = {
  all(): readonly Attempt[];
  put(attempt: Attempt): void;
  unsaved(): readonly Attempt[];
  saved(attempts: readonly Attempt[]): void;
};

function attemptList(known: readonly Attempt[]): AttemptList {
  let attempts = known;
  const unsaved = new Map<string, Attempt>();
  return {
    all: () => attempts,
    put(attempt): void {
      const others = attempts.filter((other) => other.id !== attempt.id);
      const isNew = others.length === attempts.length;
      attempts = isNew
        ? [attempt, ...others].slice(0, ATTEMPTS_KEPT)
        : attempts.map((other) => (other.id === attempt.id ? attempt : other));
      unsaved.set(attempt.id, attempt);
    },
    unsaved: () => [...unsaved.values()],
    saved(stored): void {
      for (const attempt of stored) {
        // Changed again while it was being stored: still to be saved.
        if (unsaved.get(attempt.id) === attempt) unsaved.delete(attempt.id);
      }
    },
  };
}

/** Whether the record is what this change made of that revision. */
function isSuccessor(
  record: StoredToggle | undefined,
  revision: number,
  change: Toggle,
): record is StoredToggle {
  if (record === undefined) return false;
  const { route, attempt } = record;
  return (
    record.revision === revision + 1 &&
    attempt === change.attempt &&
    route.epoch === change.epoch &&
    route.phase === routeOf(change).phase &&
    route.primary === change.primary
  );
}

/** Written by an earlier Twinwire: checked where it would be relied on. */
function isAttempt(value: unknown): value is Attempt {
  if (typeof value !== "object" || value === null) return false;
  const { id, state, startedAt, timeline } = value as Readonly<Record<string, unknown>>;
  return (
    typeof id === "string" &&
    typeof state === "string" &&
    typeof startedAt === "string" &&
    Array.isArray(timeline)
  );
}
