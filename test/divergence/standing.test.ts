/** Which differences are open: what confirms them, what sets them aside, what brings them back. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { silentLogger } from "../../src/base/logger.ts";
import type { CompareRule } from "../../src/compare/rule.ts";
import type { DifferenceReason } from "../../src/compare/verdict.ts";
import { openEmbeddedDatabase } from "../../src/control/embedded-database.ts";
import {
  type DivergenceStore,
  type DivergenceStoreDeps,
  openDivergenceStore,
} from "../../src/divergence/divergence-store.ts";
import type { RecordedExchange } from "../../src/divergence/recorded-exchange.ts";
import type { Occurrence } from "../../src/divergence/recorder.ts";
import { ruleFrom } from "../../src/divergence/rule-from-finding.ts";
import { DIVERGENCE_SCHEMA } from "../../src/divergence/schema.ts";
import { temporaryFolder } from "../control/temporary-folder.ts";
import { occurrenceOf, statementOf } from "./statements.ts";

const FINGERPRINT = "1f0e5c2a9b7d4438";
const STATEMENT = statementOf(FINGERPRINT);
const SECRET = "Zwetschgenkuchen";

type Opened = { store: DivergenceStore; told: string[]; at: (ms: number) => void; close(): void };

function open(folder: string, more: Partial<DivergenceStoreDeps> = {}): Opened {
  const database = openEmbeddedDatabase(folder);
  let nowMs = 5_000;
  const told: string[] = [];
  const store = openDivergenceStore({
    migration: "orders",
    database,
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    log: silentLogger,
    randomBytes,
    samples: { perDivergence: 5, reveal: [], storeRequests: false },
    analyse: () => [STATEMENT],
    onDivergence: ({ id }) => told.push(id),
    ...more,
  });
  return {
    store,
    told,
    at: (ms) => (nowMs = ms),
    close() {
      store.close();
      database.all("PRAGMA wal_checkpoint(TRUNCATE)");
      database.close();
    },
  };
}

function totalDiffers(atMs: number, more: Partial<Occurrence> = {}): Occurrence {
  const finding = { reason: "numeric_value" as const, column: "total", primary: "1", shadow: "2" };
  return { ...occurrenceOf(STATEMENT, finding, atMs), ...more };
}

/** The only one there is. */
function only(store: DivergenceStore) {
  const { items } = store.divergences({ after: undefined, limit: 10 }, "all");
  const [item] = items;
  if (item === undefined || items.length !== 1) throw new Error(`${items.length} differences`);
  return item;
}

await t.test("an unsettled difference becomes confirmed, under the same id", async (test) => {
  const folder = temporaryFolder(test);
  const { store, told, close } = open(folder);
  store.unsettled(totalDiffers(1_000, { settled: "The data changed all the time." }));
  const { id, state, settled } = only(store);
  test.strictSame([state, settled], ["unsettled", "The data changed all the time."]);
  test.strictSame([store.divergenceCount(), store.divergenceCount("unsettled")], [0, 1]);
  test.strictSame(told, [], "nobody is told of what may be nothing");
  const { finding } = totalDiffers(0);
  test.equal(store.isConfirmed(STATEMENT, finding), false);
  store.divergent(totalDiffers(2_000, { settled: "Asked twice." }));
  test.match(only(store), { id, state: "confirmed", settled: "Asked twice.", count: 2 });
  test.strictSame(told, [id]);
  test.equal(store.isConfirmed(STATEMENT, finding), true);
  store.unsettled(totalDiffers(3_000, { settled: "Not this time." }));
  test.match(only(store), { state: "confirmed", settled: "Asked twice.", count: 3 });
  close();
  const again = open(folder);
  test.match(only(again.store), { id, state: "confirmed", settled: "Asked twice.", count: 3 });
  again.close();
});

await t.test("what is closed is open again when it is seen again, and not before", async (test) => {
  const folder = temporaryFolder(test);
  const { store, told, at, close } = open(folder);
  store.divergent(totalDiffers(1_000));
  const { id } = only(store);
  at(2_000);
  test.match(store.closeDivergence(id), { state: "closed", settled: /Closed by the operator at/ });
  store.divergent(totalDiffers(1_999));
  test.equal(only(store).state, "closed", "that one was judged before");
  test.equal(store.isConfirmed(STATEMENT, totalDiffers(0).finding), false, "it is asked for anew");
  close();
  const again = open(folder);
  test.equal(only(again.store).state, "closed");
  again.store.unsettled(totalDiffers(9_000));
  test.equal(only(again.store).state, "unsettled", "it may be nothing this time");
  again.store.divergent(totalDiffers(9_001));
  test.equal(only(again.store).state, "confirmed");
  test.strictSame([told, again.told], [[id], [id]], "it is told again");
  test.equal(again.store.closeDivergence("none"), undefined);
  again.close();
});

await t.test(
  "asking again on demand is noted, and only confirming changes the state",
  async (test) => {
    const { store, close } = open(temporaryFolder(test));
    store.unsettled(totalDiffers(1_000));
    const { id } = only(store);
    store.askedAgain(id, false, "The sides agreed.");
    test.match(only(store), { state: "unsettled", settled: "The sides agreed." });
    store.askedAgain(id, true, "They still differed.");
    test.match(only(store), { state: "confirmed", settled: "They still differed." });
    store.askedAgain(id, false, "The sides agreed.");
    test.match(only(store), { state: "confirmed", settled: "The sides agreed." }, "it stays open");
    close();
  },
);

const IGNORE: CompareRule = {
  name: "totals",
  match: { column: "total" },
  action: { kind: "ignore" },
};
const CENT: CompareRule = {
  name: "a cent",
  match: { fingerprint: FINGERPRINT, column: "total" },
  action: { kind: "tolerate", absolute: 0.01 },
};

await t.test("a new rule sets aside what it covers, until the rule goes", async (test) => {
  const folder = temporaryFolder(test);
  const { store, at, close } = open(folder);
  store.divergent(totalDiffers(1_000));
  at(2_000);
  store.rule([IGNORE]);
  test.match(only(store), { state: "ruled", settled: /Covered by the rule "totals" since/ });
  test.strictSame([store.divergenceCount(), store.ruledBy("totals")], [0, 1]);
  close();
  const again = open(folder);
  again.store.rule([IGNORE]);
  test.equal(only(again.store).state, "ruled", "after a restart too");
  again.store.rule([]);
  test.match(only(again.store), { state: "confirmed", count: 1 });
  again.close();
});

await t.test("a tolerance that proves too small covers nothing any more", async (test) => {
  const folder = temporaryFolder(test);
  const { store, at, close } = open(folder);
  store.divergent(totalDiffers(1_000));
  at(2_000);
  store.rule([CENT]);
  test.equal(only(store).state, "ruled");
  store.divergent(totalDiffers(2_001));
  test.equal(only(store).state, "confirmed", "it was seen again under the rule");
  store.rule([CENT, { ...IGNORE, match: { column: "other" } }]);
  test.equal(only(store).state, "confirmed", "another rule changes nothing");
  close();
  const again = open(folder);
  again.store.rule([CENT]);
  test.equal(only(again.store).state, "confirmed", "nor does a restart");
  again.store.rule([{ ...CENT, action: { kind: "tolerate", absolute: 1 } }]);
  test.equal(only(again.store).state, "ruled", "the same rule with a larger amount covers anew");
  again.close();
});

await t.test("a difference seen while a rule was in force is not covered by it", async (test) => {
  const { store, close } = open(temporaryFolder(test));
  store.rule([CENT]);
  store.divergent(totalDiffers(4_000));
  test.equal(only(store).state, "ruled", "this one was seen before, and confirmed later");
  store.divergent(totalDiffers(6_000));
  store.rule([CENT]);
  test.equal(only(store).state, "confirmed");
  close();
});

await t.test("which differences a rule covers", async (test) => {
  const rows: readonly {
    readonly reason: DifferenceReason;
    readonly column?: string;
    readonly match: CompareRule["match"];
    readonly action: CompareRule["action"];
    readonly covered: boolean;
  }[] = [
    {
      reason: "row_count",
      match: { fingerprint: FINGERPRINT },
      action: { kind: "ignore" },
      covered: true,
    },
    { reason: "row_count", match: { table: "orders" }, action: { kind: "ignore" }, covered: true },
    { reason: "row_count", match: { table: "items" }, action: { kind: "ignore" }, covered: false },
    { reason: "row_count", match: { column: "total" }, action: { kind: "ignore" }, covered: false },
    {
      reason: "transaction_status",
      match: { table: "orders" },
      action: { kind: "ignore" },
      covered: false,
    },
    {
      reason: "text_value",
      column: "a",
      match: { column: "a" },
      action: { kind: "clean", with: ["trim"] },
      covered: true,
    },
    {
      reason: "text_value",
      column: "a",
      match: { column: "b" },
      action: { kind: "clean", with: ["trim"] },
      covered: false,
    },
    {
      reason: "null_value",
      column: "a",
      match: { column: "a" },
      action: { kind: "clean", with: ["trim"] },
      covered: false,
    },
    {
      reason: "null_value",
      column: "a",
      match: { column: "a" },
      action: { kind: "clean", with: ["null_is_empty"] },
      covered: true,
    },
    {
      reason: "text_value",
      column: "a",
      match: { column: "a" },
      action: { kind: "tolerate", absolute: 1 },
      covered: false,
    },
    {
      reason: "numeric_value",
      column: "a",
      match: { column: "a", type: "numeric" },
      action: { kind: "ignore" },
      covered: false,
    },
  ];
  for (const { reason, column, match, action, covered } of rows) {
    const { store, close } = open(temporaryFolder(test));
    const finding = column === undefined ? { reason } : { reason, column };
    store.divergent(occurrenceOf(STATEMENT, finding, 1_000));
    store.rule([{ name: "it", match, action }]);
    const what = `${reason} ${JSON.stringify(match)} ${action.kind}`;
    test.equal(only(store).state, covered ? "ruled" : "confirmed", what);
    close();
  }
});

await t.test("a rule of a finding is about its statement and column, or refused", async (test) => {
  const { store, close } = open(temporaryFolder(test));
  store.divergent(totalDiffers(1_000));
  const item = only(store);
  const match = { fingerprint: FINGERPRINT, column: "total" };
  test.match(ruleFrom(item, { kind: "ignore" }), { name: `ignore total of ${item.id}`, match });
  test.match(ruleFrom(item, { kind: "tolerate", absolute: 1 }), { match });
  test.match(ruleFrom(item, { kind: "clean", with: ["trim"] }), /^clean is for texts/);
  test.match(ruleFrom({ ...item, fingerprint: "(other)" }, { kind: "ignore" }), /many statements/);
  const rows = { ...item, reason: "row_count" };
  test.match(ruleFrom(rows, { kind: "tolerate", absolute: 1 }), /^tolerate is for numbers/);
  const status = { ...item, reason: "transaction_status" };
  test.match(ruleFrom(status, { kind: "ignore" }), /^no rule about a statement/);
  close();
});

await t.test("made rules and how often each rule applied survive a restart", async (test) => {
  const folder = temporaryFolder(test);
  const first = open(folder);
  first.store.madeRules.add({ rule: CENT, madeAtMs: 7_000, divergence: "d1" });
  for (const name of ["a cent", "a cent", "of the file"]) first.store.madeRules.applied(name);
  first.close();
  const { store, close } = open(folder);
  const { madeRules } = store;
  test.strictSame(madeRules.list(), [{ rule: CENT, madeAtMs: 7_000, divergence: "d1" }]);
  test.strictSame(
    [madeRules.timesApplied("a cent"), madeRules.timesApplied("of the file")],
    [2, 1],
  );
  test.equal(madeRules.remove("a cent"), true);
  test.equal(madeRules.remove("a cent"), false);
  madeRules.add({ rule: CENT, madeAtMs: 8_000, divergence: undefined });
  test.equal(madeRules.timesApplied("a cent"), 0, "another rule of that name counts anew");
  close();
});

function exchangeOf(value: string, bytes = 10): RecordedExchange {
  return {
    user: "app",
    parameters: [["application_name", value]],
    settings: [`SET app.tenant = '${value}'`],
    prepared: [Buffer.from(`P${value}`)],
    frames: Buffer.alloc(bytes, `B${value}`),
    statements: [STATEMENT],
    positions: { primary: "0/16B3748", shadow: "0/16B3700" },
  };
}

await t.test("the last request of a difference is at hand, with the positions", async (test) => {
  const { store, close } = open(temporaryFolder(test));
  store.divergent(totalDiffers(1_000));
  const { id } = only(store);
  test.match(only(store).repeatable, { ok: false, reason: /cannot be repeated by itself/ });
  test.equal(store.exchangeOf(id), undefined);
  for (const value of ["a", "b", "c"]) {
    store.divergent(totalDiffers(1_000, { exchange: exchangeOf(value) }));
  }
  test.strictSame(store.exchangeOf(id), exchangeOf("c"));
  test.strictSame(only(store).repeatable, {
    ok: true,
    reason: "its last request is kept in memory",
  });
  test.strictSame(only(store).positions, { primary: "0/16B3748", shadow: "0/16B3700" });
  store.divergent(totalDiffers(1_000, { exchange: exchangeOf("d", 5 * 1024 ** 2) }));
  test.strictSame(store.exchangeOf(id), exchangeOf("c"), "one too large does not push it out");
  close();
});

await t.test("requests together are bounded, and what gave way says so", async (test) => {
  const { store, close } = open(temporaryFolder(test));
  for (let number = 0; number < 40; number++) {
    const occurrence = occurrenceOf(statementOf(`f${number}`), {}, 1_000);
    store.divergent({ ...occurrence, exchange: exchangeOf("x", 1024 ** 2) });
  }
  const { items } = store.divergences({ after: undefined, limit: 100 });
  const kept = items.filter(({ repeatable }) => repeatable.ok);
  test.ok(kept.length > 28 && kept.length < 32, `${kept.length} of a MiB fit into 32 MiB`);
  test.equal(items.find(({ fingerprint }) => fingerprint === "f39")?.repeatable.ok, true);
  const first = items.find(({ fingerprint }) => fingerprint === "f0");
  test.match(first?.repeatable.reason, /gave way to newer ones: together they may take 32 MiB/);
  const huge = occurrenceOf(statementOf("huge"), {}, 1_000);
  store.divergent({ ...huge, exchange: exchangeOf("x", 5 * 1024 ** 2) });
  const last = store.divergences({ after: undefined, limit: 100 }).items;
  test.match(
    last.find(({ fingerprint }) => fingerprint === "huge")?.repeatable.reason,
    /larger than 4 MiB/,
  );
  close();
});

await t.test("requests reach the disk only when that is allowed, and go with it", async (test) => {
  const folder = temporaryFolder(test);
  const allowed = { samples: { perDivergence: 5, reveal: [], storeRequests: true } };
  const onDisk = (): boolean => {
    const file = readFileSync(join(folder, "twinwire.db"), "latin1");
    return file.includes(SECRET) || file.includes(Buffer.from(`P${SECRET}`).toString("base64"));
  };
  const occurrence = totalDiffers(1_000, { exchange: exchangeOf(SECRET) });

  const first = open(folder);
  first.store.divergent(occurrence);
  const { id } = only(first.store);
  first.close();
  test.equal(onDisk(), false, "not by itself");
  const second = open(folder, allowed);
  test.match(only(second.store).repeatable, { ok: false, reason: "its request was never stored" });
  second.store.divergent(occurrence);
  test.match(only(second.store).repeatable, { ok: true, reason: /kept in the store/ });
  second.close();
  test.equal(onDisk(), true, "allowed");
  const third = open(folder, allowed);
  test.strictSame(third.store.exchangeOf(id), exchangeOf(SECRET), "it is whole after a restart");
  third.close();
  const fourth = open(folder);
  test.equal(fourth.store.exchangeOf(id), undefined);
  test.match(only(fourth.store).repeatable.reason, /memory only, and Twinwire was started anew/);
  fourth.close();
  test.equal(onDisk(), false, "nothing of it is left when it is not allowed any more");
});

await t.test(
  "a store of the first version is taken over, and calls nothing confirmed",
  async (test) => {
    const folder = temporaryFolder(test);
    const database = openEmbeddedDatabase(folder);
    database.migrate("divergence", DIVERGENCE_SCHEMA.slice(0, 1));
    database.run("INSERT INTO coverage VALUES ('orders', 'a', 'SELECT 1', ?)", [
      '{"seen":7,"compared":7,"match":6,"tolerated":0,"divergent":1,"skipped":{},"incomparable":{},"toleratedReasons":{},"latency":{}}',
    ]);
    database.run(
      "INSERT INTO divergence VALUES ('orders', 'd1', 'a', 'SELECT 1', 'row_count', NULL, 'Rows.', 1, 1, 1, '[]')",
    );
    database.close();
    const { store, close } = open(folder);
    test.match(only(store), { id: "d1", state: "unsettled", settled: /earlier version/, count: 1 });
    const [item] = store.fingerprints({ after: undefined, limit: 1 }).items;
    test.match(item, { seen: 7, askedTwice: 0, varies: {} });
    close();
  },
);

await t.test("what varies and the plans of a slower statement are kept", async (test) => {
  const folder = temporaryFolder(test);
  const { store, close } = open(folder);
  const coverage = store.coverage(STATEMENT);
  coverage.askedTwice = 4;
  coverage.varies.set("total", 3);
  test.equal(store.wantsPlans(STATEMENT, 1_000), false, "nothing is known of its speed");
  for (let answer = 0; answer < 300; answer++) {
    coverage.recordLatency("old", 2);
    coverage.recordLatency("new", 4);
  }
  test.equal(store.wantsPlans(STATEMENT, 2_000), false, "it was looked at a moment ago");
  test.equal(store.wantsPlans(STATEMENT, 6_000), true);
  test.equal(store.wantsPlans(STATEMENT, 6_001), false, "not again at once");
  test.equal(store.degradedCount(), 1);
  store.plans(STATEMENT, { atMs: 7_000, old: "Index Scan", new: "Seq Scan" });
  close();
  const again = open(folder);
  test.match(again.store.fingerprints({ after: undefined, limit: 1 }).items[0], {
    askedTwice: 4,
    varies: { total: 3 },
    latency: { verdict: "degraded" },
    plans: { at: "1970-01-01T00:00:07.000Z", old: "Index Scan", new: "Seq Scan" },
  });
  test.equal(again.store.wantsPlans(STATEMENT, 8_000), false, "not soon after a restart either");
  test.equal(again.store.wantsPlans(STATEMENT, 7_000 + 15 * 60_000), true);
  test.equal(again.store.wantsPlans(statementOf("unknown"), 7_000), false);
  again.close();
});
