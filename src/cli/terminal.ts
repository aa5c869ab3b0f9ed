import pc from "picocolors";

/** Where a command reads its surroundings from and writes to. */
export type Terminal = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Widest line of a table. */
  readonly columns: number;
  /** Whether a line on standard error can be written over: somebody is watching. */
  readonly interactive: boolean;
  readonly colors: ReturnType<typeof pc.createColors>;
  out(text: string): void;
  err(text: string): void;
};

/** The process's own terminal. */
export function systemTerminal(): Terminal {
  // `twinwire report | head` closes our output while we write: that is the reader's right.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  return {
    env: process.env,
    columns: Math.min(100, process.stdout.columns ?? 100),
    interactive: process.stderr.isTTY && process.env["TERM"] !== "dumb",
    colors: pc.createColors(process.stdout.isTTY && pc.isColorSupported),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  };
}
