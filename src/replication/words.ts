/** `1.2 GB`, in powers of 1000. */
export function bytesInWords(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const text = unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1);
  return `${text.replace(/\.0$/, "")} ${units[unit] ?? ""}`;
}

/** `about 3 h`: one unit, the largest that has at least two of it, or one. */
export function durationInWords(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds > 10 * 365 * 86_400) return "years";
  const units: readonly (readonly [size: number, name: string])[] = [
    [86_400, "days"],
    [3600, "h"],
    [60, "min"],
  ];
  const [size, name] = units.find(([each]) => seconds >= 2 * each) ?? [1, "s"];
  return `about ${Math.round(seconds / size)} ${name}`;
}
