import process from "node:process";
import pg from "pg";
import type { Client } from "./client.ts";
import { runProgram, workloadFile, works } from "./program.ts";

/** psql, the program that comes with PostgreSQL; the workload is a script of its own commands. */
export const psql: Client = {
  name: "psql",
  async missing() {
    return (await works("psql", ["--version"])) ? undefined : "psql is not on this machine";
  },
  async run(url) {
    const script = workloadFile("workload.sql");
    // One descriptor for both, so that answers and errors stand in the order they came.
    const command = 'exec psql -X -d "$1" -v source="$2" -f "$2" 2>&1';
    const { output } = await runProgram("/bin/sh", ["-c", command, "psql", url, script], {
      env: { PGAPPNAME: "psql", PGOPTIONS: "-c geqo=off", PAGER: "cat" },
    });
    // The pid in a notification is the server process that sent it.
    return (output + (await interrupted(url)))
      .replace(/(server process with PID) \d+/g, "$1 N")
      .replaceAll(script, "workload.sql");
  },
};

/** Ctrl-C while a query runs: psql answers it with a cancel request. */
async function interrupted(url: string): Promise<string> {
  const sql = "select pg_sleep(60) -- psql";
  let pid: number | undefined;
  const asleep = runProgram("psql", ["-X", "-d", url, "-c", sql], {
    onStart: (started) => (pid = started),
  });
  const watcher = new pg.Client(url);
  await watcher.connect();
  const running = "select 1 from pg_stat_activity where state = 'active' and query = $1";
  while ((await watcher.query(running, [sql])).rowCount === 0);
  await watcher.end();
  if (pid !== undefined) process.kill(pid, "SIGINT");
  return (await asleep).output;
}
