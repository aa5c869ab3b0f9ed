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
    return output
      .replace(/(server process with PID) \d+/g, "$1 N")
      .replaceAll(script, "workload.sql");
  },
};
