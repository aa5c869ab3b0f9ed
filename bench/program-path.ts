import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** Where a program lies; daemons are often outside of a user's path. */
export function programPath(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(":");
  return [...folders, "/usr/sbin", "/sbin", "/usr/local/sbin"]
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}
