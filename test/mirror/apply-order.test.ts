import fc from "fast-check";
import t from "tap";
import { ApplyOrder } from "../../src/mirror/apply-order.ts";
import type { Turn } from "../../src/mirror/apply-order.ts";

/** A transaction of the model: what it is, and what became of it. */
type Entry = { readonly id: number; readonly writes: boolean; turn: Turn; state: State };
type State = "waiting" | "running" | "left";

/** Enter a transaction, or let the nth of those that have not left leave or hold its place no longer. */
const step = fc.oneof(
  fc.record({ enter: fc.constantFrom("write", "read", "held") }),
  fc.record({ release: fc.nat(20) }),
  fc.record({ leave: fc.nat(20) }),
);

function play(
  steps: readonly ({ enter: string } | { leave: number } | { release: number })[],
  check: (entries: readonly Entry[]) => void,
): void {
  const order = new ApplyOrder();
  const entries: Entry[] = [];
  for (const now of steps) {
    if ("enter" in now) {
      const writes = now.enter !== "read";
      const turn = {
        writes,
        start: () => {
          if (turn.held) throw new Error("it holds its place");
          entry.state = "running";
        },
        held: now.enter === "held",
      };
      const entry: Entry = { id: entries.length, writes, turn, state: "waiting" };
      entries.push(entry);
      order.enter(turn);
    } else if ("release" in now) {
      const held = entries.filter(({ turn, state }) => turn.held && state === "waiting");
      const released = held[now.release % Math.max(1, held.length)];
      if (released !== undefined) order.release(released.turn);
    } else {
      const present = entries.filter(({ state }) => state !== "left");
      const leaving = present[now.leave % Math.max(1, present.length)];
      if (leaving === undefined) continue;
      leaving.state = "left";
      if (!order.leave(leaving.turn)) throw new Error("it was there");
      if (order.leave(leaving.turn)) throw new Error("it cannot leave twice");
    }
    if (order.size !== entries.filter(({ state }) => state !== "left").length) {
      throw new Error("size counts what has not left");
    }
    check(entries);
  }
}

await t.test("a writing transaction never runs beside another one", (test) => {
  test.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        play(steps, (entries) => {
          const running = entries.filter(({ state }) => state === "running");
          if (running.some(({ writes }) => writes) && running.length > 1) throw new Error("beside");
        });
      }),
    ),
  );
  test.end();
});

await t.test("transactions begin in the order in which they entered", (test) => {
  test.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        play(steps, (entries) => {
          const firstWaiting = entries.find(({ state }) => state === "waiting")?.id ?? Infinity;
          if (entries.some(({ state, id }) => state === "running" && id > firstWaiting)) {
            throw new Error("one overtook another");
          }
        });
      }),
    ),
  );
  test.end();
});

await t.test("nothing waits without something that it waits for", (test) => {
  test.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        play(steps, (entries) => {
          const first = entries.find(({ state }) => state === "waiting");
          const runs = entries.some(({ state }) => state === "running");
          if (first !== undefined && !first.turn.held && !runs) throw new Error("stuck");
        });
      }),
    ),
  );
  test.end();
});

/** A shadow that is down gives a transaction up at the moment it is started. */
await t.test("a transaction may leave while it is being started", (test) => {
  const order = new ApplyOrder();
  const started: string[] = [];
  const first: Turn = {
    writes: true,
    start: () => {
      started.push("first");
      order.leave(first);
    },
    held: false,
  };
  order.enter(first);
  order.enter({ writes: true, start: () => started.push("second"), held: false });
  test.same(started, ["first", "second"]);
  test.equal(order.size, 1);
  test.end();
});

await t.test("it is idle when nothing is owed and no write is under way", (test) => {
  const order = new ApplyOrder();
  test.ok(order.idle);
  order.expect();
  order.expect();
  test.notOk(order.idle, "two writes are under way");
  const turn: Turn = { writes: true, start: () => {}, held: false };
  order.settled(2);
  order.enter(turn);
  test.notOk(order.idle, "a committed one is owed");
  order.leave(turn);
  test.ok(order.idle);
  test.end();
});
