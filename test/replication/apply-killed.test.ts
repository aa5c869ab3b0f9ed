/** Killed at any moment the process that applies goes on where it was: nothing is lost and nothing comes twice. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { Failpoint } from "../../src/replication/failpoints.ts";
import { startServers } from "./apply-pair.ts";
import type { ApplyTask } from "./apply-process.ts";

const MOMENTS: readonly Failpoint[] = [
  "apply.after_begin",
  "apply.after_progress",
  "apply.in_rows",
  "apply.before_commit",
  "apply.after_commit",
  "stream.before_acknowledge",
  "stream.after_acknowledge",
];

const PROGRAM = fileURLToPath(new URL("apply-process.js", import.meta.url));

await t.test("killed at each failpoint", async (test) => {
  const servers = await startServers(14, 16, { logical_decoding_work_mem: "64kB" });
  test.teardown(() => servers.stop());
  const pair = await servers.pair();
  test.teardown(() => pair.stop());
  // Without a key, what came twice would stay; with a sum in it, what was lost would show.
  await pair.both(
    "CREATE TABLE log (n int, at text); ALTER TABLE log REPLICA IDENTITY FULL; CREATE TABLE sums (id int PRIMARY KEY, n bigint)",
  );
  await pair.source.sql("INSERT INTO sums SELECT i, 0 FROM generate_series(1, 10) i");
  await pair.target.sql("INSERT INTO sums SELECT i, 0 FROM generate_series(1, 10) i");
  await pair.prepare(["log", "sums"]);
  const task: ApplyTask = {
    source: pair.source.address(),
    target: pair.target.address(),
    ...pair.stream,
    tables: ["log", "sums"],
    folder: test.testdir(),
  };
  let count = 0;
  const small = async (transactions: number): Promise<void> => {
    for (let i = 0; i < transactions; i++) {
      count++;
      await pair.source.sql(
        `BEGIN; INSERT INTO log VALUES (${count}, 'x'); UPDATE sums SET n = n + ${count} WHERE id = ${(count % 10) + 1}; COMMIT`,
      );
    }
  };
  const large = async (): Promise<void> => {
    await pair.source.sql(
      `BEGIN; INSERT INTO log SELECT -i, 'large' FROM generate_series(1, 3000) i; UPDATE sums SET n = n + 1; DELETE FROM log WHERE n < 0 AND n % 97 = 0; COMMIT`,
    );
  };
  const killed = async (moment: string): Promise<NodeJS.Signals | null> => {
    const child = spawn(process.execPath, [PROGRAM], {
      env: { ...process.env, APPLY_TASK: JSON.stringify(task), TWINWIRE_FAILPOINT: moment },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const exit = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    let isOver = false;
    void exit.then(() => (isOver = true));
    while (!isOver) {
      await small(3);
      await Promise.race([exit, sleep(20)]);
    }
    return (await exit)[1];
  };
  for (const moment of MOMENTS) {
    for (const time of [1, 3]) {
      await small(5);
      await large();
      test.equal(await killed(`${moment}:${time}`), "SIGKILL", `killed at ${moment} ${time}`);
    }
  }
  await pair.source.sql("UPDATE sums SET n = n + 1");
  const run = await pair.start();
  await run.caughtUp();
  test.same(await pair.rows("log"), await pair.rows("log", "source"));
  test.same(await pair.rows("sums"), await pair.rows("sums", "source"));
});
