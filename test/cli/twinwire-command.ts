import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import pc from "picocolors";
import { run } from "../../src/cli/program.ts";

export type Ended = {
  readonly exitCode: number | string;
  readonly out: string;
  readonly err: string;
};

const MAIN = fileURLToPath(new URL("../../src/main.js", import.meta.url));

/** Runs the command line as its own process, with nothing of this one's environment but what is given. */
export function twinwire(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env["PATH"], ...env }, timeout: 30_000 };
    execFile(process.execPath, [MAIN, ...args], options, (error, out, err) => {
      resolve({ exitCode: error === null ? 0 : (error.code ?? "killed"), out, err });
    });
  });
}

/** Runs the command line in this process, with a terminal that keeps what is written. */
export async function inProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  interactive = false,
): Promise<Ended> {
  const written = { out: "", err: "" };
  const exitCode = await run(args, {
    env,
    columns: 100,
    interactive,
    colors: pc.createColors(false),
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
  });
  return { exitCode, ...written };
}

/** Runs at most `width` at once: every command is a process, and the machine is small. */
export async function eachOf<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = [...items];
  const worker = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
