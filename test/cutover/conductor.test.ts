import { setTimeout } from "node:timers/promises";
import t from "tap";
import { openConductor, recoverRoute } from "../../src/cutover/conductor.ts";
import type { Attempt } from "../../src/cutover/attempt.ts";
import type { ReadinessFacts } from "../../src/cutover/readiness.ts";
import type { Holder } from "../../src/routing/traffic-port.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Sleep } from "../../src/cutover/settle-within.ts";
import { openControlStore } from "../../src/control/embedded-control-store.ts";
import { openEmbeddedDatabase } from "../../src/control/embedded-database.ts";
import { temporaryFolder } from "../control/temporary-folder.ts";
import { conductorDeps, FakeTime, FakeTraffic, MemoryStore, never, READY } from "./ports.ts";

const systemSleep: Sleep = (ms, signal) => setTimeout(ms, undefined, { signal });

function steps(attempt: Attempt | undefined): readonly string[] {
  return (attempt?.timeline ?? []).map((step) => step.step);
}

/** Lets everything that can run without time passing run. */
async function ticks(): Promise<void> {
  for (let tick = 0; tick < 20; tick++) await new Promise((resolve) => setImmediate(resolve));
}

await t.test("a cutover and its rollback move the traffic there and back", async (test) => {
  const store = new MemoryStore();
  const traffic = new FakeTraffic("old");
  const time = new FakeTime();
  traffic.onMove = async () => {
    time.advance(34);
    return { moved: 3, ended: { listen: 1, temporary_table: 0 } };
  };
  const conductor = await openConductor(conductorDeps(store, traffic, time));
  test.strictSame(conductor.route(), { phase: "in_sync", primary: "old", epoch: 0 });
  for (const [to, verb, epoch, phase] of [
    ["new", "cutover", 1, "on_new"],
    ["old", "rollback", 2, "in_sync"],
  ] as const) {
    traffic.calls.length = 0;
    const beganMs = time.nowMs;
    const outcome = await conductor.switchTo(to, verb);
    test.match(outcome, { kind: "accepted", attempt: { state: "running", verb, to, epoch } });
    await conductor.settled();
    test.strictSame(traffic.calls, [
      `prepare ${to}`,
      `pause until ${beganMs + 5_000}`,
      `move ${to} ${epoch}`,
      "resume",
    ]);
    test.equal(traffic.primary, to);
    test.strictSame(conductor.route(), { phase, primary: to, epoch });
    const attempt = conductor.attempts()[0];
    test.match(attempt, {
      state: "succeeded",
      pauseMs: 34,
      outcome: `Traffic is on ${to}: 3 sessions moved, 1 ended (listen 1).`,
    });
    test.strictSame(steps(attempt), ["prepare", "pause", "decide", "move", "resume"]);
    test.match(attempt?.timeline[3], { atMs: 0, tookMs: 34 });
    test.strictSame(store.documents.get(attempt?.id ?? ""), attempt, "stored as it is shown");
    test.ok(traffic.standby?.aborted, "unused standby connections are given up");
  }
  test.strictSame(
    store.history.map((record) => `${record.route.phase} ${record.route.primary}`),
    [
      "in_sync old",
      "in_sync old",
      "pausing old",
      "decided new",
      "on_new new",
      "on_new new",
      "pausing new",
      "decided old",
      "in_sync old",
    ],
  );
  test.strictSame(
    store.told.filter((event) => event.type === "attempt").map((event) => event.detail["state"]),
    ["running", "succeeded", "running", "succeeded"],
  );
});

await t.test("who holds the pause up is named, and traffic goes on where it was", async (test) => {
  const holder: Holder = {
    session: 7,
    user: "app",
    applicationName: "billing",
    client: "10.0.0.7:5123",
    reason: "open_transaction",
    forMs: 61_000,
    statement: "UPDATE orders SET state = $1",
  };
  const rows: readonly { holders: readonly Holder[]; says: readonly string[]; why: string }[] = [
    {
      holders: [
        { ...holder, user: "brief", forMs: 10, reason: "running_statement", applicationName: "" },
        holder,
      ],
      says: [
        "user app (billing) at 10.0.0.7:5123, open transaction for 61000 ms, last: UPDATE orders SET state = $1; user brief at",
        "running a statement for 10 ms",
        "within 5000 ms, so traffic goes on at old",
      ],
      why: "the longest first",
    },
    {
      holders: [1, 2, 3, 4, 5].map((session) => ({ ...holder, session })),
      says: ["; and 2 more."],
      why: "many are counted",
    },
    {
      holders: [{ ...holder, user: "", reason: "shadow_queue", statement: "3 writes are owed" }],
      says: ["Held up by dual writing: 3 writes are owed."],
      why: "nobody's session",
    },
    { holders: [], says: ["sessions that were not named"], why: "none given" },
  ];
  for (const { holders, says, why } of rows) {
    const store = new MemoryStore();
    const traffic = new FakeTraffic("old");
    traffic.onPause = async () => ({ kind: "held", holders });
    const conductor = await openConductor(conductorDeps(store, traffic, new FakeTime()));
    await conductor.switchTo("new", "cutover");
    await conductor.settled();
    const attempt = conductor.attempts()[0];
    test.equal(attempt?.state, "failed", why);
    for (const words of says) test.match(attempt?.outcome, words, why);
    test.strictSame(attempt?.holders, holders);
    test.notOk(traffic.paused);
    test.strictSame(traffic.calls.slice(-1), ["resume"]);
    test.strictSame(conductor.route(), { phase: "in_sync", primary: "old", epoch: 1 });
    await conductor.switchTo("new", "cutover");
    test.equal(conductor.route().epoch, 2, "and it may be tried again");
    await conductor.settled();
  }
});

await t.test("a step that never ends is given up at its limit", async (test) => {
  const rows = [
    { hangs: "prepare", afterMs: 30_000, says: "were not open within 30000 ms" },
    { hangs: "pause", afterMs: 6_000, says: "did not come to rest within 5000 ms" },
  ] as const;
  for (const { hangs, afterMs, says } of rows) {
    const time = new FakeTime();
    const traffic = new FakeTraffic("old");
    if (hangs === "prepare") traffic.onPrepare = never;
    else traffic.onPause = never;
    const conductor = await openConductor(conductorDeps(new MemoryStore(), traffic, time));
    await conductor.switchTo("new", "route");
    await ticks();
    time.advance(afterMs - 1);
    await ticks();
    test.equal(conductor.attempts()[0]?.state, "running");
    time.advance(1);
    await conductor.settled();
    test.match(conductor.attempts()[0], { state: "failed", outcome: new RegExp(says) });
    test.notOk(traffic.paused);
    test.ok(traffic.standby?.aborted);
    test.equal(conductor.route().primary, "old");
  }
});

await t.test(
  "a port that fails before the decision leaves the traffic where it was",
  async (test) => {
    const rows: readonly { name: string; breaks: (traffic: FakeTraffic) => void; says: string }[] =
      [
        {
          name: "prepare rejects",
          breaks: (traffic) => {
            traffic.onPrepare = () => Promise.reject(new Error("no route to host"));
          },
          says: "The prepare failed, so traffic stays on old: no route to host",
        },
        {
          name: "prepare opens nothing",
          breaks: (traffic) => {
            traffic.onPrepare = async () => ({ ready: 0, failed: 4 });
          },
          says: "No connection to new could be opened for any of 4 sessions; traffic stays on old.",
        },
        {
          name: "pause rejects",
          breaks: (traffic) => {
            traffic.onPause = () => Promise.reject(new Error("broken"));
          },
          says: "The pause failed, so traffic stays on old: broken",
        },
      ];
    for (const { name, breaks, says } of rows) {
      const traffic = new FakeTraffic("old");
      breaks(traffic);
      const conductor = await openConductor(
        conductorDeps(new MemoryStore(), traffic, new FakeTime()),
      );
      await conductor.switchTo("new", "route");
      await conductor.settled();
      test.match(conductor.attempts()[0], { state: "failed", outcome: says }, name);
      test.notOk(traffic.paused, name);
      test.equal(traffic.primary, "old", name);
    }
  },
);

await t.test("no session at all is no reason to fail", async (test) => {
  const traffic = new FakeTraffic("old");
  traffic.onPrepare = async () => ({ ready: 0, failed: 0 });
  const conductor = await openConductor(conductorDeps(new MemoryStore(), traffic, new FakeTime()));
  await conductor.switchTo("new", "route");
  await conductor.settled();
  test.equal(conductor.attempts()[0]?.state, "succeeded");
});

await t.test("after the decision a failing move is tried until it works", async (test) => {
  const time = new FakeTime();
  const traffic = new FakeTraffic("old");
  const store = new MemoryStore();
  let failures = 4;
  traffic.onMove = async () => {
    if (failures-- > 0) throw new Error("not yet");
    return { moved: 1, ended: {} };
  };
  const conductor = await openConductor(conductorDeps(store, traffic, time));
  await conductor.switchTo("new", "cutover");
  while (conductor.attempts()[0]?.state === "running") {
    await ticks();
    test.ok(traffic.paused || traffic.primary === "new", "clients wait for the new side");
    time.advance((time.next() ?? time.nowMs) - time.nowMs);
  }
  test.match(conductor.attempts()[0], { state: "succeeded", pauseMs: 10 + 100 + 1000 + 1000 });
  test.equal(traffic.primary, "new");
  test.notOk(traffic.paused);
});

await t.test("an attempt can be aborted until it has decided, and not afterwards", async (test) => {
  for (const at of ["prepare", "pause"] as const) {
    const traffic = new FakeTraffic("old");
    if (at === "prepare") traffic.onPrepare = never;
    else traffic.onPause = never;
    const conductor = await openConductor(
      conductorDeps(new MemoryStore(), traffic, new FakeTime()),
    );
    test.match(await conductor.abort(), { kind: "conflict", message: /no attempt is under way/i });
    await conductor.switchTo("new", "cutover");
    await ticks();
    const outcome = await conductor.abort();
    test.match(outcome, {
      kind: "accepted",
      attempt: { state: "aborted", outcome: "Aborted by request; traffic stays on old." },
    });
    test.notOk(traffic.paused);
    test.equal(conductor.route().primary, "old");
  }
  const traffic = new FakeTraffic("old");
  let finish: (() => void) | undefined;
  traffic.onMove = () =>
    new Promise((resolve) => {
      finish = () => resolve({ moved: 1, ended: {} });
    });
  const conductor = await openConductor(conductorDeps(new MemoryStore(), traffic, new FakeTime()));
  await conductor.switchTo("new", "cutover");
  await ticks();
  test.match(await conductor.abort(), { kind: "conflict", message: /decided for new/ });
  finish?.();
  await conductor.settled();
  test.equal(conductor.attempts()[0]?.state, "succeeded");
});

await t.test("a second attempt while one runs is a conflict", async (test) => {
  const traffic = new FakeTraffic("old");
  traffic.onPause = never;
  const conductor = await openConductor(conductorDeps(new MemoryStore(), traffic, new FakeTime()));
  const [first, second] = await Promise.all([
    conductor.switchTo("new", "cutover"),
    conductor.switchTo("new", "cutover"),
  ]);
  test.equal(first.kind, "accepted");
  test.match(second, { kind: "conflict", message: /under way/ });
  await ticks();
  test.equal((await conductor.switchTo("new", "route")).kind, "conflict");
  await conductor.close();
});

await t.test("the side that is the primary already is refused in words", async (test) => {
  const conductor = await openConductor(
    conductorDeps(new MemoryStore(), new FakeTraffic("old"), new FakeTime()),
  );
  const outcome = await conductor.switchTo("old", "rollback");
  test.strictSame(outcome, { kind: "conflict", message: "Old is the primary already." });
  test.strictSame(conductor.attempts(), []);
});

await t.test("a failed guard refuses what it guards, unless forced", async (test) => {
  const unreachable: ReadinessFacts = {
    ...READY,
    target: { reachable: false, detail: "connection refused" },
  };
  const divergent: ReadinessFacts = { ...READY, openDivergences: 3 };
  const drifted: ReadinessFacts = { ...READY, driftedTables: ["orders"] };
  const rows = [
    { facts: unreachable, verb: "route", guard: "target_reachable" },
    { facts: unreachable, verb: "cutover", guard: "target_reachable" },
    { facts: unreachable, verb: "rollback", guard: "target_reachable" },
    { facts: divergent, verb: "route", guard: undefined },
    { facts: divergent, verb: "cutover", guard: "open_divergences" },
    { facts: divergent, verb: "rollback", guard: undefined },
    { facts: drifted, verb: "route", guard: undefined },
    { facts: drifted, verb: "cutover", guard: "drifted_tables" },
    { facts: drifted, verb: "rollback", guard: "drifted_tables" },
  ] as const;
  for (const { facts, verb, guard } of rows) {
    const traffic = new FakeTraffic("old");
    const conductor = await openConductor(
      conductorDeps(new MemoryStore(), traffic, new FakeTime(), { facts: () => facts }),
    );
    const outcome = await conductor.switchTo("new", verb);
    if (guard === undefined) {
      test.equal(outcome.kind, "accepted", verb);
    } else {
      test.match(outcome, { kind: "refused", guards: [{ name: guard, ok: false }] }, verb);
      test.equal(traffic.calls.length, 0);
      test.equal((await conductor.switchTo("new", verb, { force: true })).kind, "accepted");
    }
    await conductor.settled();
  }
});

await t.test(
  "a store that fails before the decision ends the attempt, clients go on",
  async (test) => {
    for (const phase of ["pausing", "decided"] as const) {
      for (const when of ["before", "after"] as const) {
        const store = new MemoryStore();
        const traffic = new FakeTraffic("old");
        const conductor = await openConductor(conductorDeps(store, traffic, new FakeTime()));
        store.around = (moment, change) => {
          if (change.route.phase === phase && moment === when) throw new Error("the disk is full");
        };
        await conductor.switchTo("new", "cutover");
        await conductor.settled();
        store.around = () => {};
        const name = `${phase}, ${when} it was stored`;
        const decided = phase === "decided" && when === "after";
        test.equal(conductor.attempts()[0]?.state, decided ? "succeeded" : "failed", name);
        test.equal(traffic.primary, decided ? "new" : "old", name);
        test.equal(conductor.route().primary, traffic.primary, name);
        test.equal(store.record?.route.primary, traffic.primary, name);
        test.notOk(traffic.paused, name);
        test.equal(steps(conductor.attempts()[0]).includes("decide"), decided, name);
        const next = await conductor.switchTo(decided ? "old" : "new", "route");
        test.equal(next.kind, "accepted", `${name}: the next attempt is taken`);
        await conductor.settled();
        test.equal(conductor.attempts()[0]?.state, "succeeded", name);
        test.equal(store.record?.attempt, undefined, name);
      }
    }
  },
);

await t.test("a store that fails at the end does not keep the clients waiting", async (test) => {
  const store = new MemoryStore();
  const traffic = new FakeTraffic("old");
  const conductor = await openConductor(conductorDeps(store, traffic, new FakeTime()));
  store.around = (moment, change) => {
    if (change.route.phase === "on_new" && moment === "before") throw new Error("full");
  };
  await conductor.switchTo("new", "cutover");
  await conductor.settled();
  test.notOk(traffic.paused);
  test.strictSame(conductor.route(), { phase: "on_new", primary: "new", epoch: 1 });
  test.equal(store.record?.route.phase, "decided");
  store.around = () => {};
  await conductor.switchTo("old", "rollback");
  await conductor.settled();
  test.strictSame(store.record?.route, { phase: "in_sync", primary: "old", epoch: 2 });
  const states = (await store.attempts()) as readonly Attempt[];
  test.strictSame(
    states.map((attempt) => attempt.state),
    ["succeeded", "succeeded"],
    "what could not be stored then is stored later",
  );
});

await t.test("whether it was decided is asked until the store says", async (test) => {
  const store = new MemoryStore();
  const traffic = new FakeTraffic("old");
  const time = new FakeTime();
  const conductor = await openConductor(conductorDeps(store, traffic, time));
  store.around = (moment, change) => {
    if (change.route.phase !== "decided" || moment !== "after") return;
    store.readFails = 3;
    throw new Error("connection lost");
  };
  await conductor.switchTo("new", "cutover");
  for (let asked = 0; asked < 3; asked++) {
    await ticks();
    test.ok(traffic.paused, "nobody may go on while the outcome is unknown");
    time.advance(200);
  }
  await conductor.settled();
  test.equal(traffic.primary, "new");
  test.notOk(traffic.paused);
});

await t.test("a verb that cannot be stored is not begun", async (test) => {
  const store = new MemoryStore();
  const traffic = new FakeTraffic("old");
  const conductor = await openConductor(conductorDeps(store, traffic, new FakeTime()));
  store.around = () => {
    throw new Error("the disk is full");
  };
  await test.rejects(conductor.switchTo("new", "cutover"), { message: "the disk is full" });
  test.strictSame(traffic.calls, []);
  store.around = () => {};
  test.equal((await conductor.switchTo("new", "cutover")).kind, "accepted");
  await conductor.settled();
  test.equal(traffic.primary, "new");
});

await t.test("a record changed by somebody else is followed", async (test) => {
  const rows = [
    { during: "pausing", theirs: "old", why: "they aborted us" },
    { during: "decided", theirs: "old", why: "they aborted us in the last moment" },
    { during: "decided", theirs: "new", why: "they decided before us" },
  ] as const;
  for (const { during, theirs, why } of rows) {
    const store = new MemoryStore();
    const traffic = new FakeTraffic("old");
    const conductor = await openConductor(conductorDeps(store, traffic, new FakeTime()));
    store.around = (moment, change) => {
      if (moment !== "before" || change.route.phase !== during) return;
      store.around = () => {};
      const phase = theirs === "old" ? "in_sync" : "on_new";
      store.record = {
        route: { phase, primary: theirs, epoch: 9 },
        attempt: undefined,
        revision: 50,
      };
    };
    await conductor.switchTo("new", "cutover");
    await conductor.settled();
    test.match(
      conductor.attempts()[0],
      { state: "failed", outcome: `Another process changed the route; traffic is on ${theirs}.` },
      why,
    );
    test.equal(traffic.primary, theirs, why);
    test.notOk(traffic.paused, why);
    test.equal(conductor.route().epoch, 9, why);
  }
});

await t.test("closing gives up before the decision and waits after it", async (test) => {
  const hanging = new FakeTraffic("old");
  hanging.onPause = never;
  const first = await openConductor(conductorDeps(new MemoryStore(), hanging, new FakeTime()));
  const began = first.switchTo("new", "cutover");
  await Promise.all([first.close(), began]);
  test.equal(first.attempts()[0]?.state, "aborted");
  test.notOk(hanging.paused);
  test.match(await first.switchTo("new", "cutover"), { kind: "conflict", message: /shutting/ });

  const moving = new FakeTraffic("old");
  let finish: (() => void) | undefined;
  moving.onMove = () =>
    new Promise((resolve) => {
      finish = () => resolve({ moved: 1, ended: {} });
    });
  const second = await openConductor(conductorDeps(new MemoryStore(), moving, new FakeTime()));
  await second.switchTo("new", "cutover");
  await ticks();
  const closed = second.close();
  finish?.();
  await closed;
  test.equal(second.attempts()[0]?.state, "succeeded");
});

await t.test("an event listener that throws does not stop the attempt", async (test) => {
  const traffic = new FakeTraffic("old");
  const deps = conductorDeps(new MemoryStore(), traffic, new FakeTime(), {
    onEvent: () => {
      throw new Error("no");
    },
  });
  const conductor = await openConductor(deps);
  await conductor.switchTo("new", "cutover");
  await conductor.settled();
  test.equal(traffic.primary, "new");
});

await t.test("with the real store the route and the attempts survive a restart", async (test) => {
  const folder = temporaryFolder(test);
  const time = { clock: systemClock, sleep: systemSleep };
  for (const [to, verb] of [
    ["new", "cutover"],
    ["old", "rollback"],
    ["new", "route"],
  ] as const) {
    const database = openEmbeddedDatabase(folder);
    const store = await openControlStore(database, { clock: systemClock });
    const from = await recoverRoute({ migration: "orders", store, clock: systemClock });
    const traffic = new FakeTraffic(from.primary);
    const deps = { ...conductorDeps(store, traffic, new FakeTime()), ...time };
    const conductor = await openConductor({ ...deps, newId: () => `${verb}-1` });
    await conductor.switchTo(to, verb);
    await conductor.settled();
    test.equal(traffic.primary, to);
    await conductor.close();
    database.close();
  }
  const database = openEmbeddedDatabase(folder);
  const store = await openControlStore(database, { clock: systemClock });
  const deps = conductorDeps(store, new FakeTraffic("new"), new FakeTime());
  const conductor = await openConductor(deps);
  test.strictSame(conductor.route(), { phase: "on_new", primary: "new", epoch: 3 });
  test.strictSame(
    conductor.attempts().map((attempt) => `${attempt.id} ${attempt.state}`),
    ["route-1 succeeded", "rollback-1 succeeded", "cutover-1 succeeded"],
  );
  test.strictSame(steps(conductor.attempt("route-1")).length, 5);
  test.ok((await store.events("orders", 100)).length >= 6);
  database.close();
});
