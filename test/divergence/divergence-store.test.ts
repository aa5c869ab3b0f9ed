import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import {
  type EmbeddedDatabase,
  openEmbeddedDatabase,
} from "../../src/control/embedded-database.ts";
import {
  type DivergenceStore,
  type DivergenceStoreDeps,
  openDivergenceStore,
} from "../../src/divergence/divergence-store.ts";
import type { DivergenceItem, Page } from "../../src/divergence/items.ts";
import type { DifferenceReason } from "../../src/compare/verdict.ts";
import { temporaryFolder } from "../control/temporary-folder.ts";
import { COUNT_PROCESS } from "./count-process.ts";
import { occurrenceOf, statementOf } from "./statements.ts";

type Opened = { store: DivergenceStore; database: EmbeddedDatabase; close: () => void };

function open(folder: string, more?: Partial<DivergenceStoreDeps>): Opened {
  const database = openEmbeddedDatabase(folder);
  const store = openDivergenceStore({
    migration: "orders",
    database,
    clock: systemClock,
    log: silentLogger,
    randomBytes,
    samples: { perDivergence: 5, reveal: [], storeRequests: false },
    analyse: () => [],
    ...more,
  });
  return {
    store,
    database,
    close: () => {
      store.close();
      database.close();
    },
  };
}

const ALL = { after: undefined, limit: 10_000 };

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("it did not come to pass within 10 s");
    await setTimeout(5);
  }
}

await t.test("a fingerprint has one set of counters, whatever its literals", async (test) => {
  const { store, close } = open(temporaryFolder(test));
  const coverage = store.coverage(statementOf("a"));
  test.equal(store.coverage(statementOf("a")), coverage);
  test.not(store.coverage(statementOf("b")), coverage);
  close();
});

await t.test("all that was counted survives a restart, and counting goes on", async (test) => {
  const folder = temporaryFolder(test);
  const statement = statementOf("a");
  for (let round = 1; round <= 3; round++) {
    const { store, close } = open(folder);
    const coverage = store.coverage(statement);
    coverage.seen += 10;
    coverage.compared += 7;
    coverage.match += 4;
    coverage.tolerated += 2;
    coverage.divergent += 1;
    coverage.skipped.set("write", (coverage.skipped.get("write") ?? 0) + 2);
    coverage.incomparable.set("clock", (coverage.incomparable.get("clock") ?? 0) + 1);
    coverage.toleratedReasons.set("numeric_scale", 2 * round);
    coverage.recordLatency("old", 1);
    coverage.recordLatency("new", 4);
    store.divergent(occurrenceOf(statement, { primary: "1", shadow: "2", row: 3 }, round * 1000));
    close();
  }
  const { store, close } = open(folder);
  const [item] = store.fingerprints(ALL).items;
  test.match(item, {
    fingerprint: "a",
    statement: statement.normalised,
    seen: 30,
    compared: 21,
    skipped: { write: 6 },
    incomparable: { clock: 3 },
    verdicts: { match: 12, tolerated: 6, divergent: 3, incomparable: 3 },
    latency: { verdict: "indeterminate" },
  });
  test.ok(Math.abs((item?.latency.old.p50Ms ?? 0) - 1) < 0.07);
  test.ok(Math.abs((item?.latency.new.p99Ms ?? 0) - 4) < 0.26);
  test.match(store.totals(), {
    fingerprints: 1,
    seen: 30,
    divergent: 3,
    skipped: { write: 6 },
    toleratedReasons: { numeric_scale: 6 },
  });
  const [divergence] = store.divergences(ALL).items;
  test.match(divergence, {
    count: 3,
    firstSeen: "1970-01-01T00:00:01.000Z",
    lastSeen: "1970-01-01T00:00:03.000Z",
    samples: [{ at: "1970-01-01T00:00:01.000Z", row: 3 }],
  });
  test.equal(divergence?.samples.length, 1, "the same pair of values is one sample");
  test.strictSame(store.divergence(divergence?.id ?? ""), divergence);
  test.equal(store.divergence("nonsense"), undefined);
  close();
});

await t.test("divergences are grouped by fingerprint, reason and column", async (test) => {
  const told: DivergenceItem[] = [];
  const { store, close } = open(temporaryFolder(test), { onDivergence: (item) => told.push(item) });
  const rows: readonly [string, DifferenceReason, string | undefined][] = [
    ["a", "text_value", "name"],
    ["a", "text_value", "name"],
    ["a", "text_value", "city"],
    ["a", "row_count", undefined],
    ["b", "text_value", "name"],
    ["b", "error_on_shadow", undefined],
    ["a", "row_count", undefined],
  ];
  for (const [index, [fingerprint, reason, column]] of rows.entries()) {
    const finding = column === undefined ? { reason } : { reason, column };
    store.divergent(occurrenceOf(statementOf(fingerprint), finding, 1000 + index));
  }
  test.equal(store.divergenceCount(), 5);
  const { items } = store.divergences(ALL);
  test.strictSame(
    items.map(({ fingerprint, reason, column, count }) => [fingerprint, reason, column, count]),
    [
      ["b", "error_on_shadow", undefined, 1],
      ["a", "row_count", undefined, 2],
      ["a", "text_value", "name", 2],
      ["a", "text_value", "city", 1],
      ["b", "text_value", "name", 1],
    ],
    "the gravest first, then the one known longest",
  );
  test.equal(told.length, 5, "each was told once");
  test.equal(told[0]?.count, 1);
  test.equal(new Set(items.map(({ id }) => id)).size, 5);
  test.ok(items.every(({ id }) => /^[0-9a-f]{10}$/.test(id)));
  close();
});

await t.test("an id says the same for ever, and another in another migration", async (test) => {
  const folder = temporaryFolder(test);
  const ids: (string | undefined)[] = [];
  for (const migration of ["orders", "orders", "billing"]) {
    const { store, close } = open(folder, { migration });
    store.divergent(occurrenceOf(statementOf("a"), {}));
    ids.push(store.divergences(ALL).items[0]?.id);
    test.equal(store.divergenceCount(), 1, "migrations do not see each other's");
    close();
  }
  test.equal(ids[0], ids[1]);
  test.not(ids[0], ids[2]);
});

await t.test("memory is bounded: what is beyond the bound is counted together", async (test) => {
  const folder = temporaryFolder(test);
  const bounds = { maxFingerprints: 10, maxDivergences: 5 };
  const { store, close } = open(folder, bounds);
  for (let number = 0; number < 100; number++) {
    const statement = statementOf(`f${number}`);
    store.coverage(statement).seen++;
    store.divergent(occurrenceOf(statement, { column: "name", primary: "x", shadow: "y" }));
    store.divergent(occurrenceOf(statement, { reason: "row_count" }));
  }
  const check = (of: DivergenceStore): void => {
    const { items } = of.fingerprints(ALL);
    test.equal(items.length, 11);
    test.match(items[0], { fingerprint: "(other)", seen: 90 });
    test.equal(of.totals().seen, 100);
    const divergences = of.divergences(ALL).items;
    test.equal(divergences.length, 5 + 2, "the rest has one for each reason");
    test.equal(
      divergences.reduce((sum, { count }) => sum + count, 0),
      200,
    );
    const rest = divergences.filter(({ fingerprint }) => fingerprint === "(other)");
    test.ok(rest.every(({ samples, column }) => samples.length === 0 && column === undefined));
  };
  check(store);
  close();
  const again = open(folder, bounds);
  check(again.store);
  again.close();
});

await t.test("different samples are kept up to the limit, equal ones once", async (test) => {
  const { store, close } = open(temporaryFolder(test), {
    samples: { perDivergence: 3, reveal: [], storeRequests: false },
  });
  const statement = statementOf("a");
  for (let number = 0; number < 50; number++) {
    const value = String(Math.floor(number / 10));
    store.divergent(occurrenceOf(statement, { primary: value, shadow: "0" }));
  }
  const [item] = store.divergences(ALL).items;
  test.equal(item?.count, 50);
  test.equal(item?.samples.length, 3);
  test.equal(
    item?.samples[0]?.primary,
    item?.samples[1]?.shadow,
    "equal values mask equal, on both sides",
  );
  close();
});

await t.test("no value of a customer is in the file", async (test) => {
  const folder = temporaryFolder(test);
  const { store, database, close } = open(folder, {
    samples: { perDivergence: 5, reveal: ["status"], storeRequests: false },
  });
  const secret = "Erika-Mustermann-4711";
  for (const reason of ["text_value", "error_on_shadow", "command_tag", "row_missing"] as const) {
    const finding = { reason, primary: `22P02 for "${secret}"`, shadow: secret };
    store.divergent(occurrenceOf(statementOf("a"), finding));
  }
  store.divergent(
    occurrenceOf(statementOf("a"), { column: "status", primary: "shipped-out", shadow: "lost" }),
  );
  store.flush();
  database.all("PRAGMA wal_checkpoint(TRUNCATE)");
  const file = readFileSync(join(folder, "twinwire.db"), "latin1");
  test.notMatch(file, secret);
  test.match(file, "shipped-out", "only what is revealed");
  test.match(file, "22P02", "and SQLSTATEs");
  close();
});

await t.test("pages follow each other and end", async (test) => {
  const { store, close } = open(temporaryFolder(test));
  for (let number = 0; number < 25; number++) {
    const statement = statementOf(`f${String(number).padStart(2, "0")}`);
    store.coverage(statement).seen += number;
    store.divergent(occurrenceOf(statement, {}, number));
  }
  const walk = <T>(page: (after: string | undefined) => Page<T>): T[] => {
    const all: T[] = [];
    let after: string | undefined;
    do {
      const { items, next } = page(after);
      test.ok(items.length <= 10);
      all.push(...items);
      after = next ?? undefined;
    } while (after !== undefined);
    return all;
  };
  const divergences = walk((after) => store.divergences({ after, limit: 10 }));
  test.strictSame(divergences, store.divergences(ALL).items);
  const fingerprints = walk((after) => store.fingerprints({ after, limit: 10 }));
  test.equal(fingerprints.length, 25);
  test.equal(fingerprints[0]?.seen, 24, "the most frequent first");
  test.strictSame(store.divergences({ after: "unknown", limit: 10 }), { items: [], next: null });
  test.equal(store.divergences({ after: undefined, limit: 0 }).items.length, 1);
  close();
});

await t.test("a table drifts once and stays drifted", async (test) => {
  const folder = temporaryFolder(test);
  const first = open(folder);
  first.store.saveDrifted("orders", "the write timed out");
  first.store.saveDrifted("orders", "another reason");
  first.store.saveDrifted("items", "the shadow was down");
  first.close();
  const { store, close } = open(folder);
  const drifted = store.drifted();
  test.strictSame(drifted.map(({ table, reason }) => `${table}: ${reason}`).sort(), [
    "items: the shadow was down",
    "orders: the write timed out",
  ]);
  test.ok(drifted.every(({ since }) => !Number.isNaN(Date.parse(since))));
  close();
});

await t.test("a kill -9 loses what was not yet flushed, and nothing else", async (test) => {
  const folder = temporaryFolder(test);
  for (let round = 1; round <= 2; round++) {
    const child = spawn(process.execPath, [COUNT_PROCESS, folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    test.teardown(() => child.kill("SIGKILL"));
    const before = round === 1 ? 0 : 20;
    let stored = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      stored = Number(line.replace("stored ", ""));
      if (stored > before + 20) break;
    }
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
    const { store, close } = open(folder);
    test.ok((store.divergences(ALL).items[0]?.count ?? 0) >= stored);
    test.ok(store.totals().seen >= stored);
    close();
  }
});

await t.test(
  "a store that fails is complained about once and does not stop the counting",
  async (test) => {
    const errors: string[] = [];
    const log = {
      ...silentLogger,
      error: (_fields: object, message: string) => errors.push(message),
    };
    const { store, database } = open(temporaryFolder(test), { log, flushEveryMs: 5 });
    store.coverage(statementOf("a")).seen++;
    await until(() => database.all("SELECT * FROM coverage").length === 1);
    database.close();
    store.coverage(statementOf("a")).seen++;
    await until(() => errors.length > 0);
    await setTimeout(50);
    test.strictSame(errors, ["counters were not stored"]);
    test.equal(store.coverage(statementOf("a")).seen, 2);
    test.throws(() => store.close(), { code: "store_failed" }, "closing says so too");
  },
);

await t.test("many fingerprints are written in slices, all of them", async (test) => {
  const folder = temporaryFolder(test);
  const { store, database, close } = open(folder, { flushEveryMs: 5 });
  for (let number = 0; number < 1500; number++) store.coverage(statementOf(`f${number}`)).seen++;
  await until(() => database.all("SELECT 1 FROM coverage").length === 1500);
  close();
  const again = open(folder);
  test.equal(again.store.totals().seen, 1500);
  again.close();
});
