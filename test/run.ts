/**
 * Runs the compiled test files: `node dist/test/run.js [part of a name | !part to leave out …]`. Two at a time, those in a folder named
 * `alone` by themselves; each in its own process. The last line is `N passed, N failed`.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runTestFile } from "./runner/test-file.ts";
import type { FileResult } from "./runner/test-file.ts";

const AT_A_TIME = 2;
const SLOW_MS = 10_000;
/** A comment that a test wants to be read also when it passes. */
const FIGURE = /^ *# figure: (.*)$/gm;
/** What passed in a file that failed would only hide what did not. */
const PASSED = /^ *ok \d+ .*\n/gm;
const HERE = fileURLToPath(new URL(".", import.meta.url));

function testFiles(filters: readonly string[]): string[] {
  const parts = filters.map((filter) =>
    filter.replace(/^(!?)(dist\/)?test\//, "$1").replace(/\.[tj]s$/, ""),
  );
  const wanted = parts.filter((part) => !part.startsWith("!"));
  const unwanted = parts.filter((part) => part.startsWith("!")).map((part) => part.slice(1));
  return readdirSync(HERE, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".test.js"))
    .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
    .filter((path) => !unwanted.some((part) => path.includes(part)))
    .toSorted();
}

function failuresOf(result: FileResult): number {
  return result.totals.failed + result.troubles.length;
}

function print(result: FileResult): void {
  const { passed, skipped } = result.totals;
  const failed = failuresOf(result);
  const parts = [`${passed} passed`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (skipped.length > 0) parts.push(`${skipped.length} skipped`);
  const seconds = `${(result.tookMs / 1000).toFixed(1)} s`.padStart(7);
  console.log(
    `${failed > 0 ? "FAILED" : "ok    "} ${seconds}  ${result.name}  ${parts.join(", ")}`,
  );
  for (const [, figure] of result.output.matchAll(FIGURE))
    console.log(`                 ${figure}`);
  if (failed === 0) return;
  const line = "-".repeat(80);
  console.log(
    [
      line,
      result.output.replaceAll(PASSED, "").trimEnd(),
      ...result.troubles.map((t) => `${result.name}: ${t}`),
      line,
    ].join("\n"),
  );
}

async function runAll(
  names: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<FileResult[]> {
  const results: FileResult[] = [];
  const queue = [...names];
  const worker = async (): Promise<void> => {
    for (;;) {
      const name = queue.shift();
      if (name === undefined || signal.aborted) return;
      // Of one length: no name is the beginning of another's.
      const own = join(folder, String(names.indexOf(name)).padStart(4, "0"));
      const shown = name.slice(0, -".test.js".length);
      const result = await runTestFile(join(HERE, name), shown, own, signal);
      results.push(result);
      print(result);
    }
  };
  const isAlone = (name: string): boolean => name.split(sep).includes("alone");
  queue.splice(0, queue.length, ...names.filter((name) => !isAlone(name)));
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  queue.push(...names.filter(isAlone));
  await worker();
  return results;
}

function summarise(results: readonly FileResult[]): number {
  const slow = results.filter((r) => r.tookMs > SLOW_MS).toSorted((a, b) => b.tookMs - a.tookMs);
  if (slow.length > 0) {
    console.log(
      `\nSlowest: ${slow.map((r) => `${r.name} ${(r.tookMs / 1000).toFixed(0)} s`).join(", ")}`,
    );
  }
  const skips = results.flatMap((r) => r.totals.skipped.map((what) => `  ${r.name}: ${what}`));
  if (skips.length > 0) console.log(["\nSkipped:", ...skips].join("\n"));
  const failing = results.filter((r) => failuresOf(r) > 0);
  if (failing.length > 0)
    console.log(["\nFailed:", ...failing.map((r) => `  ${r.name}`)].join("\n"));
  const failed = results.reduce((sum, r) => sum + failuresOf(r), 0);
  const passed = results.reduce((sum, r) => sum + r.totals.passed, 0);
  const skipped = skips.length > 0 ? `, ${skips.length} skipped` : "";
  console.log(`\n${passed} passed, ${failed} failed${skipped}`);
  return failed;
}

const names = testFiles(process.argv.slice(2));
if (names.length === 0) {
  console.error(`No test file is named like ${process.argv.slice(2).join(" or ")}.`);
  process.exit(2);
}
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
const folder = mkdtempSync(join(tmpdir(), "twinwire-tests-"));
await chmod(folder, 0o755);
console.log(
  `${names.length} test files on Node ${process.versions.node} (${relative(process.cwd(), HERE) || "."})`,
);
const results = await runAll(names, folder, stop.signal);
rmSync(folder, { recursive: true, force: true });
const failed = summarise(results);
process.exitCode = stop.signal.aborted ? 130 : failed > 0 ? 1 : 0;
