/** Microseconds of a day. */
export const DAY_US = 86_400_000_000n;

/** Days from 1970-01-01 to 2000-01-01, where PostgreSQL counts from. */
const EPOCH_DAYS = 10_957;

/** Days since 2000-01-01 in the Gregorian calendar without end; year 0 is 1 BC. */
export function daysFromDate(year: number, month: number, day: number): number {
  // Years are counted from March, so that the leap day comes last; 400 years have 146097 days.
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468 - EPOCH_DAYS;
}

/** The inverse of `daysFromDate`, written as PostgreSQL's ISO style has it. */
export function dateText(days: number): string {
  const shifted = days + 719_468 + EPOCH_DAYS;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const shown = year > 0 ? year : 1 - year;
  const date = `${String(shown).padStart(4, "0")}-${two(month)}-${two(day)}`;
  return year > 0 ? date : `${date} BC`;
}

/** Microseconds of a day as `hh:mm:ss.ffffff`, without trailing zeros. */
export function timeText(us: bigint): string {
  const seconds = us / 1_000_000n;
  const fraction = us % 1_000_000n;
  const clock = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n]
    .map((part) => two(Number(part)))
    .join(":");
  if (fraction === 0n) return clock;
  return `${clock}.${fraction.toString().padStart(6, "0").replace(/0+$/, "")}`;
}

/** `hh:mm:ss.ffffff` in microseconds; undefined when it is none. */
export function parseTime(text: string): bigint | undefined {
  const parts = /^(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?$/.exec(text);
  if (parts === null) return undefined;
  const seconds = Number(parts[1]) * 3600 + Number(parts[2]) * 60 + Number(parts[3] ?? 0);
  return BigInt(seconds) * 1_000_000n + BigInt((parts[4] ?? "").padEnd(6, "0"));
}

/** Seconds east of Greenwich of `+02`, `-03:30`, `Z` or a common abbreviation; undefined when unknown. */
export function zoneSeconds(zone: string): number | undefined {
  const parts = /^([+-])(\d\d):?(\d\d)?(?::?(\d\d))?$/.exec(zone);
  if (parts === null) {
    const hours = ABBREVIATIONS.get(zone.toUpperCase());
    return hours === undefined ? undefined : hours * 3600;
  }
  const seconds = Number(parts[2]) * 3600 + Number(parts[3] ?? 0) * 60 + Number(parts[4] ?? 0);
  return parts[1] === "-" ? -seconds : seconds;
}

/** Hours east of Greenwich, of those abbreviations that mean one zone in PostgreSQL's default set. */
const ABBREVIATIONS: ReadonlyMap<string, number> = new Map([
  ["UTC", 0],
  ["GMT", 0],
  ["Z", 0],
  ["WET", 0],
  ["WEST", 1],
  ["BST", 1],
  ["CET", 1],
  ["MEZ", 1],
  ["CEST", 2],
  ["MESZ", 2],
  ["EET", 2],
  ["EEST", 3],
  ["MSK", 3],
  ["PKT", 5],
  ["HKT", 8],
  ["JST", 9],
  ["KST", 9],
  ["AEST", 10],
  ["AEDT", 11],
  ["NZST", 12],
  ["NZDT", 13],
  ["HST", -10],
  ["AKST", -9],
  ["AKDT", -8],
  ["PST", -8],
  ["PDT", -7],
  ["MST", -7],
  ["MDT", -6],
  ["CST", -6],
  ["CDT", -5],
  ["EST", -5],
  ["EDT", -4],
]);

function two(value: number): string {
  return String(value).padStart(2, "0");
}
