import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "./client.ts";
import { runProgram, workloadFile, works } from "./program.ts";

const DRIVER = "/usr/share/java/postgresql.jar";

/** The PostgreSQL JDBC driver, which speaks the protocol itself. */
export const jdbc: Client = {
  name: "JDBC",
  async missing() {
    if (!existsSync(DRIVER)) return "the JDBC driver is not on this machine";
    return (await works("javac", ["-version"]))
      ? undefined
      : "a Java compiler is not on this machine";
  },
  async run(url, folder) {
    if (!existsSync(join(folder, "Workload.class"))) {
      const made = await runProgram("javac", [
        "-cp",
        DRIVER,
        "-d",
        folder,
        workloadFile("Workload.java"),
      ]);
      if (made.code !== 0) throw new Error(made.output);
    }
    const { host, pathname, username, password } = new URL(url);
    const login = [`jdbc:postgresql://${host}${pathname}`, username, decodeURIComponent(password)];
    const path = `${folder}:${DRIVER}`;
    // Started for a few seconds only: compiling little and sharing no data with other JVMs is faster and leaves no file.
    const flags = [
      "-XX:TieredStopAtLevel=1",
      "-XX:-UsePerfData",
      "-Xmx256m",
      "-Dfile.encoding=UTF-8",
    ];
    const { code, output } = await runProgram("java", [
      ...flags,
      "-cp",
      path,
      "Workload",
      ...login,
    ]);
    return `${output}\nended with ${code}`;
  },
};
