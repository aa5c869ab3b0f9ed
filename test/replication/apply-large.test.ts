/** A transaction much larger than what memory is for goes through piece by piece, in one transaction of the target. */
import process from "node:process";
import t from "tap";
import { startServers } from "./apply-pair.ts";

await t.test("200 MB in one transaction", async (test) => {
  const servers = await startServers(16, 16);
  test.teardown(() => servers.stop());
  const pair = await servers.pair();
  test.teardown(() => pair.stop());
  await pair.both("CREATE TABLE a (id int PRIMARY KEY, n int, v text)");
  await pair.prepare(["a"]);
  const run = await pair.start();
  await pair.source.sql("INSERT INTO a VALUES (0, 0, 'before')");
  await run.caughtUp();
  let highest = 0;
  const before = process.memoryUsage().rss;
  const timer = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage().rss);
  }, 20);
  await pair.source.sql(
    "BEGIN; INSERT INTO a SELECT i, 0, repeat('x', 900) FROM generate_series(1, 200000) i; UPDATE a SET n = 1 WHERE id % 10 = 0; DELETE FROM a WHERE id % 7 = 0; COMMIT",
  );
  await run.caughtUp();
  clearInterval(timer);
  const sum = "SELECT count(*)::text AS c, sum(n)::text AS n, sum(id)::text AS i FROM a";
  test.same(await pair.target.sql(sum), await pair.source.sql(sum));
  const grownMb = (highest - before) / 1e6;
  test.ok(grownMb < 250, `${grownMb.toFixed(0)} MB more`);
  test.comment(`figure: ${grownMb.toFixed(0)} MB more for a transaction of 200 MB`);
  test.equal(run.applier.state.transactions, 2);
});
