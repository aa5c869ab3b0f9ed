import { Buffer } from "node:buffer";
import { canonicalDecimal, decimalsApart, decimalsWithin, numericText } from "./decimal.ts";
import { divergent, scalarFamily, tolerated } from "./value.ts";
import type { Difference, Family, Raw, Value } from "./value.ts";

/** int2, int4, int8, oid, xid and their kin: text digits, or 2, 4 or 8 bytes. */
export const INTEGER: Family = scalarFamily({
  group: "number",
  read: (raw) => canonicalDecimal(integerText(raw, true) ?? ""),
  differs: "numeric_value",
  format: "value_format",
  render: (raw) => integerText(raw, true),
  hint: hintOf((raw) => integerText(raw, true)),
});

/** oid and transaction ids: as INTEGER, without a sign. */
export const UNSIGNED: Family = scalarFamily({
  group: "number",
  read: (raw) => canonicalDecimal(integerText(raw, false) ?? ""),
  differs: "numeric_value",
  format: "value_format",
  render: (raw) => integerText(raw, false),
  hint: hintOf((raw) => integerText(raw, false)),
});

/** numeric: exact decimals with their scale. */
export const NUMERIC: Family = {
  group: "number",
  canonical: ({ raw }) => canonicalDecimal(exactText(raw) ?? ""),
  compare: (primary, shadow) => {
    const a = exactText(primary.raw);
    const b = exactText(shadow.raw);
    if (a !== undefined && a === b) return undefined;
    const value = canonicalDecimal(a ?? "");
    if (value === undefined || value !== canonicalDecimal(b ?? ""))
      return divergent("numeric_value");
    return tolerated("numeric_scale");
  },
  render: numericText,
  hint: hintOf(exactText),
};

/** money: the digits without currency and separators; binary in the smallest unit. */
export const MONEY: Family = scalarFamily({
  group: "money",
  read: minorUnits,
  differs: "numeric_value",
  format: "value_format",
  render: (raw) => integerText(raw, true),
});

/**
 * float8: equal numbers match. A double holds 15 digits of any decimal number, so two that are within
 * one unit of the 15th digit are tolerated, as neighbours are: the order in which a sum was taken or
 * how many digits a server writes makes such a difference. 0 and -0 are equal in SQL; NaN is NaN.
 */
export const FLOAT8: Family = floatFamily(15, 8);

/** float4: as FLOAT8, to the 6th digit or four representable numbers apart. */
export const FLOAT4: Family = floatFamily(6, 4);

/** The number as decimal text, for tolerances. Undefined: not a number, or not finite. */
export function decimalText(family: Family, raw: Raw): string | undefined {
  if (family.group === "money") return moneyText(raw);
  return typeof raw === "string" ? raw : family.render?.(raw);
}

/** Neither form says how many digits are of the smaller unit; in nearly every currency two are. */
function moneyText(raw: Raw): string | undefined {
  const units = minorUnits(raw);
  return units && `${units}e-2`;
}

/** What numbers tell of how they differ. */
function hintOf(read: (raw: Raw) => string | undefined): NonNullable<Family["hint"]> {
  return (primary, shadow) => {
    const [a, b] = [read(primary.raw) ?? "", read(shadow.raw) ?? ""];
    if (canonicalDecimal(a) === canonicalDecimal(b)) return undefined;
    if (decimalsApart(a, b, "1")) return "by exactly one";
    const [digitsA, digitsB] = [a.replace(/^[+-]/, ""), b.replace(/^[+-]/, "")];
    if (digitsA === digitsB && a !== b) return "one is the other with the opposite sign";
    const [short = "", long = ""] = [a, b].toSorted((x, y) => x.length - y.length);
    if (!long.includes(".")) return undefined;
    if (long.startsWith(short)) return "one is the other, cut to fewer digits";
    const scale = short.split(".")[1]?.length ?? 0;
    return decimalsWithin(short, long, Number(`5e-${scale + 1}`), undefined)
      ? "one is the other, rounded to fewer digits"
      : undefined;
  };
}

function floatFamily(digits: number, size: number): Family {
  return {
    group: "float",
    canonical: ({ raw }) => {
      const value = floatOf(raw, size);
      return value === undefined ? undefined : String(Number(value.toPrecision(digits)));
    },
    compare: (primary, shadow) => compareFloats(primary, shadow, digits, size),
    render: (raw) => {
      const value = floatOf(raw, size);
      return value === undefined ? undefined : String(value);
    },
    hint: (primary, shadow) => {
      const a = floatOf(primary.raw, size);
      const b = floatOf(shadow.raw, size);
      if (a === undefined || b === undefined) return undefined;
      if (a === 0 && b === 0) return "zero, with a minus sign on one side only";
      if (Object.is(a, b)) return "one number, written with more or fewer digits";
      if (a === -b) return "one is the other with the opposite sign";
      const apart = ordinal(a, size) - ordinal(b, size);
      const distance = apart < 0n ? -apart : apart;
      if (distance === 1n) return "the two are neighbours among representable numbers";
      return distance < 1000n ? `the two are ${distance} representable numbers apart` : undefined;
    },
  };
}

function compareFloats(
  primary: Value,
  shadow: Value,
  digits: number,
  size: number,
): Difference | undefined {
  const a = floatOf(primary.raw, size);
  const b = floatOf(shadow.raw, size);
  if (a === undefined || b === undefined) return divergent("numeric_value");
  if (Object.is(a, b) || a === b) {
    if (!Object.is(a, b)) return tolerated("value_format");
    const written = typeof primary.raw === "string" && typeof shadow.raw === "string";
    return written ? tolerated("float_precision") : undefined;
  }
  if (!Number.isFinite(a) || !Number.isFinite(b)) return divergent("numeric_value");
  const close = size === 8 ? withinLastDigit(a, b, digits) : closeSingles(a, b, digits);
  return close ? tolerated("float_precision") : divergent("numeric_value");
}

/** At most one unit of the last significant digit apart: sums over rows in another order differ that much. */
function withinLastDigit(a: number, b: number, digits: number): boolean {
  if (a.toPrecision(digits) === b.toPrecision(digits)) return true;
  const magnitude = Math.floor(Math.log10(Math.max(Math.abs(a), Math.abs(b))));
  return Math.abs(a - b) <= 1.01 * 10 ** (magnitude - digits + 1);
}

/**
 * Six digits are all that float4 promises, but a server prints up to nine: one written short is
 * compared by what it shows, two written in full may be a few representable numbers apart.
 */
function closeSingles(a: number, b: number, digits: number): boolean {
  const shortA = Math.fround(Number(a.toPrecision(digits)));
  const shortB = Math.fround(Number(b.toPrecision(digits)));
  if (shortA === shortB && (shortA === a || shortB === b)) return true;
  const apart = ordinal(a, 4) - ordinal(b, 4);
  return apart <= 4n && apart >= -4n;
}

/** Position of a number among all that 4 or 8 bytes can represent, in order. */
function ordinal(value: number, size: number): bigint {
  const bytes = Buffer.alloc(8);
  if (size === 8) bytes.writeDoubleBE(value);
  else bytes.writeFloatBE(value, 4);
  const bits = size === 8 ? bytes.readBigInt64BE() : BigInt(bytes.readInt32BE(4));
  return bits < 0n ? -BigInt.asUintN(size * 8 - 1, bits) : bits;
}

function floatOf(raw: Raw, size: number): number | undefined {
  if (typeof raw === "string") {
    if (raw === "NaN" || raw === "Infinity" || raw === "-Infinity") return Number(raw);
    if (canonicalDecimal(raw) === undefined) return undefined;
    return size === 4 ? Math.fround(Number(raw)) : Number(raw);
  }
  if (raw.length !== size) return undefined;
  return size === 8 ? raw.readDoubleBE(0) : raw.readFloatBE(0);
}

function minorUnits(raw: Raw): string | undefined {
  if (typeof raw !== "string") return integerText(raw, true);
  const digits = raw.replace(/\D/g, "").replace(/^0+(?=\d)/, "");
  if (digits === "") return undefined;
  return /[-(]/.test(raw) && digits !== "0" ? `-${digits}` : digits;
}

function integerText(raw: Raw, signed: boolean): string | undefined {
  if (typeof raw === "string") return /^[+-]?\d+$/.test(raw) ? raw : undefined;
  if (raw.length === 2) return String(signed ? raw.readInt16BE(0) : raw.readUInt16BE(0));
  if (raw.length === 4) return String(signed ? raw.readInt32BE(0) : raw.readUInt32BE(0));
  if (raw.length === 8) return String(signed ? raw.readBigInt64BE(0) : raw.readBigUInt64BE(0));
  return undefined;
}

function exactText(raw: Raw): string | undefined {
  return typeof raw === "string" ? raw : numericText(raw);
}
