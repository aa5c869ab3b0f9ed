/** Fifteen minutes, of which time zones are multiples. */
const ZONE_STEP_S = 900;
const LARGEST_ZONE_S = 14 * 3600;

/**
 * What made of one value the other, in words that hold no value.
 * @param old as both types would print it; null is NULL
 * @param type as `format_type` prints it without a modifier
 */
export function causeOf(old: string | null, fresh: string | null, type: string): string {
  if (old === null || fresh === null) return nullCause(old, fresh);
  for (const look of looksOf(type)) {
    const cause = look(old, fresh);
    if (cause !== undefined) return cause;
  }
  return "another value";
}

type Look = (old: string, fresh: string) => string | undefined;

function looksOf(type: string): readonly Look[] {
  if (type.startsWith("timestamp")) return [zoneCause, fractionCause];
  if (type.startsWith("time")) return [fractionCause];
  if (type === "date") return [dayCause];
  if (NUMBERS.has(type)) return [numberCause];
  if (type === "json" || type === "jsonb") return [jsonCause, ...TEXT_LOOKS];
  if (type === "bytea") return [cutCause];
  return TEXT_LOOKS;
}

const NUMBERS: ReadonlySet<string> = new Set([
  "smallint",
  "integer",
  "bigint",
  "numeric",
  "real",
  "double precision",
]);

function nullCause(old: string | null, fresh: string | null): string {
  if (old === "") return "an empty text became NULL";
  if (fresh === "") return "NULL became an empty text";
  return old === null ? "a value instead of NULL" : "NULL instead of a value";
}

const TEXT_LOOKS: readonly Look[] = [
  same((text) => text.trimEnd(), "spaces at the end"),
  same((text) => text.trim(), "spaces around it"),
  same((text) => text.replaceAll("\r\n", "\n").replaceAll("\r", "\n"), "ends of lines"),
  same((text) => text.normalize("NFC"), "another Unicode form of the same characters"),
  same((text) => text.toLowerCase(), "upper and lower case"),
  (old, fresh) =>
    latin1(old) === fresh || latin1(fresh) === old ? "UTF-8 that was read as Latin-1" : undefined,
  (old, fresh) =>
    replaced(old) === fresh || replaced(fresh) === old
      ? "characters that were replaced by question marks"
      : undefined,
  same((text) => text.replaceAll(/\s+/g, " ").trim(), "spaces between words"),
  same((text) => text.normalize("NFD").replaceAll(/\p{M}/gu, ""), "accents"),
  cutCause,
];

function same(form: (text: string) => string, cause: string): Look {
  return (old, fresh) => (form(old) === form(fresh) ? cause : undefined);
}

function latin1(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function replaced(text: string): string {
  return text.replaceAll(/[^\p{ASCII}]/gu, "?");
}

function cutCause(old: string, fresh: string): string | undefined {
  if (old.startsWith(fresh)) return "cut off at its end";
  return fresh.startsWith(old) ? "something added at its end" : undefined;
}

function numberCause(old: string, fresh: string): string | undefined {
  const [one, other] = [Number(old), Number(fresh)];
  if (Number.isNaN(one) || Number.isNaN(other)) return undefined;
  // Two integers that differ may be one number to JavaScript.
  const areIntegers = /^-?\d+$/.test(old) && /^-?\d+$/.test(fresh);
  if (one === other && !areIntegers) return "other digits of the same number";
  if (one === -other) return "the opposite sign";
  const places = Math.min(placesOf(old), placesOf(fresh));
  const distance = Math.abs(one - other);
  if (!areIntegers && distance <= Math.abs(one) * 4e-16)
    return "the last digit of a floating point number";
  if (distance <= 0.500001 * 10 ** -places && placesOf(old) !== placesOf(fresh))
    return "rounded to fewer digits";
  if (distance < 10 ** -places && placesOf(old) !== placesOf(fresh))
    return "cut off to fewer digits";
  const ratio = one / other;
  for (const factor of [10, 100, 1000]) {
    if (close(ratio, factor) || close(ratio, 1 / factor))
      return `${factor} times as much, or as little`;
  }
  return undefined;
}

function close(one: number, other: number): boolean {
  return Math.abs(one - other) < 1e-9 * other;
}

function placesOf(number: string): number {
  return /\.(\d+)$/.exec(number)?.[1]?.length ?? 0;
}

function zoneCause(old: string, fresh: string): string | undefined {
  const [one, other] = [timeOf(old), timeOf(fresh)];
  if (one === undefined || other === undefined) return undefined;
  const seconds = (other - one) / 1000;
  if (seconds === 0 || seconds % ZONE_STEP_S !== 0 || Math.abs(seconds) > LARGEST_ZONE_S)
    return undefined;
  return `a time zone offset of ${seconds > 0 ? "+" : ""}${seconds} s`;
}

function fractionCause(old: string, fresh: string): string | undefined {
  const whole = (text: string): string => text.replace(/\.\d+/, "");
  return whole(old) === whole(fresh) ? "fractions of a second" : undefined;
}

function dayCause(old: string, fresh: string): string | undefined {
  const [one, other] = [timeOf(old), timeOf(fresh)];
  if (one === undefined || other === undefined) return undefined;
  return Math.abs(one - other) === 86_400_000 ? "a day earlier or later" : undefined;
}

/** In milliseconds; of ISO forms only. */
function timeOf(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return undefined;
  const zoned = /[+-]\d\d(?::\d\d)?$/.exec(text.slice(10));
  const iso = text.replace(" ", "T");
  const ms = Date.parse(
    zoned === null ? `${iso}${iso.includes("T") ? "Z" : ""}` : iso.replace(/([+-]\d\d)$/, "$1:00"),
  );
  return Number.isNaN(ms) ? undefined : ms;
}

function jsonCause(old: string, fresh: string): string | undefined {
  try {
    const [one, other] = [JSON.parse(old) as unknown, JSON.parse(fresh) as unknown];
    if (JSON.stringify(one) === JSON.stringify(other)) return "spaces or spelling of the same JSON";
    return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
      ? "the order of keys in JSON"
      : undefined;
  } catch {
    return undefined;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const pairs = Object.entries(value).map(([name, each]) => [name, sorted(each)] as const);
  return Object.fromEntries(pairs.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
