import t from "tap";
import type { ReadinessFacts } from "../../src/cutover/readiness.ts";
import { readiness } from "../../src/cutover/readiness.ts";
import { READY } from "./ports.ts";

const { bars } = READY;

const ROWS: readonly {
  readonly why: string;
  readonly facts: Partial<ReadinessFacts>;
  readonly guard: string;
  readonly ok: boolean;
  readonly value: string;
  readonly limit: string;
}[] = [
  {
    why: "by itself any comparison will do",
    facts: { statements: { seen: 1000, compared: 1, comparable: 900 } },
    guard: "traffic_compared",
    ok: true,
    value: "0.1 % of what can be (1 of 900 statements), 0.1 % of all 1000",
    limit: "more than 0 %",
  },
  {
    why: "but there must be one",
    facts: { statements: { seen: 1000, compared: 0, comparable: 900 } },
    guard: "traffic_compared",
    ok: false,
    value: "0 % of what can be (0 of 900 statements), 0 % of all 1000",
    limit: "more than 0 %",
  },
  {
    why: "a bar is one of what can be compared, not of the writes too",
    facts: {
      statements: { seen: 1000, compared: 95, comparable: 100 },
      bars: { ...bars, minCompared: 0.95 },
    },
    guard: "traffic_compared",
    ok: true,
    value: "95 % of what can be (95 of 100 statements), 9.5 % of all 1000",
    limit: "at least 95 %",
  },
  {
    why: "below the bar",
    facts: {
      statements: { seen: 1000, compared: 94, comparable: 100 },
      bars: { ...bars, minCompared: 0.95 },
    },
    guard: "traffic_compared",
    ok: false,
    value: "94 % of what can be (94 of 100 statements), 9.4 % of all 1000",
    limit: "at least 95 %",
  },
  {
    why: "one divergence is too many",
    facts: { openDivergences: 1 },
    guard: "open_divergences",
    ok: false,
    value: "1",
    limit: "0",
  },
  {
    why: "unless so many are allowed",
    facts: { openDivergences: 2, bars: { ...bars, maxDivergences: 2 } },
    guard: "open_divergences",
    ok: true,
    value: "2",
    limit: "2",
  },
  {
    why: "unsettled ones are shown",
    facts: { unsettled: 7 },
    guard: "unsettled_differences",
    ok: true,
    value: "7",
    limit: "any",
  },
  {
    why: "and stop where that is wanted",
    facts: { unsettled: 7, bars: { ...bars, maxUnsettled: 6 } },
    guard: "unsettled_differences",
    ok: false,
    value: "7",
    limit: "6",
  },
  {
    why: "slower statements are shown",
    facts: { degraded: 3 },
    guard: "degraded_statements",
    ok: true,
    value: "3",
    limit: "any",
  },
  {
    why: "and stop where that is wanted too",
    facts: { degraded: 3, bars: { ...bars, maxDegraded: 0 } },
    guard: "degraded_statements",
    ok: false,
    value: "3",
    limit: "0",
  },
];

await t.test("each guard holds its number against the bar of the configuration", async (test) => {
  for (const { why, facts, guard, ok, value, limit } of ROWS) {
    const { ready, guards } = readiness({ ...READY, ...facts });
    test.match(
      guards.find(({ name }) => name === guard),
      { ok, value, limit },
      why,
    );
    test.equal(ready, ok, `${why}: ready`);
  }
});
