/** Calm output: finished steps as lines of their own and, on a terminal, one line that says what goes on now. */
import type { WriteStream } from "node:tty";
import pc from "picocolors";

export type Progress = {
  /** A finished step. */
  done(text: string): void;
  /** Something went wrong. */
  failed(text: string): void;
  /** A line, or several, as they are. */
  print(text: string): void;
  /** What goes on now: replaces what was said before on a terminal, elsewhere a line now and then. */
  now(text: string): void;
  /** Takes away what was said of now. */
  close(): void;
};

/** Away from a terminal nobody wants a line for every half second. */
const PLAIN_INTERVAL_MS = 5_000;

export function openProgress(out: WriteStream, nowMs: () => number): Progress {
  let lastPlainMs = nowMs();
  let shown = false;
  const clear = (): void => {
    if (shown) out.write("\r\x1b[2K");
    shown = false;
  };
  const print = (text: string): void => {
    clear();
    out.write(`${text}\n`);
  };
  return {
    done: (text) => print(`  ${pc.green("✓")} ${text}`),
    failed: (text) => print(`  ${pc.red("✗")} ${text}`),
    print,
    close: clear,
    now(text): void {
      if (out.isTTY) {
        clear();
        // One that breaks over two lines could not be taken back; some terminals do not tell their width.
        out.write(pc.dim(`  … ${text}`.slice(0, (out.columns || 80) - 1)));
        shown = true;
      } else if (nowMs() - lastPlainMs >= PLAIN_INTERVAL_MS) {
        lastPlainMs = nowMs();
        print(`  … ${text}`);
      }
    },
  };
}
