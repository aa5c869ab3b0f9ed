import t from "tap";
import {
  routeOf,
  type Stage,
  type Step,
  type Toggle,
  type ToggleEvent,
  toggleOf,
  transition,
} from "../../src/cutover/machine.ts";
import type { Side } from "../../src/routing/side.ts";

type EventType = ToggleEvent["type"];

/**
 * The whole table once more, written by hand: `stage/primary+epoch effects` for a step, `-` for an
 * event that changes nothing, `no` for a refusal. `same` and `other` are the sides seen from the
 * primary before the event; effects before the bar do not wait for the store.
 */
const ABANDONED = "settled/same+1 | aborted";
const LEFT = { quiet: "-", held: "-", begin: "no", prepared: "-", moved: "-" };
const BACK = "settled/same+0 resume discard |";
const TABLE: Readonly<Record<Stage, Readonly<Record<EventType, string>>>> = {
  settled: {
    begin: "preparing/same+1 | prepare",
    prepared: "-",
    quiet: "-",
    held: "-",
    deadline: "-",
    failed: "-",
    abort: "no",
    moved: "-",
    reopened: "-",
  },
  preparing: {
    ...LEFT,
    prepared: "pausing/same+0 | pause",
    deadline: "settled/same+0 discard | failed",
    failed: "settled/same+0 discard | failed",
    abort: "settled/same+0 discard | aborted",
    reopened: ABANDONED,
  },
  pausing: {
    ...LEFT,
    quiet: "decided/other+0 | move",
    held: `${BACK} failed`,
    deadline: `${BACK} failed`,
    failed: `${BACK} failed`,
    abort: `${BACK} aborted`,
    reopened: ABANDONED,
  },
  fenced: {
    ...LEFT,
    deadline: `${BACK} failed`,
    failed: `${BACK} failed`,
    abort: `${BACK} aborted`,
    reopened: ABANDONED,
  },
  drained: {
    ...LEFT,
    deadline: `${BACK} failed`,
    failed: `${BACK} failed`,
    abort: `${BACK} aborted`,
    reopened: ABANDONED,
  },
  verified: {
    ...LEFT,
    deadline: `${BACK} failed`,
    failed: `${BACK} failed`,
    abort: `${BACK} aborted`,
    reopened: ABANDONED,
  },
  decided: {
    ...LEFT,
    deadline: "-",
    failed: "decided/same+0 | move",
    abort: "no",
    moved: "settled/same+0 resume discard | succeeded",
    reopened: "settled/same+0 | succeeded",
  },
};

const SIDES: readonly Side[] = ["old", "new"];

function eventOf(type: EventType, primary: Side): ToggleEvent {
  if (type !== "begin") return { type };
  return { type, to: primary === "old" ? "new" : "old", attempt: "next" };
}

function describe(before: Toggle, step: Step): string {
  if (step.kind !== "next") return step.kind === "refused" ? "no" : "-";
  const { state, covered, effects, ends } = step;
  const side = state.primary === before.primary ? "same" : "other";
  const to = `${state.stage}/${side}+${state.epoch - before.epoch}`;
  return [to, ...covered, "|", ...effects, ...(ends === undefined ? [] : [ends])].join(" ");
}

function states(): readonly Toggle[] {
  return (Object.keys(TABLE) as Stage[]).flatMap((stage) =>
    SIDES.map((primary) => ({
      stage,
      primary,
      epoch: 7,
      attempt: stage === "settled" ? undefined : "running",
    })),
  );
}

await t.test("every cell of stage × event is what the table says, on both sides", async (test) => {
  for (const state of states()) {
    for (const [type, expected] of Object.entries(TABLE[state.stage])) {
      const step = transition(state, eventOf(type as EventType, state.primary));
      test.equal(describe(state, step), expected, `${state.stage} of ${state.primary} × ${type}`);
    }
  }
});

await t.test("only the step into decided changes the primary", async (test) => {
  for (const state of states()) {
    for (const type of Object.keys(TABLE.settled) as EventType[]) {
      const step = transition(state, eventOf(type, state.primary));
      if (step.kind !== "next" || step.state.primary === state.primary) continue;
      test.equal(step.state.stage, "decided");
      test.equal(state.stage, "pausing");
    }
  }
});

await t.test("an attempt is named in every state but settled, and stays the same", async (test) => {
  for (const state of states()) {
    for (const type of Object.keys(TABLE.settled) as EventType[]) {
      const step = transition(state, eventOf(type, state.primary));
      if (step.kind !== "next") continue;
      const expected =
        step.state.stage === "settled" ? undefined : type === "begin" ? "next" : "running";
      test.equal(step.state.attempt, expected, `${state.stage} × ${type}`);
      test.equal(step.ends !== undefined, step.state.stage === "settled", "settled ends it");
    }
  }
});

await t.test(
  "switching to the side that is the primary already is refused in words",
  async (test) => {
    for (const primary of SIDES) {
      const state: Toggle = { stage: "settled", primary, epoch: 1, attempt: undefined };
      const step = transition(state, { type: "begin", to: primary, attempt: "a" });
      test.strictSame(step, { kind: "refused", why: `${primary} is the primary already` });
    }
  },
);

await t.test("what is stored of a state gives the state back", async (test) => {
  for (const state of states()) {
    const route = routeOf(state);
    test.strictSame(toggleOf(route, state.attempt), state);
    if (state.stage === "settled" || state.stage === "preparing") {
      test.equal(route.phase, state.primary === "old" ? "in_sync" : "on_new");
    } else {
      test.equal(route.phase, state.stage);
    }
  }
});
