/** What a test file said on its standard output, in numbers. */
export type TapTotals = {
  readonly passed: number;
  readonly failed: number;
  /** What did not run, as tap names it, with the reason. */
  readonly skipped: readonly string[];
  /** False when the file ended before its plan: then its numbers mean nothing. */
  readonly complete: boolean;
};

const PLAN = /^1\.\.(\d+)(?: # ?(.*))?$/;
const CLOSING = /^# \{ (total: .*) \}$/;
const SKIPPED = /^\s*ok \d+ - (.*?) # (?:SKIP|TODO) ?(.*)$/;

/** Reads the plan and the closing line, which counts nested tests too: `# { total: 9, pass: 4, fail: 2, skip: 2 }`. */
export function tapTotals(output: string): TapTotals {
  const lines = output.split("\n");
  const skipped = lines.flatMap((line) => {
    const [, name, reason] = SKIPPED.exec(line) ?? [];
    return name === undefined ? [] : [reason ? `${name} (${reason})` : name];
  });
  const plan = lines.map((line) => PLAN.exec(line)).find((match) => match !== null);
  const closing = lines.map((line) => CLOSING.exec(line)).find((match) => match !== null);
  if (plan?.[1] === "0") skipped.push(`the whole file (${plan[2] ?? "no tests"})`);
  const counts = Object.fromEntries(
    (closing?.[1] ?? "").split(", ").map((part) => part.split(": ")),
  ) as Record<string, string>;
  const count = (name: string): number => Number(counts[name] ?? 0);
  return {
    passed: count("pass"),
    failed: count("fail"),
    skipped,
    complete: plan !== undefined && closing !== undefined,
  };
}
