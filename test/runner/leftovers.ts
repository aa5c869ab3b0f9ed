import { existsSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Processes and files that a test file left behind, a moment after its end. Each test file has a temporary folder
 * of its own: files are found there, processes by that folder in their arguments, working directory or environment.
 */
export async function leftovers(folder: string): Promise<string[]> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const left = [...processesOf(folder), ...filesIn(folder)];
    if (left.length === 0 || Date.now() > deadline) return left;
    await delay(50);
  }
}

function filesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => `file ${name}`) : [];
}

/** The pids among them can be ended: nobody else uses this folder. */
function processesOf(folder: string): string[] {
  return pidsOf(folder).map((pid) => {
    const command = textOf(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim().slice(0, 120);
    return `process ${pid} ${command}`;
  });
}

export function pidsOf(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => belongsTo(pid, folder));
}

function belongsTo(pid: number, folder: string): boolean {
  // A zombie has ended; only its parent has not looked yet.
  if (/^State:\s+Z/m.test(textOf(`/proc/${pid}/status`))) return false;
  const command = textOf(`/proc/${pid}/cmdline`);
  const environment = textOf(`/proc/${pid}/environ`);
  return (
    command.includes(folder) ||
    environment.includes(folder) ||
    workingFolder(pid).startsWith(folder)
  );
}

function workingFolder(pid: number): string {
  try {
    return readlinkSync(join("/proc", String(pid), "cwd"));
  } catch {
    return ""; // ended in between, or another user's
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // ended in between, or another user's
  }
}
