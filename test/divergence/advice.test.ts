/** What a statement leaves open stays known over a restart, also of a statement that has not come again since. */
import { randomBytes } from "node:crypto";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { openEmbeddedDatabase } from "../../src/control/embedded-database.ts";
import { openDivergenceStore } from "../../src/divergence/divergence-store.ts";
import { temporaryFolder } from "../control/temporary-folder.ts";
import { statementOf } from "./statements.ts";

await t.test("advice is kept in the store", async (test) => {
  const folder = temporaryFolder(test);
  const statement = statementOf("select note from orders limit 1");
  for (const isFirst of [true, false]) {
    const database = openEmbeddedDatabase(folder);
    const store = openDivergenceStore({
      migration: "orders",
      database,
      clock: systemClock,
      log: silentLogger,
      randomBytes,
      analyse: () => [],
      samples: { perDivergence: 5, reveal: [], storeRequests: false },
    });
    if (isFirst) {
      const coverage = store.coverage(statement);
      coverage.seen++;
      coverage.advice.add("underspecified");
    }
    const [item] = store.fingerprints({ after: undefined, limit: 10 }).items;
    test.same(item?.advice, ["underspecified"], isFirst ? "at once" : "after a restart");
    store.close();
    database.close();
  }
});
