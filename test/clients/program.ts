import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const LIMIT_MS = 60_000;

/** A workload that is not TypeScript lies beside the sources, not beside what was compiled from them. */
export function workloadFile(name: string): string {
  return fileURLToPath(new URL(`../../../test/clients/${name}`, import.meta.url));
}

export type Ended = { readonly code: number | null; readonly output: string };

export type ProgramOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly onStart?: (pid: number) => void;
};

/** Runs a program to its end; output and errors in the order they were written. Killed after a minute. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Ended> {
  const child = spawn(program, args, {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const late = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  try {
    await once(child, "spawn");
    if (child.pid !== undefined) options.onStart?.(child.pid);
    const [code] = (await once(child, "close")) as [number | null];
    return { code, output };
  } finally {
    clearTimeout(late);
  }
}

/** True when the program can be started and says all is well. */
export async function works(program: string, args: readonly string[]): Promise<boolean> {
  try {
    return (await runProgram(program, args)).code === 0;
  } catch {
    return false; // not on this machine
  }
}
