import type { MigrationRoute, Phase } from "../routing/phase.ts";
import { otherSide, type Side } from "../routing/side.ts";

/**
 * The toggle as a pure machine: a total table of stage × event. The same for both directions, so a
 * rollback is a cutover with the sides swapped. `SPEC.md` has the picture and the invariants.
 */
export type Toggle = {
  readonly stage: Stage;
  /** Who answers clients. Changes in `decided` and nowhere else. */
  readonly primary: Side;
  readonly epoch: number;
  /** The attempt under way; undefined in `settled` only. */
  readonly attempt: string | undefined;
};

/** `settled` and `preparing` are `in_sync` or `on_new` to the rest; the others are phases by name. */
export type Stage = "settled" | "preparing" | Exclude<Phase, "in_sync" | "on_new">;

export type ToggleEvent =
  | { readonly type: "begin"; readonly to: Side; readonly attempt: string }
  /** Standby connections are open. */
  | { readonly type: "prepared" }
  /** Every session stands between two transactions, and new ones wait. */
  | { readonly type: "quiet" }
  /** Some session did not come to rest in time. */
  | { readonly type: "held" }
  /** The proxy did not even say so in time. */
  | { readonly type: "deadline" }
  /** A port or the store failed. */
  | { readonly type: "failed" }
  | { readonly type: "abort" }
  /** Every session is on the new primary. */
  | { readonly type: "moved" }
  /** The process that conducted is gone; this one has read the stored state. */
  | { readonly type: "reopened" };

/** All are safe to repeat. `discard` closes standby connections that were not used. */
export type Effect = "prepare" | "pause" | "move" | "resume" | "discard";

export type Step =
  | {
      readonly kind: "next";
      readonly state: Toggle;
      /** Allowed by the state stored already: they need not wait for the store. */
      readonly covered: readonly Effect[];
      /** Run once `state` is stored. */
      readonly effects: readonly Effect[];
      /** How the attempt ended, if it did. */
      readonly ends: "succeeded" | "failed" | "aborted" | undefined;
    }
  /** Too late or out of place, and harmless: nothing changes. */
  | { readonly kind: "ignored" }
  /** Somebody asked for what is not possible now. */
  | { readonly kind: "refused"; readonly why: string };

/** What happens in this state at this event. Never throws. */
export function transition(state: Toggle, event: ToggleEvent): Step {
  return TABLE[state.stage][event.type](state, event);
}

/** The phase that proxies and people see. */
export function routeOf(state: Toggle): MigrationRoute {
  const { stage, primary, epoch } = state;
  const phase = stage === "settled" || stage === "preparing" ? settledPhase(primary) : stage;
  return { phase, primary, epoch };
}

/** The machine's state for what was stored. */
export function toggleOf(route: MigrationRoute, attempt: string | undefined): Toggle {
  const { phase, primary, epoch } = route;
  if (phase !== "in_sync" && phase !== "on_new") return { stage: phase, primary, epoch, attempt };
  return { stage: attempt === undefined ? "settled" : "preparing", primary, epoch, attempt };
}

function settledPhase(primary: Side): Phase {
  return primary === "old" ? "in_sync" : "on_new";
}

const RELEASE: readonly Effect[] = ["resume", "discard"];

type Cell = (state: Toggle, event: ToggleEvent) => Step;
type Row = Readonly<Record<ToggleEvent["type"], Cell>>;

const ignore: Cell = () => ({ kind: "ignored" });

const busy: Cell = (state) => ({
  kind: "refused",
  why: `attempt ${state.attempt ?? "?"} is under way; follow it, or abort it`,
});

const nothingToAbort: Cell = () => ({ kind: "refused", why: "no attempt is under way" });

const tooLateToAbort: Cell = (state) => ({
  kind: "refused",
  why: `the traffic has been decided for ${state.primary}; to go back, switch again`,
});

const begin: Cell = (state, event) => {
  if (event.type !== "begin") return { kind: "ignored" };
  if (event.to === state.primary) {
    return { kind: "refused", why: `${event.to} is the primary already` };
  }
  const { primary } = state;
  const next = { primary, epoch: state.epoch + 1, attempt: event.attempt };
  return go({ ...next, stage: "preparing" }, ["prepare"]);
};

const startPause: Cell = (state) => go({ ...state, stage: "pausing" }, ["pause"]);

/** The only cell that changes the primary: storing its state is the point of no return. */
const decide: Cell = (state) =>
  go({ ...state, stage: "decided", primary: otherSide(state.primary) }, ["move"]);

/** The store says already who is primary, so clients need not wait for it again. */
const finish: Cell = (state) => end(state, "succeeded", RELEASE);

/** The decision stands: what failed is done again until it works. */
const moveAgain: Cell = (state) => go(state, ["move"]);

/** The store says still who was primary, so clients need not wait for it either. */
function giveUp(ends: "failed" | "aborted", covered: readonly Effect[]): Cell {
  return (state) => end(state, ends, covered);
}

/** A new epoch as well, so that nothing the dead process left behind can be taken for current. */
const abandon: Cell = (state) => end({ ...state, epoch: state.epoch + 1 }, "aborted", []);

const rollForward: Cell = (state) => end(state, "succeeded", []);

function go(state: Toggle, effects: readonly Effect[]): Step {
  return { kind: "next", state, covered: [], effects, ends: undefined };
}

function end(
  { primary, epoch }: Toggle,
  ends: "succeeded" | "failed" | "aborted",
  covered: readonly Effect[],
): Step {
  const state: Toggle = { stage: "settled", primary, epoch, attempt: undefined };
  return { kind: "next", state, covered, effects: [], ends };
}

const pausing: Row = {
  begin: busy,
  prepared: ignore,
  quiet: decide,
  held: giveUp("failed", RELEASE),
  deadline: giveUp("failed", RELEASE),
  failed: giveUp("failed", RELEASE),
  abort: giveUp("aborted", RELEASE),
  moved: ignore,
  reopened: abandon,
};

/** Passed over while someone else replicates: entered by no cell, left safely all the same. */
const passedOver: Row = { ...pausing, quiet: ignore, held: ignore };

const TABLE: Readonly<Record<Stage, Row>> = {
  settled: {
    begin,
    prepared: ignore,
    quiet: ignore,
    held: ignore,
    deadline: ignore,
    failed: ignore,
    abort: nothingToAbort,
    moved: ignore,
    reopened: ignore,
  },
  preparing: {
    begin: busy,
    prepared: startPause,
    quiet: ignore,
    held: ignore,
    deadline: giveUp("failed", ["discard"]),
    failed: giveUp("failed", ["discard"]),
    abort: giveUp("aborted", ["discard"]),
    moved: ignore,
    reopened: abandon,
  },
  pausing,
  fenced: passedOver,
  drained: passedOver,
  verified: passedOver,
  decided: {
    begin: busy,
    prepared: ignore,
    quiet: ignore,
    held: ignore,
    deadline: ignore,
    failed: moveAgain,
    abort: tooLateToAbort,
    moved: finish,
    reopened: rollForward,
  },
};
