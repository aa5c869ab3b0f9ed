import { scalarFamily } from "./value.ts";
import type { Family, Raw } from "./value.ts";

/** Months, days and microseconds are kept apart, as the server does: a month has no fixed length. */
type Interval = { months: number; days: number; us: bigint };

/** interval: all four values of IntervalStyle, and binary (int64 µs, int32 days, int32 months). */
export const INTERVAL: Family = scalarFamily({
  group: "interval",
  read: readInterval,
  differs: "interval_value",
  format: "interval_style",
  render: (raw) => {
    const interval = readInterval(raw);
    return interval?.replace(/^(.*) (.*) (.*)$/, "$1 months $2 days $3 microseconds");
  },
});

const INFINITE_TEXT: readonly string[] = ["infinity", "-infinity"];

function readInterval(raw: Raw): string | undefined {
  if (typeof raw === "string") {
    if (INFINITE_TEXT.includes(raw)) return raw;
    const interval = parseIso(raw) ?? parseSql(raw) ?? parseWords(raw);
    return interval && `${interval.months} ${interval.days} ${interval.us}`;
  }
  if (raw.length !== 16) return undefined;
  const us = raw.readBigInt64BE(0);
  const days = raw.readInt32BE(8);
  const months = raw.readInt32BE(12);
  if (us === 2n ** 63n - 1n && days === 0x7fffffff && months === 0x7fffffff) return "infinity";
  if (us === -(2n ** 63n) && days === -0x80000000 && months === -0x80000000) return "-infinity";
  return `${months} ${days} ${us}`;
}

/** `P1Y2M3DT4H5M6.7S`, each number with its own sign. */
function parseIso(text: string): Interval | undefined {
  const form =
    /^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)W)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?[\d.]+)S)?)?$/;
  const parts = form.exec(text);
  if (parts === null || text === "P" || text.endsWith("T")) return undefined;
  return {
    months: Number(parts[1] ?? 0) * 12 + Number(parts[2] ?? 0),
    days: Number(parts[3] ?? 0) * 7 + Number(parts[4] ?? 0),
    us:
      BigInt(parts[5] ?? 0) * 3_600_000_000n +
      BigInt(parts[6] ?? 0) * 60_000_000n +
      secondsUs(parts[7] ?? "0"),
  };
}

/**
 * `1-2`, `3 4:05:06.7`, `+1-2 -3 +4:05:06.7`, `0`. With one sign in front it is the sign of all;
 * mixed signs are written before every part. `04:05:06` means the same in the postgres style.
 */
function parseSql(text: string): Interval | undefined {
  const interval: Interval = { months: 0, days: 0, us: 0n };
  if (text === "0") return interval;
  const first = text.startsWith("-") ? "-" : "+";
  const words = text.split(" ");
  for (const word of words) {
    const parts = /^([+-]?)(?:(\d+)-(\d+)|(\d+:\d\d:\d\d(?:\.\d+)?)|(\d+))$/.exec(word);
    // A number alone would be days or seconds: the server writes it with a clock after it.
    if (parts === null || (parts[5] !== undefined && words.length === 1)) return undefined;
    const sign = (parts[1] || first) === "-" ? -1 : 1;
    interval.months += positive((Number(parts[2] ?? 0) * 12 + Number(parts[3] ?? 0)) * sign);
    interval.days += positive(Number(parts[5] ?? 0) * sign);
    interval.us += clockUs(parts[4] ?? "0:00:00") * BigInt(sign);
  }
  return interval;
}

/** `1 year 2 mons -3 days +04:05:06.7` and `@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs ago`. */
function parseWords(text: string): Interval | undefined {
  const ago = text.endsWith(" ago");
  const words = text.replace(/^@ /, "").replace(/ ago$/, "").split(" ");
  const interval: Interval = { months: 0, days: 0, us: 0n };
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (word.includes(":")) {
      const clock = /^([+-]?)(\d+:\d\d:\d\d(?:\.\d+)?)$/.exec(word);
      if (clock === null) return undefined;
      interval.us += clockUs(clock[2] ?? "") * (clock[1] === "-" ? -1n : 1n);
    } else if (word === "0" && words.length === 1) {
      return interval;
    } else if (!/^[+-]?\d+(?:\.\d+)?$/.test(word) || !add(interval, word, words[++index])) {
      return undefined;
    }
  }
  if (!ago) return interval;
  return { months: positive(-interval.months), days: positive(-interval.days), us: -interval.us };
}

function add(interval: Interval, amount: string, unit: string | undefined): boolean {
  switch ((unit ?? "").replace(/s$/, "")) {
    case "year":
      interval.months += Number(amount) * 12;
      return true;
    case "mon":
      interval.months += Number(amount);
      return true;
    case "day":
      interval.days += Number(amount);
      return true;
    case "hour":
      interval.us += BigInt(whole(amount)) * 3_600_000_000n;
      return true;
    case "min":
      interval.us += BigInt(whole(amount)) * 60_000_000n;
      return true;
    case "sec":
      interval.us += secondsUs(amount);
      return true;
    default:
      return false;
  }
}

function clockUs(text: string): bigint {
  const [hours, minutes, seconds] = text.split(":");
  return (
    BigInt(hours ?? 0) * 3_600_000_000n +
    BigInt(minutes ?? 0) * 60_000_000n +
    secondsUs(seconds ?? "0")
  );
}

function secondsUs(text: string): bigint {
  const [seconds, fraction] = text.replace(/^[+-]/, "").split(".");
  const us =
    BigInt(seconds ?? 0) * 1_000_000n + BigInt((fraction ?? "").slice(0, 6).padEnd(6, "0"));
  return text.startsWith("-") ? -us : us;
}

function whole(amount: string): string {
  return amount.replace(/^\+/, "").replace(/\..*$/, "");
}

/** Turns -0 into 0, which is written differently. */
function positive(value: number): number {
  return value === 0 ? 0 : value;
}
