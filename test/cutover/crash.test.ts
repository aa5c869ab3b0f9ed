import t from "tap";
import type { Attempt } from "../../src/cutover/attempt.ts";
import { openConductor } from "../../src/cutover/conductor.ts";
import type { Side } from "../../src/routing/side.ts";
import type { TrafficPort } from "../../src/routing/traffic-port.ts";
import { conductorDeps, FakeTime, FakeTraffic, MemoryStore, never } from "./ports.ts";

/**
 * The process dies at every point at which it can be seen: before and after each call of a port.
 * From then on nothing it does has an effect. A new process then opens the same store.
 */
class Death {
  calls = 0;
  dead = false;
  readonly #atCall: number;
  readonly #died: () => void;
  readonly when: Promise<void>;

  constructor(atCall: number) {
    this.#atCall = atCall;
    let died = (): void => {};
    this.when = new Promise((resolve) => {
      died = resolve;
    });
    this.#died = died;
  }

  /** Counts a moment; throws for ever when the process is dead. */
  moment(): void {
    if (!this.dead && ++this.calls === this.#atCall) {
      this.dead = true;
      this.#died();
    }
    if (this.dead) throw new Dead("dead");
  }

  async around<T>(call: () => Promise<T>): Promise<T> {
    try {
      this.moment();
      const result = await call();
      this.moment();
      return result;
    } catch (error) {
      if (error instanceof Dead) return never();
      throw error;
    }
  }
}

class Dead extends Error {}

function mortalStore(store: MemoryStore, death: Death): MemoryStore {
  return Object.assign(Object.create(store) as MemoryStore, {
    read: () => death.around(() => store.read()),
    compareAndSet: (change: Parameters<MemoryStore["compareAndSet"]>[0]) =>
      death.around(() => store.compareAndSet(change)),
    acquireLease: () => death.around(() => store.acquireLease()),
    appendEvent: async () => {},
  });
}

function mortalTraffic(traffic: FakeTraffic, store: MemoryStore, death: Death): TrafficPort {
  /** The law, checked at every call that the living process makes. */
  const lawful = (phases: readonly string[], primary?: Side): void => {
    const route = store.record?.route;
    if (route === undefined || !phases.includes(route.phase)) {
      throw new Error(`an effect in ${route?.phase ?? "nothing"}, which allows it not`);
    }
    if (primary !== undefined && route.primary !== primary) throw new Error("wrong side");
  };
  return {
    prepare: (to, signal) =>
      death.around(() => {
        lawful(["in_sync", "on_new"]);
        return traffic.prepare(to, signal);
      }),
    pause: (deadlineMs) =>
      death.around(() => {
        lawful(["pausing"]);
        return traffic.pause(deadlineMs);
      }),
    move: (to, epoch) =>
      death.around(() => {
        lawful(["decided"], to);
        return traffic.move(to, epoch);
      }),
    resume: () => {
      death.moment();
      lawful(["pausing", "decided"], traffic.primary);
      traffic.resume();
      death.moment();
    },
  };
}

const SCENARIOS: readonly { name: string; arrange: (traffic: FakeTraffic) => void }[] = [
  { name: "all goes well", arrange: () => {} },
  {
    name: "held up",
    arrange: (traffic) => {
      traffic.onPause = async () => ({ kind: "held", holders: [] });
    },
  },
  {
    name: "no standby connection",
    arrange: (traffic) => {
      traffic.onPrepare = async () => ({ ready: 0, failed: 1 });
    },
  },
  {
    name: "the first move fails",
    arrange: (traffic) => {
      let tries = 0;
      traffic.onMove = async () => {
        if (tries++ === 0) throw new Error("not yet");
        return { moved: 1, ended: {} };
      };
    },
  },
];

/** The process that dies. Retries are at once; the limits of prepare and pause never come. */
async function attemptOf(
  to: Side,
  store: MemoryStore,
  traffic: FakeTraffic,
  death: Death,
): Promise<void> {
  const time = new FakeTime();
  const deps = conductorDeps(
    mortalStore(store, death),
    mortalTraffic(traffic, store, death),
    time,
    { sleep: (ms, signal) => (ms < 5_000 ? Promise.resolve() : time.sleep(ms, signal)) },
  );
  const conductor = await openConductor(deps);
  await conductor.switchTo(to, "cutover");
  await conductor.settled();
}

type Check = (ok: boolean, what: string) => void;

/** What a new process makes of the store that the dead one left. */
async function restart(store: MemoryStore, from: Side, check: Check): Promise<void> {
  const before = store.record;
  const primary = before?.route.primary ?? from;
  const decided = primary !== from;
  const traffic = new FakeTraffic(primary);
  const conductor = await openConductor(conductorDeps(store, traffic, new FakeTime()));
  const route = conductor.route();
  const settled = route.primary === "old" ? "in_sync" : "on_new";
  check(route.phase === settled, `settled after the restart, not ${route.phase}`);
  check(route.primary === primary, "back before the decision, forward after it");
  check(traffic.calls.length === 0, "a restart needs no effect");
  const [attempt, ...others] = (await store.attempts()) as readonly Attempt[];
  check(attempt?.state !== "running" && others.length === 0, "no attempt is left running");
  if (attempt !== undefined && before?.attempt !== undefined) {
    check(attempt.state === (decided ? "succeeded" : "aborted"), "and it says how it ended");
    check((attempt.outcome ?? "").includes("Twinwire ended"), "and why");
  }
  const again = await conductor.switchTo(primary === "old" ? "new" : "old", "route");
  check(again.kind === "accepted", "and the next attempt is taken");
  await conductor.settled();
  check(traffic.primary === conductor.route().primary && !traffic.paused, "and succeeds");
}

/** @returns how many moments the whole attempt has, when it was not cut short. */
async function crashAt(
  moment: number,
  from: Side,
  arrange: (traffic: FakeTraffic) => void,
  check: Check,
): Promise<number | undefined> {
  const to: Side = from === "old" ? "new" : "old";
  const phase = from === "old" ? "in_sync" : "on_new";
  const store = new MemoryStore();
  store.record = { route: { phase, primary: from, epoch: 3 }, attempt: undefined, revision: 1 };
  const death = new Death(moment);
  const traffic = new FakeTraffic(from);
  arrange(traffic);
  const run = attemptOf(to, store, traffic, death);
  await Promise.race([run, death.when]);
  await restart(store, from, check);
  return death.dead ? undefined : death.calls;
}

for (const { name, arrange } of SCENARIOS) {
  for (const from of ["old", "new"] as const) {
    await t.test(`${name}, from ${from}: a crash at any moment is settled`, async (test) => {
      for (let moment = 1; moment < 100; moment++) {
        const whole = await crashAt(moment, from, arrange, (ok, what) => {
          test.ok(ok, `crash at moment ${moment}: ${what}`);
        });
        if (whole === undefined) continue;
        test.ok(whole >= 10, `every one of ${whole} moments was tried`);
        return;
      }
      test.fail("the attempt never came to its end");
    });
  }
}
