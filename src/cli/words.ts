/** `1,234,567`. */
export function count(value: number): string {
  return new Intl.NumberFormat("en").format(value);
}

/** A share as people write it; never 100 % unless it is all, never 0 % unless it is none. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "–";
  const share = (100 * part) / whole;
  if (part < whole && share > 99.9) return "99.9 %";
  if (part > 0 && share < 0.1) return "0.1 %";
  return `${share.toFixed(1).replace(/\.0$/, "")} %`;
}

/** `write 51,200, copy_in 3`, the most frequent first; a dash for none. */
export function reasons(counts: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
  return sorted.map(([reason, number]) => `${reason} ${count(number)}`).join(", ") || "–";
}

/** `2026-03-01 11:30:00Z` of an ISO time. */
export function instant(iso: string): string {
  return iso.replace("T", " ").replace(/\.\d+Z$/, "Z");
}

/** Milliseconds with as many digits as matter; a dash for none. */
export function milliseconds(ms: number | null): string {
  return ms === null ? "–" : ms.toFixed(ms < 10 ? 2 : 0);
}
