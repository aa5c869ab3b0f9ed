/** Exchanges of a busy session share a write to the shadow, and nobody can tell by the verdicts. */
import type { Test } from "tap";
import t from "tap";
import { openReplyDigester } from "../../src/compare/reply-digester.ts";
import { openCoverageTable } from "../../src/divergence/coverage-table.ts";
import { AnswerCapture } from "../../src/mirror/answer-capture.ts";
import { Gathering } from "../../src/mirror/gathering.ts";
import { MemoryBudget } from "../../src/mirror/memory-budget.ts";
import type { Pair } from "../../src/mirror/pair.ts";
import { newPair } from "../../src/mirror/pair.ts";
import { ShadowHealth } from "../../src/mirror/shadow-health.ts";
import { ShadowSession } from "../../src/mirror/shadow-session.ts";
import { SharedWrites } from "../../src/mirror/shared-writes.ts";
import { FactsTable } from "../../src/mirror/statement-facts.ts";
import { NEW_SESSION } from "../../src/routing/session-state.ts";
import type { Request } from "../../src/routing/request.ts";
import { openAnalyser } from "../../src/sql/analyser.ts";
import { queryMessage } from "../../src/wire/postgres/frontend-messages.ts";
import { until } from "./mirrored.ts";
import { openToldShadow } from "./told-shadow.ts";

const ASKER = { user: "app", parameters: [], credentials: { kind: "none" } } as const;
const PLAIN = { obstacle: undefined };
const TIMEOUT_MS = 1000;
const PRIMARY = { kind: "answered", elapsedMs: 1, frames: Buffer.alloc(0) } as const;

let transactions = 0;

/** A read that the primary has answered. */
function read(sql: string, more: Partial<Pair> = {}): Pair {
  const request: Request = {
    kind: "query",
    statements: [],
    frames: queryMessage(sql),
    bytes: 0,
    changes: [],
    bound: [],
    bare: false,
    closesCopy: false,
    obscure: false,
  };
  const asked = { kind: "mirror", statements: [], facts: PLAIN, open: false } as const;
  const pair = newPair(request, { ...asked, localSettings: false }, ASKER, ++transactions);
  const known = { before: NEW_SESSION.current, version: 1, shareable: true, primary: PRIMARY };
  return Object.assign(pair, known, more);
}

function sqlOf(pair: Pair): string {
  return pair.frames.toString("latin1", 5, pair.frames.length - 1);
}

async function openSession(test: Test, exchanges = 256) {
  const shadow = await openToldShadow();
  let nowMs = 1000;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  let over: (() => void) | undefined;
  const settled: Pair[] = [];
  let cancels = 0;
  const session = new ShadowSession({
    clock,
    health: new ShadowHealth(clock, () => 0),
    budget: new MemoryBudget(1 << 20),
    limits: () => ({ exchanges, bytes: 4096, timeoutMs: TIMEOUT_MS, lagWaitMs: 0 }),
    dial: shadow.dial,
    live: new Set(),
    gathering: new Gathering((_ms, then) => {
      over = then;
    }),
    cancel: () => cancels++,
    newCapture: () => new AnswerCapture(1 << 16, openReplyDigester),
    refused: () => {},
    settled: (pair) => {
      settled.push(pair);
      session.release(pair);
    },
    rehearsing: {
      defers: () => false,
      holdMs: () => undefined,
      undone: () => {},
      ended: () => {},
    },
  });
  const opened = {
    shadow,
    session,
    /** What has been settled so far, with what came of it. */
    ends: () =>
      settled.map((pair) => {
        const { shadow: end } = pair;
        const outcome = end?.kind === "lost" ? end.reason : pair.shadowFailed ? "error" : "answer";
        return `${sqlOf(pair)}: ${outcome}${pair.timed ? "" : ", untimed"}`;
      }),
    settledNow: (count: number) => until(`${count} ends`, () => settled.length === count),
    cancels: () => cancels,
    now: () => nowMs,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** The moment in which exchanges gather is over. */
    over: () => {
      const then = over;
      over = undefined;
      then?.();
    },
    offer: (...pairs: readonly Pair[]) => {
      for (const pair of pairs) test.ok(session.offer(pair), `${sqlOf(pair)} is taken`);
    },
    /** A session that has just run something, and so is busy. */
    async busy() {
      opened.offer(read("first"));
      await shadow.written("first");
      shadow.answer();
      await opened.settledNow(1);
      settled.length = 0;
    },
  };
  test.teardown(async () => {
    session.close();
    await shadow.close();
  });
  return opened;
}

await t.test(
  "what gathers is sent in one write and settled in the client's order",
  async (test) => {
    const one = await openSession(test);
    one.offer(read("a"));
    await one.shadow.written("a");
    one.offer(read("b"), read("c"));
    one.shadow.answer();
    await one.settledNow(1);
    one.offer(read("d"));
    test.equal(one.shadow.writes.length, 1, "they gather");
    one.over();
    await one.shadow.written("a", "b+c+d");
    one.over();
    for (let answer = 0; answer < 3; answer++) one.shadow.answer();
    await one.settledNow(4);
    const untimed = ["b: answer, untimed", "c: answer, untimed", "d: answer, untimed"];
    test.strictSame(one.ends(), ["a: answer", ...untimed]);
  },
);

await t.test("an error concerns its own exchange only", async (test) => {
  const one = await openSession(test);
  await one.busy();
  one.offer(read("a"), read("b"), read("c"));
  one.over();
  await one.shadow.written("a+b+c");
  one.over();
  one.shadow.answer();
  one.shadow.answer("error");
  one.shadow.answer();
  await one.settledNow(3);
  test.match(one.ends(), [/^a: answer/, /^b: error/, /^c: answer/]);
});

/** As it was when they were sent one after the other: only what was at work is lost. */
await t.test(
  "a shadow that dies loses the exchange it was at, and the rest runs again",
  async (test) => {
    const one = await openSession(test);
    await one.busy();
    one.offer(read("a"), read("b"), read("c"));
    one.over();
    await one.shadow.written("a+b+c");
    one.shadow.answer();
    one.over();
    await one.settledNow(1);
    one.shadow.dropConnections();
    await one.shadow.written("a+b+c", "c");
    one.shadow.answer();
    await one.settledNow(3);
    test.match(one.ends(), [/^a: answer/, /^b: disconnected/, /^c: answer/]);
  },
);

await t.test("each has its own time, from the answer before it", async (test) => {
  const one = await openSession(test);
  await one.busy();
  one.offer(read("a"), read("b"), read("c"));
  one.over();
  await one.shadow.written("a+b+c");
  one.pass(TIMEOUT_MS - 1);
  one.over();
  one.pass(TIMEOUT_MS - 1);
  one.session.checkTime(one.now());
  one.shadow.answer();
  await one.settledNow(1);
  one.pass(TIMEOUT_MS - 1);
  one.session.checkTime(one.now());
  test.equal(one.cancels(), 0);
  one.pass(1);
  one.session.checkTime(one.now());
  test.equal(one.cancels(), 1);
  await one.shadow.written("a+b+c", "c");
  one.shadow.answer();
  await one.settledNow(3);
  test.match(one.ends(), [/^a: answer/, /^b: timeout/, /^c: answer/]);
});

await t.test(
  "a read that waits for the session's own writes holds up those behind it",
  async (test) => {
    const one = await openSession(test);
    await one.busy();
    const waiting = read("b", { ready: false });
    one.offer(read("a1"), read("a2"), waiting, read("c"));
    one.over();
    await one.shadow.written("a1+a2");
    one.over();
    one.shadow.answer();
    one.shadow.answer();
    await one.settledNow(2);
    one.over();
    test.equal(one.shadow.writes.at(-1), "a1+a2");
    waiting.ready = true;
    one.session.pump();
    await one.shadow.written("b+c");
  },
);

await t.test("what needs its settings made first is sent alone", async (test) => {
  const one = await openSession(test);
  await one.busy();
  one.offer(read("a", { version: 2 }), read("b", { version: 2 }), read("c", { version: 2 }));
  one.over();
  await one.shadow.written("a");
  one.shadow.answer();
  await one.settledNow(1);
  one.over();
  await one.shadow.written("a", "b+c");
});

await t.test("what the primary has not answered, or was cancelled, is sent alone", async (test) => {
  const one = await openSession(test);
  await one.busy();
  one.offer(
    read("a"),
    read("b"),
    read("c", { cancelled: true }),
    read("d", { primary: undefined }),
  );
  one.over();
  await one.shadow.written("a+b");
  one.over();
  one.shadow.answer();
  one.shadow.answer();
  await one.shadow.written("a+b", "c");
  test.equal(one.cancels(), 1);
  one.shadow.answer();
  await one.settledNow(3);
  one.over();
  await one.shadow.written("c", "d");
});

await t.test("a read in a transaction or one to be timed is not kept waiting", async (test) => {
  const one = await openSession(test);
  await one.busy();
  one.offer(read("a", { shareable: false }));
  await one.shadow.written("a");
  one.shadow.answer();
  await one.settledNow(1);
  test.strictSame(one.ends(), ["a: answer"]);
});

await t.test("nothing waits where room is short, nor once the client has gone", async (test) => {
  const small = await openSession(test, 4);
  await small.busy();
  small.offer(read("a"), read("b"));
  await small.shadow.written("a+b");
  small.offer(read("c"), read("d"), read("e"));
  test.notOk(small.session.offer(read("f")), "one sent and not at work counts for the bound");
  const held = await openSession(test);
  await held.busy();
  held.offer(read(`a${" ".repeat(2000)}`));
  await until("the large one", () => held.shadow.writes.length === 2);
  const left = await openSession(test);
  await left.busy();
  left.offer(read("a"), read("b"));
  left.session.closeWhenIdle();
  await left.shadow.written("a+b");
});

await t.test("an idle session's read is sent at once", async (test) => {
  const one = await openSession(test);
  await one.busy();
  one.pass(10);
  one.offer(read("a"));
  await one.shadow.written("a");
});

await t.test("only plain reads share a write, and a share of each is timed", async (test) => {
  const analyser = await openAnalyser();
  const table = openCoverageTable(100);
  const facts = new FactsTable({
    recorder: {
      coverage: (statement) => table.of(statement),
      divergent: () => {},
      unsettled: () => {},
      isConfirmed: () => false,
      wantsPlans: () => false,
      plans: () => {},
    },
    catalogue: { isVolatile: () => false, hasKey: () => undefined, noise: () => [] },
    safeFunctions: () => new Set(),
  });
  const shared = new SharedWrites(facts);
  const asking = (sql: string, more: Partial<Pair> = {}): Pair => {
    const text = Buffer.from(sql);
    return read(sql, { statements: analyser.analyse(text, 0, text.length).statements, ...more });
  };
  const plain = asking("select 1");
  test.notOk(shared.takes(plain), "its speed is not known yet");
  for (const statement of plain.statements) {
    for (let answer = 0; answer < 2000; answer++) {
      for (const side of ["old", "new"] as const) table.of(statement).recordLatency(side, 1);
    }
  }
  const alone = Array.from({ length: 512 }, () => shared.takes(plain)).filter((takes) => !takes);
  test.equal(alone.length, 2, "one in 256");
  test.ok(shared.takes(asking("select 1; select 2")));
  const unnamed = { name: "", origin: { kind: "sql", sql: "" }, statements: [] } as const;
  const named = { ...unnamed, name: "s" };
  const others: readonly (readonly [why: string, pair: Pair])[] = [
    ["the session is another after it", asking("set work_mem = '1MB'")],
    ["it opens a transaction", asking("begin")],
    ["only some of it reads", asking("select 1; begin")],
    ["it stands in a transaction", asking("select 1", { begins: false })],
    ["it is repeated, not mirrored", asking("select 1", { kind: "apply" })],
    ["writes are rehearsed", asking("select 1", { access: "read_only" })],
    ["it runs what another one parses", asking("select 1", { bound: [unnamed] })],
    ["others run what it parses", asking("", { changes: [{ type: "parse", statement: named }] })],
    ["others miss what it closes", asking("", { changes: [{ type: "close", name: "s" }] })],
  ];
  for (const [why, pair] of others) test.notOk(shared.takes(pair), why);
  const parses = { changes: [{ type: "parse", statement: unnamed }] } as const;
  test.ok(shared.takes(asking("select 1", { ...parses, bound: [named] })));
});
