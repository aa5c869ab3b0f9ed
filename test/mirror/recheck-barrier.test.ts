import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { openComparer } from "../../src/compare/compare.ts";
import { openReplyDigester } from "../../src/compare/reply-digester.ts";
import type { Finding } from "../../src/compare/verdict.ts";
import type { RecordedExchange } from "../../src/divergence/recorded-exchange.ts";
import { AnswerCapture } from "../../src/mirror/answer-capture.ts";
import type { Barrier } from "../../src/mirror/recheck/barrier.ts";
import type { Settled } from "../../src/mirror/recheck/settled.ts";
import { recheck } from "../../src/mirror/recheck/recheck.ts";
import { RecheckSession } from "../../src/mirror/recheck/recheck-session.ts";
import { openAnalyser } from "../../src/sql/analyser.ts";
import { dial } from "../../src/upstream/dial.ts";
import { queryMessage } from "../../src/wire/postgres/frontend-messages.ts";
import { DATABASE, PASSWORD, USER, startTwoSides } from "./two-sides.ts";
import { writeWithoutRest } from "./restless-writer.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(`
  create table hot (id int primary key, n bigint, what text);
  insert into hot values (1, 0, 'the same');
`);
await sides.on("old", "select pg_create_logical_replication_slot('feed', 'test_decoding')");
const analyser = await openAnalyser();

t.teardown(await writeWithoutRest(sides.old.url(DATABASE), "update hot set n = n + 1"));

/**
 * Fills NEW from OLD's log, and only when it is asked to hold it at a snapshot: with all transactions that the snapshot
 * sees and no other. They set one row, so the last of them is enough.
 */
const applier: Barrier = {
  hold: async () => ({
    async goTo({ sees }) {
      const [last] = await sides.on(
        "old",
        `select max(substring(data from 'n\\[bigint\\]:(\\d+)')::bigint) as n
         from pg_logical_slot_get_changes('feed', null, null)
         where data like 'table public.hot: UPDATE:%' and pg_visible_in_snapshot(xid::text::xid8, '${sees}')`,
      );
      await sides.on("new", `update hot set n = ${String(last?.["n"])}`);
      return true;
    },
    release: async () => true,
  }),
};

const suspected: Finding = { reason: "numeric_value", explanation: "", statement: 0, column: "n" };

function ask(sql: string, barrier: Barrier | undefined): Promise<Settled> {
  const text = Buffer.from(sql);
  const exchange: RecordedExchange = {
    user: USER,
    parameters: [],
    settings: [],
    prepared: [],
    frames: queryMessage(sql),
    statements: analyser.analyse(text, 0, text.length).statements,
    positions: { primary: null, shadow: null },
  };
  const compare = openComparer();
  return recheck(
    {
      clock: systemClock,
      sleep: (ms) => sleep(ms),
      openSession: (role, recorded) => {
        const { host, port } = sides[role === "primary" ? "old" : "new"];
        const tls = { mode: "disable", channelBinding: "disable" } as const;
        const none = { rootCert: undefined, cert: undefined, key: undefined };
        const request = {
          address: { host, port, tls: { ...tls, ...none } },
          parameters: [
            ["user", USER],
            ["database", DATABASE],
          ] as const,
          credentials: { kind: "password", password: PASSWORD } as const,
          timeoutMs: 10_000,
        };
        return RecheckSession.open(
          {
            clock: systemClock,
            dial: () => dial(request, { random: randomBytes }),
            cancel: () => {},
            newCapture: () => new AnswerCapture(1 << 20, () => openReplyDigester()),
            timeoutMs: 10_000,
          },
          recorded,
        );
      },
      compare: (one, other, statements) =>
        compare(one, other, {
          statements,
          rules: [],
          primaryTypes: () => undefined,
          shadowTypes: () => undefined,
        }),
      position: { here: async () => undefined, reached: async () => "unknown" },
      barrier,
      patienceMs: 30_000,
    },
    exchange,
    suspected,
    false,
  );
}

await t.test("data that never stands still is compared exactly at a barrier", async (test) => {
  const settled = await ask("select n, what from hot where id = 1", applier);
  test.match(settled, { outcome: "transient" }, settled.detail);
  const without = await ask("select n, what from hot where id = 1", undefined);
  test.match(without, { outcome: "unsettled" }, "without one it is left unsettled");
});

await t.test("and so is a difference in it", async (test) => {
  await sides.on("new", "update hot set what = 'another'");
  const settled = await ask("select n, what from hot where id = 1", applier);
  const finding = { reason: "text_value", column: "what" };
  test.match(settled, { outcome: "divergent", finding }, settled.detail);
});

await t.test(
  "what could not be held, or did not stand until the end, says nothing",
  async (test) => {
    const held = await applier.hold(AbortSignal.timeout(1000));
    if (held === undefined) throw new Error("it is always held");
    const barriers: readonly Barrier[] = [
      { hold: async () => undefined },
      { hold: async () => ({ ...held, goTo: async () => false }) },
      { hold: async () => ({ ...held, release: async () => false }) },
    ];
    for (const barrier of barriers) {
      const settled = await ask("select n, what from hot where id = 1", barrier);
      test.match(settled, { outcome: "unsettled" }, settled.detail);
    }
  },
);
