import type { Buffer } from "node:buffer";
import { DAY_US, dateText, daysFromDate, parseTime, timeText, zoneSeconds } from "./calendar.ts";
import { divergent, latin1, scalarFamily, tolerated } from "./value.ts";
import type { Difference, Family, Raw } from "./value.ts";

/**
 * A point in time in microseconds since 2000, read in each order of day and month that makes sense
 * of the text: `01/02/2024` has two readings, `2024-02-01` has the same one twice.
 */
type Moment = {
  readonly monthFirst: bigint | string | undefined;
  readonly dayFirst: bigint | string | undefined;
  readonly style: Style;
  readonly zone: string;
};
type Style = "iso" | "sql" | "german" | "postgres" | "binary" | "infinite";

const TIME = String.raw`(\d\d:\d\d:\d\d(?:\.\d{1,6})?)`;
const ZONE = String.raw`( ?[+-]\d\d(?::?\d\d){0,2}| [A-Za-z]{1,5}|Z)?`;
const REST = String.raw`(?:[ T]${TIME}${ZONE})?( BC)?$`;
const NUMERIC_DATE = new RegExp(String.raw`^(\d\d)([-/.])(\d\d)\2(\d{4,7})${REST}`);
const ISO_DATE = new RegExp(String.raw`^(\d{4,7})-(\d\d)-(\d\d)${REST}`);
const WORDY_DATE = new RegExp(
  String.raw`^[A-Z][a-z]{2} (?:([A-Z][a-z]{2}) (\d\d)|(\d\d) ([A-Z][a-z]{2})) ${TIME} (\d{4,7})${ZONE}( BC)?$`,
);
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const DATE: Family = momentFamily("date", (raw) => {
  if (raw.length !== 4) return undefined;
  const days = raw.readInt32BE(0);
  return infinite(BigInt(days), 31) ?? BigInt(days) * DAY_US;
});
export const TIMESTAMP: Family = momentFamily("timestamp", microseconds);
export const TIMESTAMPTZ: Family = momentFamily("timestamptz", microseconds);

export const TIME_OF_DAY: Family = scalarFamily({
  group: "time",
  read: (raw) => (typeof raw === "string" ? parseTime(raw) : microseconds(raw))?.toString(),
  differs: "timestamp_value",
  format: "value_format",
  render: (raw) => (raw.length === 8 ? timeText(raw.readBigInt64BE(0)) : undefined),
});

/** timetz: binary is microseconds of the day and seconds west of Greenwich. */
export const TIME_OF_DAY_ZONED: Family = scalarFamily({
  group: "timetz",
  read: zonedTime,
  differs: "timestamp_value",
  format: "timestamp_zone",
  render: (raw) => zonedTime(raw),
});

function momentFamily(
  group: "date" | "timestamp" | "timestamptz",
  binary: (raw: Buffer) => bigint | string | undefined,
): Family {
  const read = (raw: Raw): Moment | undefined => {
    if (typeof raw === "string") return parseMoment(raw, group === "timestamptz");
    const value = binary(raw);
    if (value === undefined) return undefined;
    return { monthFirst: value, dayFirst: value, style: "binary", zone: "" };
  };
  return {
    group,
    canonical: ({ raw }) => {
      const moment = read(raw);
      return (moment?.monthFirst ?? moment?.dayFirst)?.toString();
    },
    compare: (primary, shadow) => compareMoments(read(primary.raw), read(shadow.raw)),
    render: (raw) => renderMoment(binary(raw), group),
    hint: (primary, shadow) => hintAtMoments(read(primary.raw), read(shadow.raw)),
  };
}

const MINUTE_US = 60_000_000n;

/** Whole hours come of time zones, cut fractions of casts and drivers. */
function hintAtMoments(a: Moment | undefined, b: Moment | undefined): string | undefined {
  if (a === undefined || b === undefined || sameMoment(a, b)) return undefined;
  const [x, y] = [a, b].map(({ monthFirst, dayFirst }) => monthFirst ?? dayFirst);
  if (typeof x !== "bigint" || typeof y !== "bigint") return undefined;
  const apart = x > y ? x - y : y - x;
  if (apart === DAY_US) return "by exactly one day";
  if (apart < 26n * 60n * MINUTE_US && apart % (15n * MINUTE_US) === 0n) {
    return `by exactly ${timeText(apart).slice(0, 5)} hours, as another time zone makes it`;
  }
  return apart < 1_000_000n ? "in the fraction of a second only" : undefined;
}

function compareMoments(a: Moment | undefined, b: Moment | undefined): Difference | undefined {
  if (a === undefined || b === undefined || !sameMoment(a, b)) return divergent("timestamp_value");
  if (a.style === "binary" || b.style === "binary") return undefined;
  if (a.style !== b.style || a.zone === b.zone) return tolerated("date_style");
  return tolerated("timestamp_zone");
}

/** One style means one DateStyle, so both are read in the same order of day and month if that is possible. */
function sameMoment(a: Moment, b: Moment): boolean {
  if (a.style === b.style) {
    if (a.monthFirst !== undefined && b.monthFirst !== undefined)
      return a.monthFirst === b.monthFirst;
    if (a.dayFirst !== undefined && b.dayFirst !== undefined) return a.dayFirst === b.dayFirst;
  }
  return [a.monthFirst, a.dayFirst].some(
    (reading) => reading !== undefined && (reading === b.monthFirst || reading === b.dayFirst),
  );
}

function parseMoment(text: string, zoned: boolean): Moment | undefined {
  if (text === "infinity" || text === "-infinity") {
    return { monthFirst: text, dayFirst: text, style: "infinite", zone: "" };
  }
  return parseIso(text, zoned) ?? parseNumeric(text, zoned) ?? parseWordy(text, zoned);
}

function parseIso(text: string, zoned: boolean): Moment | undefined {
  const parts = ISO_DATE.exec(text);
  if (parts === null) return undefined;
  const rest = { time: parts[4], zone: parts[5], bc: parts[6], zoned };
  const value = instant([parts[1], parts[2], parts[3]], rest);
  return { monthFirst: value, dayFirst: value, style: "iso", zone: parts[5] ?? "" };
}

function parseNumeric(text: string, zoned: boolean): Moment | undefined {
  const parts = NUMERIC_DATE.exec(text);
  if (parts === null) return undefined;
  const rest = { time: parts[5], zone: parts[6], bc: parts[7], zoned };
  const dayFirst = instant([parts[4], parts[3], parts[1]], rest);
  const zone = parts[6] ?? "";
  if (parts[2] === ".") return { monthFirst: dayFirst, dayFirst, style: "german", zone };
  const monthFirst = instant([parts[4], parts[1], parts[3]], rest);
  return { monthFirst, dayFirst, style: parts[2] === "/" ? "sql" : "postgres", zone };
}

function parseWordy(text: string, zoned: boolean): Moment | undefined {
  const parts = WORDY_DATE.exec(text);
  if (parts === null) return undefined;
  const month = MONTHS.indexOf(parts[1] ?? parts[4] ?? "") + 1;
  const rest = { time: parts[5], zone: parts[7], bc: parts[8], zoned };
  const value = instant([parts[6], String(month), parts[2] ?? parts[3]], rest);
  return { monthFirst: value, dayFirst: value, style: "postgres", zone: parts[7] ?? "" };
}

type Rest = {
  readonly time: string | undefined;
  readonly zone: string | undefined;
  readonly bc: string | undefined;
  readonly zoned: boolean;
};

function instant(date: readonly (string | undefined)[], rest: Rest): bigint | undefined {
  const [year, month, day] = date.map(Number);
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (month < 1 || month > 12 || day < 1 || day > 31) return undefined;
  const time = rest.time === undefined ? 0n : parseTime(rest.time);
  const zone = rest.zoned && rest.zone !== undefined ? zoneSeconds(rest.zone.trim()) : 0;
  if (time === undefined || zone === undefined) return undefined;
  const days = daysFromDate(rest.bc === undefined ? year : 1 - year, month, day);
  return BigInt(days) * DAY_US + time - BigInt(zone) * 1_000_000n;
}

function microseconds(raw: Buffer): bigint | undefined;
function microseconds(raw: Raw): bigint | string | undefined;
function microseconds(raw: Raw): bigint | string | undefined {
  if (typeof raw === "string" || raw.length !== 8) return undefined;
  const value = raw.readBigInt64BE(0);
  return infinite(value, 63) ?? value;
}

function infinite(value: bigint, bits: number): string | undefined {
  const greatest = 2n ** BigInt(bits) - 1n;
  if (value === greatest) return "infinity";
  return value === -greatest - 1n ? "-infinity" : undefined;
}

function zonedTime(raw: Raw): string | undefined {
  if (typeof raw !== "string") {
    if (raw.length !== 12) return undefined;
    return (raw.readBigInt64BE(0) + BigInt(raw.readInt32BE(8)) * 1_000_000n).toString();
  }
  const parts = /^(\d\d:\d\d:\d\d(?:\.\d+)?)([+-][\d:]+)$/.exec(latin1(raw));
  const time = parseTime(parts?.[1] ?? "");
  const zone = zoneSeconds(parts?.[2] ?? "");
  if (time === undefined || zone === undefined) return undefined;
  return (time - BigInt(zone) * 1_000_000n).toString();
}

function renderMoment(
  value: bigint | string | undefined,
  group: "date" | "timestamp" | "timestamptz",
): string | undefined {
  if (typeof value !== "bigint") return value;
  const days = value / DAY_US - (value % DAY_US < 0n ? 1n : 0n);
  const date = dateText(Number(days));
  if (group === "date") return date;
  const time = timeText(value - days * DAY_US);
  const stamp = date.endsWith(" BC") ? `${date.slice(0, -3)} ${time} BC` : `${date} ${time}`;
  return group === "timestamptz" ? `${stamp} UTC` : stamp;
}
