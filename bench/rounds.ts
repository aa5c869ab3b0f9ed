import process from "node:process";

/** Another one goes first in every round. */
export function rotated<T>(list: readonly T[], by: number): T[] {
  const start = by % Math.max(1, list.length);
  return [...list.slice(start), ...list.slice(0, start)];
}

export function progress(line: string): void {
  process.stderr.write(`${line} …\n`);
}
