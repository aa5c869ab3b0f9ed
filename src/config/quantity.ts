const MS_PER: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const BYTES_PER: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** @returns milliseconds of `200ms`, `5s`, `1.5m`, `2h`, `1d`; undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  return parseQuantity(text, MS_PER);
}

/** @returns bytes of `512B`, `64KiB`, `8MiB`, `1GiB`, or with `kB`, `MB`, `GB` powers of ten; else undefined. */
export function parseBytes(text: string): number | undefined {
  return parseQuantity(text, BYTES_PER);
}

/** Writes milliseconds in the largest unit that divides them: `90000` is `90s`, `120000` is `2m`. */
export function formatDuration(ms: number): string {
  return formatQuantity(ms, MS_PER, "ms");
}

/** Writes bytes in the largest binary unit that divides them: `8388608` is `8MiB`. */
export function formatBytes(bytes: number): string {
  return formatQuantity(bytes, { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }, "B");
}

export type HostPort = { readonly host: string; readonly port: number };

/** @returns the parts of `host:port` or `[v6]:port`; port 0 lets the system choose. Undefined for anything else. */
export function parseHostPort(text: string): HostPort | undefined {
  const parts = /^(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([^:[\]/@\s]+)):(\d{1,5})$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

/** Writes an address the way `parseHostPort` reads it. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, amount, unit] = /^(\d{1,12}(?:\.\d{1,6})?)([A-Za-z]+)$/.exec(text) ?? [];
  const factor = unit === undefined || !Object.hasOwn(units, unit) ? undefined : units[unit];
  return factor === undefined ? undefined : Math.round(Number(amount) * factor);
}

function formatQuantity(
  amount: number,
  units: Readonly<Record<string, number>>,
  smallest: string,
): string {
  const fitting = Object.entries(units).findLast(
    ([, factor]) => amount >= factor && amount % factor === 0,
  );
  return fitting === undefined ? `${amount}${smallest}` : `${amount / fitting[1]}${fitting[0]}`;
}
