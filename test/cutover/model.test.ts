import t from "tap";
import {
  type Effect,
  type Step,
  type Toggle,
  type ToggleEvent,
  transition,
} from "../../src/cutover/machine.ts";
import { otherSide, type Side } from "../../src/routing/side.ts";

/**
 * Every interleaving of processes that conduct the toggle: the real machine, the rules by which the
 * conductor stores and acts on its steps, a store that may fail before or after it has stored, and
 * crashes between any two actions. With two processes the older one may be a zombie that was taken
 * for dead. Each rule that is left out (a mutant) must be caught.
 */
type Mutant =
  | "none"
  | "effect_before_store"
  | "resume_before_decision"
  | "no_resume"
  | "no_compare"
  | "no_epoch"
  | "abort_after_decision"
  | "doubt_is_no"
  | "decided_goes_back"
  | "doubt_forgotten";

type Next = Extract<Step, { kind: "next" }>;

type Action =
  | { readonly do: Effect }
  | { readonly do: "store"; readonly state: Toggle; readonly ends: boolean };

type Process = {
  readonly toggle: Toggle;
  readonly revision: number;
  readonly inDoubt: Toggle | undefined;
  readonly queue: readonly Action[];
  /** Its proxy. */
  readonly primary: Side;
  readonly paused: boolean;
};

type World = {
  readonly record: { readonly toggle: Toggle; readonly revision: number };
  readonly processes: readonly (Process | undefined)[];
  /** Which side each epoch was decided for. */
  readonly decided: Readonly<Record<number, Side>>;
  readonly broken: string | undefined;
};

type Move = { readonly name: string; readonly world: World };

const START: Toggle = { stage: "settled", primary: "old", epoch: 0, attempt: undefined };

function machine(mutant: Mutant, state: Toggle, event: ToggleEvent): Step {
  const step = transition(state, event);
  if (mutant === "decided_goes_back" && state.stage === "decided" && event.type === "reopened") {
    if (step.kind !== "next") return step;
    return { ...step, state: { ...step.state, primary: otherSide(state.primary) } };
  }
  if (mutant === "abort_after_decision" && state.stage === "decided" && event.type === "abort") {
    const settled = { ...START, primary: otherSide(state.primary), epoch: state.epoch };
    return { kind: "next", state: settled, covered: ["resume"], effects: [], ends: "aborted" };
  }
  if (step.kind !== "next") return step;
  if (mutant === "no_epoch") return { ...step, state: { ...step.state, epoch: state.epoch } };
  if (mutant === "no_resume" && step.ends === "failed") return { ...step, covered: [] };
  if (mutant === "resume_before_decision" && step.state.stage === "decided") {
    return { ...step, covered: ["resume"] };
  }
  return step;
}

/** The order in which the conductor carries out a step. */
function actions(mutant: Mutant, before: Toggle, step: Next): readonly Action[] {
  const toAction = (effect: Effect): Action => ({ do: effect });
  const storing: Action = { do: "store", state: step.state, ends: step.ends !== undefined };
  const stored = step.state === before ? [] : [storing];
  const effects = step.effects.map(toAction);
  if (mutant === "effect_before_store" && step.state.stage === "decided") {
    return [...effects, ...stored, ...effects];
  }
  return [...step.covered.map(toAction), ...stored, ...effects];
}

/** How much of the world is explored. Two processes make it large, so they do less each. */
type Bounds = {
  readonly processes: number;
  /** No attempt begins after this epoch. */
  readonly maxEpoch: number;
  readonly store: readonly StoreOutcome[];
};

type StoreOutcome = "ok" | "lost" | "stored_but_failed";

const ALONE: Bounds = { processes: 1, maxEpoch: 3, store: ["ok", "lost", "stored_but_failed"] };
const WITH_ZOMBIE: Bounds = { processes: 2, maxEpoch: 2, store: ["ok"] };

function* moves(mutant: Mutant, bounds: Bounds, world: World): Generator<Move> {
  for (const [index, process] of world.processes.entries()) {
    const name = (what: string): string => `p${index}.${what}`;
    if (process === undefined) {
      yield { name: name("reopen"), world: reopen(mutant, world, index) };
      continue;
    }
    yield { name: name("crash"), world: withProcess(world, index, undefined) };
    const [action, ...queue] = process.queue;
    if (action === undefined) {
      if (process.toggle.stage === "settled" && process.toggle.epoch < bounds.maxEpoch) {
        const to = otherSide(process.toggle.primary);
        const event: ToggleEvent = { type: "begin", to, attempt: `a${index}` };
        const world2 = happen(mutant, world, index, event);
        if (world2 !== undefined) yield { name: name(`begin ${to}`), world: world2 };
      }
      continue;
    }
    const rest = withProcess(world, index, { ...process, queue });
    if (action.do === "store") {
      for (const outcome of bounds.store) {
        const next = storeStep(mutant, rest, index, action, outcome);
        yield { name: name(`store ${action.state.stage} ${outcome}`), world: next };
      }
    } else {
      yield* perform(mutant, rest, index, action.do, name);
    }
  }
}

/** One of each kind: the table test shows that a deadline and an abort leave like a failure. */
const OUTCOMES: Partial<Record<Effect, readonly ToggleEvent["type"][]>> = {
  prepare: ["prepared", "failed"],
  pause: ["quiet", "held"],
  move: ["moved", "failed", "abort"],
};

function* perform(
  mutant: Mutant,
  world: World,
  index: number,
  effect: Effect,
  name: (what: string) => string,
): Generator<Move> {
  const process = world.processes[index];
  if (process === undefined) return;
  if (effect === "resume" || effect === "discard") {
    const paused = effect === "resume" ? false : process.paused;
    yield { name: name(effect), world: withProcess(world, index, { ...process, paused }) };
    return;
  }
  for (const type of OUTCOMES[effect] ?? []) {
    let after = process;
    if (effect === "pause") after = { ...process, paused: true };
    if (effect === "move" && type === "moved") after = { ...process, primary: target(process) };
    // Without `begin` there is no field to fill.
    const event = { type } as ToggleEvent;
    const acted = withProcess(world, index, after);
    const next = happen(mutant, acted, index, event);
    if (next !== undefined) yield { name: name(`${effect}: ${type}`), world: next };
    else if (effect === "move" && process.toggle.stage === "pausing")
      yield { name: name(effect), world: acted };
  }
}

/** Where the sessions of this attempt are taken. Before the decision only a mutant moves them. */
function target(process: Process): Side {
  const { stage, primary } = process.toggle;
  return stage === "decided" ? primary : otherSide(primary);
}

function happen(
  mutant: Mutant,
  world: World,
  index: number,
  event: ToggleEvent,
): World | undefined {
  const process = world.processes[index];
  if (process === undefined) return undefined;
  const step = machine(mutant, process.toggle, event);
  if (step.kind !== "next") return undefined;
  const queue = [...process.queue, ...actions(mutant, process.toggle, step)];
  return withProcess(world, index, { ...process, queue });
}

function storeStep(
  mutant: Mutant,
  world: World,
  index: number,
  action: Extract<Action, { do: "store" }>,
  outcome: StoreOutcome,
): World {
  const process = world.processes[index];
  if (process === undefined) return world;
  const { record } = world;
  const certain = mutant === "doubt_forgotten" ? process : resolveDoubt(process, record);
  const current = mutant === "no_compare" || record.revision === certain.revision;
  if (outcome !== "lost" && !current) return follow(world, index, certain);
  const written = { toggle: action.state, revision: record.revision + 1 };
  const after = outcome === "lost" ? world : decide(world, action.state, written);
  if (outcome === "ok") {
    const { toggle, revision } = written;
    return withProcess(after, index, { ...certain, toggle, revision, inDoubt: undefined });
  }
  const doubtful = { ...certain, inDoubt: action.state };
  if (action.ends) return withProcess(after, index, { ...doubtful, toggle: action.state });
  if (action.state.stage === "decided" && mutant !== "doubt_is_no" && outcome !== "lost") {
    const { toggle, revision } = written;
    return withProcess(after, index, { ...certain, toggle, revision, inDoubt: undefined });
  }
  // A verb that cannot be stored is not begun; anything else fails.
  if (action.state.stage === "preparing")
    return withProcess(after, index, { ...doubtful, queue: [] });
  const failing = withProcess(after, index, { ...doubtful, queue: [] });
  return happen(mutant, failing, index, { type: "failed" }) ?? failing;
}

function resolveDoubt(process: Process, record: World["record"]): Process {
  const ours =
    process.inDoubt !== undefined &&
    record.revision === process.revision + 1 &&
    JSON.stringify(record.toggle) === JSON.stringify(process.inDoubt);
  return ours ? { ...process, revision: record.revision } : process;
}

/** Somebody else changed the record: it is the truth. */
function follow(world: World, index: number, process: Process): World {
  const { toggle, revision } = world.record;
  const primary = process.paused ? toggle.primary : process.primary;
  const followed = { toggle, revision, inDoubt: undefined, queue: [], primary, paused: false };
  return withProcess(world, index, followed);
}

function decide(world: World, state: Toggle, written: World["record"]): World {
  const { epoch, primary } = state;
  const before = world.record.toggle;
  let { broken } = world;
  let decided = world.decided;
  if (state.stage === "decided" && before.stage !== "decided") {
    if (decided[epoch] !== undefined) broken ??= `epoch ${epoch} is decided twice`;
    decided = { ...decided, [epoch]: primary };
  } else if (primary !== before.primary) {
    broken ??= "the primary changed without a decision";
  }
  if (epoch < before.epoch) broken ??= "the epoch went back";
  return { ...world, record: written, decided, broken };
}

/** A new process reads the record and settles it; its proxy starts with what the record says. */
function reopen(mutant: Mutant, world: World, index: number): World {
  const { toggle } = world.record;
  const step = machine(mutant, toggle, { type: "reopened" });
  const state = step.kind === "next" ? step.state : toggle;
  const record =
    step.kind === "next" ? { toggle: state, revision: world.record.revision + 1 } : world.record;
  const settled = step.kind === "next" ? decide(world, state, record) : world;
  return withProcess(settled, index, {
    toggle: state,
    revision: record.revision,
    inDoubt: undefined,
    queue: [],
    primary: state.primary,
    paused: false,
  });
}

function withProcess(world: World, index: number, process: Process | undefined): World {
  return { ...world, processes: world.processes.with(index, process) };
}

/** What must never be. The second group holds for a process that owns the folder alone. */
function violation(world: World): string | undefined {
  if (world.broken !== undefined) return world.broken;
  for (const process of world.processes) {
    if (process === undefined) continue;
    const idle = process.queue.length === 0;
    if (idle && process.paused) return "the clients wait and nobody will let them go";
    if (world.processes.length > 1) continue;
    if (!process.paused && process.primary !== world.record.toggle.primary) {
      return "clients are answered by a side that is not the primary in the store";
    }
    if (idle && process.toggle.stage !== "settled") return "an attempt that nobody carries on";
  }
  return undefined;
}

/** Only how far a process lags behind the record matters, so the same world is met again. */
function canonical(world: World): World {
  const by = world.record.revision;
  return {
    ...world,
    record: { ...world.record, revision: 0 },
    processes: world.processes.map(
      (process) => process && { ...process, revision: Math.max(-4, process.revision - by) },
    ),
  };
}

type Explored = {
  readonly states: number;
  readonly violation: string | undefined;
  readonly trace: readonly string[];
  /** States from which no settled state can be reached. */
  readonly stuck: number;
};

function explore(mutant: Mutant, bounds: Bounds): Explored {
  const first = canonical({
    record: { toggle: START, revision: 1 },
    processes: Array.from({ length: bounds.processes }, () => undefined),
    decided: {},
    broken: undefined,
  });
  const key = (world: World): string => JSON.stringify(world);
  const seen = new Map<string, { from: string; name: string } | undefined>([
    [key(first), undefined],
  ]);
  const backwards = new Map<string, string[]>();
  const settled: string[] = [];
  const queue: World[] = [first];
  for (let at = 0; at < queue.length; at++) {
    const world = queue[at] ?? first;
    const from = key(world);
    if (isSettled(world)) settled.push(from);
    for (const move of moves(mutant, bounds, world)) {
      const next = canonical(move.world);
      const to = key(next);
      const into = backwards.get(to);
      if (into === undefined) backwards.set(to, [from]);
      else into.push(from);
      if (seen.has(to)) continue;
      seen.set(to, { from, name: move.name });
      const found = violation(next);
      if (found !== undefined) {
        return { states: seen.size, violation: found, trace: traceOf(seen, to), stuck: 0 };
      }
      queue.push(next);
    }
  }
  const canSettle = new Set(settled);
  const open = [...settled];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const from of backwards.get(state) ?? []) {
      if (canSettle.has(from)) continue;
      canSettle.add(from);
      open.push(from);
    }
  }
  return { states: seen.size, violation: undefined, trace: [], stuck: seen.size - canSettle.size };
}

function isSettled(world: World): boolean {
  const { toggle } = world.record;
  return (
    toggle.stage === "settled" &&
    world.processes.every(
      (process) =>
        process !== undefined &&
        process.queue.length === 0 &&
        !process.paused &&
        process.toggle.stage === "settled",
    )
  );
}

function traceOf(
  seen: ReadonlyMap<string, { from: string; name: string } | undefined>,
  state: string,
): readonly string[] {
  const trace: string[] = [];
  for (let step = seen.get(state); step !== undefined; step = seen.get(step.from)) {
    trace.unshift(step.name);
  }
  return trace;
}

for (const [name, bounds] of [
  ["a process with a store that fails", ALONE],
  ["two processes, one of them a zombie", WITH_ZOMBIE],
] as const) {
  await t.test(`the toggle is safe in every interleaving of ${name}`, async (test) => {
    const explored = explore("none", bounds);
    test.equal(explored.violation, undefined, explored.trace.join(" > "));
    test.equal(explored.stuck, 0, "a settled state can be reached from everywhere");
    test.comment(`${explored.states} states`);
    test.ok(explored.states > 100);
  });
}

const MUTANTS: readonly { mutant: Mutant; bounds: Bounds; what: RegExp }[] = [
  { mutant: "effect_before_store", bounds: ALONE, what: /not the primary in the store/ },
  { mutant: "resume_before_decision", bounds: ALONE, what: /not the primary in the store/ },
  { mutant: "no_resume", bounds: ALONE, what: /nobody will let them go/ },
  { mutant: "abort_after_decision", bounds: ALONE, what: /without a decision|not the primary/ },
  { mutant: "doubt_is_no", bounds: ALONE, what: /not the primary in the store/ },
  { mutant: "doubt_forgotten", bounds: ALONE, what: /nobody carries on|not the primary/ },
  { mutant: "decided_goes_back", bounds: ALONE, what: /without a decision/ },
  { mutant: "no_epoch", bounds: ALONE, what: /decided twice/ },
  { mutant: "no_compare", bounds: WITH_ZOMBIE, what: /went back|without a decision|decided twice/ },
];

await t.test("each rule that is left out is found out", async (test) => {
  for (const { mutant, bounds, what } of MUTANTS) {
    const explored = explore(mutant, bounds);
    test.match(explored.violation ?? "nothing", what, `${mutant}: ${explored.trace.join(" > ")}`);
  }
});
