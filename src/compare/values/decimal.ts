import type { Buffer } from "node:buffer";

/** A decimal number taken apart: value = ±digits × 10^exponent, without zeros at either end. */
type Decimal = { readonly negative: boolean; readonly digits: string; readonly exponent: number };

const FORM = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/;
const SPECIAL: ReadonlyMap<string, string> = new Map([
  ["nan", "NaN"],
  ["infinity", "Infinity"],
  ["inf", "Infinity"],
  ["-infinity", "-Infinity"],
  ["-inf", "-Infinity"],
]);

/** One spelling for equal numbers of any size and scale: `15e-1` for 1.50. Undefined: not a number. */
export function canonicalDecimal(text: string): string | undefined {
  const decimal = parseDecimal(text);
  if (decimal === undefined) return SPECIAL.get(text.toLowerCase());
  if (decimal.digits === "") return "0";
  return `${decimal.negative ? "-" : ""}${decimal.digits}e${decimal.exponent}`;
}

/** Whether two numbers lie within an absolute or a relative distance (relative to the first), exactly. */
export function decimalsWithin(
  first: string,
  second: string,
  absolute: number | undefined,
  relative: number | undefined,
): boolean {
  const a = parseDecimal(first);
  const b = parseDecimal(second);
  if (a === undefined || b === undefined) return false;
  const limits = [
    absolute === undefined ? undefined : parseDecimal(String(absolute)),
    relative === undefined ? undefined : times(a, parseDecimal(String(relative))),
  ];
  return limits.some((limit) => limit !== undefined && distanceWithin(a, b, limit));
}

/** Whether two numbers lie exactly so far from each other. */
export function decimalsApart(first: string, second: string, distance: string): boolean {
  const [a, b, apart] = [first, second, distance].map(parseDecimal);
  if (a === undefined || b === undefined || apart === undefined) return false;
  const scaled = scaledTogether([a, b, apart]);
  if (scaled === undefined) return false;
  const [x = 0n, y = 0n, gap = 0n] = scaled;
  return x - y === gap || y - x === gap;
}

/** The text of a binary numeric: int16 digits, weight, uint16 sign, scale, then digits to base 10000. */
export function numericText(bytes: Buffer): string | undefined {
  if (bytes.length < 8) return undefined;
  const count = bytes.readUInt16BE(0);
  const weight = bytes.readInt16BE(2);
  const sign = bytes.readUInt16BE(4);
  const scale = bytes.readUInt16BE(6);
  if (sign === 0xc000) return "NaN";
  if (sign === 0xd000) return "Infinity";
  if (sign === 0xf000) return "-Infinity";
  if (bytes.length !== 8 + count * 2) return undefined;
  const group = (index: number): string =>
    index < 0 || index >= count
      ? "0000"
      : String(bytes.readUInt16BE(8 + index * 2)).padStart(4, "0");
  let whole = "";
  for (let index = 0; index <= weight; index++) whole += group(index);
  let fraction = "";
  for (let index = weight + 1; fraction.length < scale; index++) fraction += group(index);
  const digits = whole.replace(/^0+(?=\d)/, "") || "0";
  return `${sign === 0x4000 ? "-" : ""}${digits}${scale > 0 ? `.${fraction.slice(0, scale)}` : ""}`;
}

function parseDecimal(text: string): Decimal | undefined {
  const form = FORM.exec(text);
  if (form === null) return undefined;
  const whole = form[2] ?? "";
  const fraction = form[3] ?? "";
  if (whole === "" && fraction === "") return undefined;
  const all = whole + fraction;
  let start = 0;
  while (start < all.length && all.charCodeAt(start) === 48) start++;
  let end = all.length;
  while (end > start && all.charCodeAt(end - 1) === 48) end--;
  return {
    negative: form[1] === "-",
    digits: all.slice(start, end),
    exponent: Number(form[4] ?? 0) - fraction.length + (all.length - end),
  };
}

function times(a: Decimal, b: Decimal | undefined): Decimal | undefined {
  if (b === undefined || a.digits === "" || b.digits === "") return undefined;
  const digits = (BigInt(a.digits) * BigInt(b.digits)).toString();
  return { negative: false, digits, exponent: a.exponent + b.exponent };
}

function distanceWithin(a: Decimal, b: Decimal, limit: Decimal): boolean {
  const scaled = scaledTogether([a, b, { ...limit, negative: false }]);
  if (scaled === undefined) return false;
  const [x = 0n, y = 0n, bound = 0n] = scaled;
  return x - y <= bound && y - x <= bound;
}

/** The numbers as integers in units of the smallest of their exponents. Undefined: too far apart. */
function scaledTogether(decimals: readonly Decimal[]): bigint[] | undefined {
  const exponents = decimals.map(({ exponent }) => exponent);
  const lowest = Math.min(...exponents);
  // A hundred thousand zeros would be exact and useless; nobody tolerates across such a range.
  if (Math.max(...exponents) - lowest > 2000) return undefined;
  return decimals.map(
    ({ digits, exponent, negative }) =>
      BigInt(digits || "0") * 10n ** BigInt(exponent - lowest) * (negative ? -1n : 1n),
  );
}
