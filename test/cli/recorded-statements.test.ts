import t from "tap";
import { statementsOf } from "../../src/cli/compose/recorded-statements.ts";
import type { StoredExchange } from "../../src/divergence/recorded-exchange.ts";
import { openAnalyser } from "../../src/sql/analyser.ts";
import { bind, execute, parse, query, sync } from "../proxy/raw-messages.ts";

const analyser = await openAnalyser();

function stored(frames: readonly Buffer[], prepared: readonly Buffer[] = []): StoredExchange {
  return {
    user: "app",
    parameters: [],
    settings: [],
    prepared,
    frames: Buffer.concat(frames),
    positions: { primary: null, shadow: null },
  };
}

await t.test("the statements of a stored exchange are those its frames execute", async (test) => {
  const rows: readonly { why: string; exchange: StoredExchange; texts: readonly string[] }[] = [
    { why: "a query", exchange: stored([query("select 1")]), texts: ["select $1"] },
    {
      why: "several in one",
      exchange: stored([query("select 1; select a from b")]),
      texts: ["select $1", "select a from b"],
    },
    {
      why: "a statement prepared in it",
      exchange: stored([parse("", "select 'x'"), bind("", ""), execute(""), sync]),
      texts: ["select $1"],
    },
    {
      why: "one prepared before",
      exchange: stored([bind("", "s1"), execute(""), sync], [parse("s1", "select c from d")]),
      texts: ["select c from d"],
    },
    { why: "nothing executed", exchange: stored([parse("s1", "select 1"), sync]), texts: [] },
    { why: "garbage", exchange: stored([Buffer.from("!!!!!!!!!")]), texts: [] },
  ];
  for (const { why, exchange, texts } of rows) {
    const normalised = statementsOf(exchange, analyser).map((statement) => statement.normalised);
    test.strictSame(normalised, texts, why);
  }
});
