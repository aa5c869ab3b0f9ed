import type { Client } from "./client.ts";
import { runProgram, workloadFile, works } from "./program.ts";

// Debian's python3-psycopg is for Debian's own Python, which need not be the first in the path.
const PYTHON = "/usr/bin/python3";

/** psycopg 3, the Python driver on top of libpq. */
export const psycopg: Client = {
  name: "psycopg 3",
  async missing() {
    return (await works(PYTHON, ["-c", "import psycopg"]))
      ? undefined
      : "psycopg is not on this machine";
  },
  async run(url) {
    const { code, output } = await runProgram(PYTHON, [
      "-B",
      "-u",
      workloadFile("workload.py"),
      url,
    ]);
    return `${output}\nended with ${code}`;
  },
};
