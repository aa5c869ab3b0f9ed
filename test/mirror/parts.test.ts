/** The small parts of mirroring, each alone. */
import fc from "fast-check";
import t from "tap";
import { AnswerCapture } from "../../src/mirror/answer-capture.ts";
import { MemoryBudget } from "../../src/mirror/memory-budget.ts";
import { ShadowHealth } from "../../src/mirror/shadow-health.ts";

await t.test("a budget takes what fits and has room again for what is given back", (test) => {
  const budget = new MemoryBudget(100);
  test.ok(budget.fits(100));
  budget.take(60);
  test.notOk(budget.fits(41));
  test.ok(budget.fits(40));
  budget.take(40);
  budget.giveBack(60);
  test.equal(budget.usedBytes, 40);
  test.end();
});

function clockAt(startMs: number): {
  nowMs: () => number;
  monotonicMs: () => number;
  pass: (ms: number) => void;
} {
  let now = startMs;
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    pass: (ms) => {
      now += ms;
    },
  };
}

await t.test("a shadow that is down is dialled at growing intervals and never given up", (test) => {
  const clock = clockAt(1000);
  const health = new ShadowHealth(clock, () => 0);
  const waits: number[] = [];
  for (let attempt = 0; attempt < 10; attempt++) {
    test.ok(health.mayDial);
    health.dialFailed();
    let waited = 0;
    while (!health.mayDial) {
      clock.pass(100);
      waited += 100;
    }
    waits.push(waited);
  }
  test.same(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000]);
  test.equal(health.failures, 10);
  test.equal(health.state, "down");
  health.connected();
  test.equal(health.state, "on");
  health.dialFailed();
  clock.pass(200);
  test.ok(health.mayDial, "after a success it begins anew");
  test.end();
});

/** A thousand sessions dial at once; that they all fail says no more than one failure. */
await t.test("dials that fail together lengthen the interval once", (test) => {
  const clock = clockAt(0);
  const health = new ShadowHealth(clock, () => 0);
  for (let session = 0; session < 1000; session++) health.dialFailed();
  clock.pass(200);
  test.ok(health.mayDial);
  test.end();
});

await t.test("the state of the shadow is that of the side that is the shadow now", (test) => {
  const health = new ShadowHealth(clockAt(0), () => 0);
  test.equal(health.state, "connecting");
  health.dialFailed();
  test.equal(health.state, "down");
  health.forget();
  test.equal(health.state, "connecting");
  test.ok(health.mayDial);
  test.end();
});

const cuts = fc.array(fc.nat(400), { maxLength: 12 });

/** Feeds the bytes in the pieces that the cuts make, each in a buffer that is overwritten afterwards. */
function feed(capture: AnswerCapture, bytes: Buffer, at: readonly number[]): void {
  const edges = [0, ...at.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  );
  edges.slice(1).forEach((end, index) => {
    const start = edges[index] ?? 0;
    const passing = Buffer.concat([Buffer.from("##"), bytes.subarray(start, end)]);
    capture.append(passing, 2, passing.length);
    passing.fill(0);
  });
}

await t.test("a small answer is kept as it came, however it was cut", (test) => {
  test.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), cuts, (answer, at) => {
        const capture = new AnswerCapture(300, () => {
          throw new Error("it is not too large");
        });
        feed(capture, Buffer.from(answer), at);
        const seen = capture.finish(7);
        if (seen.kind !== "answered" || !Buffer.from(answer).equals(seen.frames)) {
          throw new Error("other bytes");
        }
        if (capture.heldBytes !== answer.length) throw new Error("accounted for otherwise");
      }),
    ),
  );
  test.end();
});

await t.test("a large answer is digested whole, and no more of it is held than allowed", (test) => {
  test.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 51, maxLength: 300 }), cuts, (answer, at) => {
        const digested: Buffer[] = [];
        const capture = new AnswerCapture(50, () => ({
          push: (bytes, start, end) => digested.push(Buffer.from(bytes.subarray(start, end))),
          results: () => [],
        }));
        feed(capture, Buffer.from(answer), at);
        const seen = capture.finish(7);
        if (seen.kind !== "digested" || seen.bytes !== answer.length)
          throw new Error("not digested");
        if (!Buffer.concat(digested).equals(Buffer.from(answer))) throw new Error("other bytes");
        if (capture.heldBytes > 50) throw new Error("too much is held");
      }),
    ),
  );
  test.end();
});
