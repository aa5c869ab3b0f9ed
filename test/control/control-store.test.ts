import t from "tap";
import type { Clock } from "../../src/base/clock.ts";
import type {
  ControlStore,
  MigrationRecord,
  RecordChange,
} from "../../src/control/control-store.ts";
import { openControlStore } from "../../src/control/embedded-control-store.ts";
import {
  type EmbeddedDatabase,
  openEmbeddedDatabase,
} from "../../src/control/embedded-database.ts";
import { temporaryFolder } from "./temporary-folder.ts";

type Opened = { store: ControlStore; database: EmbeddedDatabase; clock: { ms: number } };

async function open(folder: string, eventsKept?: number): Promise<Opened> {
  const database = openEmbeddedDatabase(folder);
  const now = { ms: 1_000 };
  const clock: Clock = { nowMs: () => now.ms, monotonicMs: () => now.ms };
  const deps = eventsKept === undefined ? { clock } : { clock, eventsKept };
  return { store: await openControlStore(database, deps), database, clock: now };
}

function change(
  expectedRevision: number,
  epoch: number,
  more?: Partial<RecordChange>,
): RecordChange {
  return {
    migration: "orders",
    expectedRevision,
    route: { phase: "in_sync", primary: "old", epoch },
    attempt: undefined,
    attempts: [],
    ...more,
  };
}

await t.test("a record changes only from the revision it was read at", async (test) => {
  const { store, database } = await open(temporaryFolder(test));
  test.equal(await store.read("orders"), undefined);
  test.equal((await store.compareAndSet(change(0, 0))).kind, "stored");
  const rows: readonly { expected: number; kind: string; why: string }[] = [
    { expected: 0, kind: "conflict", why: "it exists already" },
    { expected: 2, kind: "conflict", why: "a revision that never was" },
    { expected: 1, kind: "stored", why: "the right one" },
    { expected: 1, kind: "conflict", why: "the right one a moment ago" },
  ];
  for (const { expected, kind, why } of rows) {
    test.equal((await store.compareAndSet(change(expected, 7))).kind, kind, why);
  }
  const lost = await store.compareAndSet(change(1, 9));
  test.strictSame(lost, {
    kind: "conflict",
    record: {
      route: { phase: "in_sync", primary: "old", epoch: 7 },
      attempt: undefined,
      revision: 2,
    },
  });
  database.close();
});

await t.test("the route, the running attempt and the timeline survive a reopen", async (test) => {
  const folder = temporaryFolder(test);
  const first = await open(folder);
  await first.store.compareAndSet(
    change(0, 3, {
      route: { phase: "pausing", primary: "new", epoch: 3 },
      attempt: "a1",
      attempts: [{ id: "a1", migration: "orders", startedAt: "1", timeline: ["pause"] } as never],
    }),
  );
  first.database.close();
  const { store, database } = await open(folder);
  test.strictSame(await store.read("orders"), {
    route: { phase: "pausing", primary: "new", epoch: 3 },
    attempt: "a1",
    revision: 1,
  });
  test.strictSame(await store.attempts("orders", 10), [
    { id: "a1", migration: "orders", startedAt: "1", timeline: ["pause"] },
  ]);
  database.close();
});

await t.test("a refused change saves none of its attempts", async (test) => {
  const { store, database } = await open(temporaryFolder(test));
  await store.compareAndSet(change(0, 0));
  await store.compareAndSet(
    change(5, 1, { attempts: [{ id: "a", migration: "orders", startedAt: "1" }] }),
  );
  test.strictSame(await store.attempts("orders", 10), []);
  database.close();
});

await t.test(
  "attempts are saved step by step and read newest first, each migration its own",
  async (test) => {
    const { store, database } = await open(temporaryFolder(test));
    const startedAt = "2026-01-01T00:00:00.000Z";
    const grown = { id: "a1", migration: "orders", startedAt, timeline: ["pause"] };
    for (const [revision, attempt] of [
      { id: "a1", migration: "orders", startedAt },
      { id: "a2", migration: "orders", startedAt },
      { id: "b1", migration: "billing", startedAt },
      grown,
    ].entries()) {
      await store.compareAndSet(change(revision, 1, { attempts: [attempt] }));
    }
    const orders = (await store.attempts("orders", 10)) as readonly { id: string }[];
    test.strictSame(
      orders.map((attempt) => attempt.id),
      ["a2", "a1"],
    );
    test.strictSame(orders[1], grown);
    test.equal((await store.attempts("orders", 1)).length, 1);
    database.close();
  },
);

await t.test("a watcher sees each stored record of its migration until it stops", async (test) => {
  const { store, database } = await open(temporaryFolder(test));
  const seen: MigrationRecord[] = [];
  const stop = new AbortController();
  store.watch("orders", (record) => seen.push(record), stop.signal);
  await store.compareAndSet(change(0, 1));
  await store.compareAndSet(change(9, 2));
  await store.compareAndSet(change(0, 1, { migration: "billing" }));
  stop.abort();
  await store.compareAndSet(change(1, 2));
  store.watch("orders", (record) => seen.push(record), stop.signal);
  await store.compareAndSet(change(2, 3));
  test.strictSame(
    seen.map((record) => record.revision),
    [1],
  );
  database.close();
});

await t.test("a lease is one holder's until it is released or runs out", async (test) => {
  const folder = temporaryFolder(test);
  const { store, database, clock } = await open(folder);
  const ask = (holder: string) => store.acquireLease({ name: "conductor", holder, forMs: 100 });
  const first = await ask("one");
  test.ok(first);
  test.equal(await ask("two"), undefined, "held");
  test.ok(await ask("one"), "its holder may ask again");
  clock.ms += 50;
  test.equal(await first?.renew(), true);
  clock.ms += 99;
  test.equal(await ask("two"), undefined, "renewed");
  clock.ms += 1;
  const second = await ask("two");
  test.ok(second, "run out");
  test.equal(await first?.renew(), false, "the first holder learns that it lost it");
  await first?.release();
  test.equal(await ask("three"), undefined, "a lost lease cannot be released for its new holder");
  await second?.release();
  test.ok(await ask("three"));
  database.close();
  const reopened = await open(folder);
  test.ok(
    await reopened.store.acquireLease({ name: "conductor", holder: "four", forMs: 1 }),
    "the leases of a process that is gone are void",
  );
  reopened.database.close();
});

await t.test("the newest events are kept", async (test) => {
  const { store, database } = await open(temporaryFolder(test), 3);
  for (let number = 1; number <= 10; number++) {
    await store.appendEvent("orders", { at: "t", type: "phase", detail: { number } });
  }
  await store.appendEvent("billing", { at: "t", type: "phase", detail: { number: 0 } });
  test.strictSame(
    (await store.events("orders", 10)).map((event) => event.detail["number"]),
    [10, 9, 8],
  );
  test.equal((await store.events("billing", 10)).length, 1);
  database.close();
});
