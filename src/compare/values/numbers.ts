import { Buffer } from "node:buffer";
import { canonicalDecimal, numericText } from "./decimal.ts";
import { divergent, scalarFamily, tolerated } from "./value.ts";
import type { Difference, Family, Raw, Value } from "./value.ts";

/** int2, int4, int8, oid, xid and their kin: text digits, or 2, 4 or 8 bytes. */
export const INTEGER: Family = scalarFamily({
  group: "number",
  read: (raw) => canonicalDecimal(integerText(raw, true) ?? ""),
  differs: "numeric_value",
  format: "value_format",
  render: (raw) => integerText(raw, true),
});

/** oid and transaction ids: as INTEGER, without a sign. */
export const UNSIGNED: Family = scalarFamily({
  group: "number",
  read: (raw) => canonicalDecimal(integerText(raw, false) ?? ""),
  differs: "numeric_value",
  format: "value_format",
  render: (raw) => integerText(raw, false),
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
};

/** money: the digits without currency and separators; binary in the smallest unit. */
export const MONEY: Family = scalarFamily({
  group: "money",
  read: (raw) => {
    if (typeof raw !== "string") return integerText(raw, true);
    const digits = raw.replace(/\D/g, "").replace(/^0+(?=\d)/, "");
    if (digits === "") return undefined;
    return /[-(]/.test(raw) && digits !== "0" ? `-${digits}` : digits;
  },
  differs: "numeric_value",
  format: "value_format",
  render: (raw) => integerText(raw, true),
});

/** float8: equal numbers match; those equal to the 15th digit are tolerated. */
export const FLOAT8: Family = floatFamily(15, 8);

/** float4: as FLOAT8, to the 6th digit. */
export const FLOAT4: Family = floatFamily(6, 4);

/** The number as decimal text, for tolerances. Undefined: not a number, or not finite. */
export function decimalText(family: Family, raw: Raw): string | undefined {
  if (typeof raw === "string") return family.group === "money" ? raw.replace(/[^\d.-]/g, "") : raw;
  return family.render?.(raw);
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
    const written = typeof primary.raw === "string" && typeof shadow.raw === "string";
    return written || !Object.is(a, b) ? tolerated("float_precision") : undefined;
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
  return Math.abs(singleOrdinal(a) - singleOrdinal(b)) <= 4;
}

/** Position of a float4 among all float4 numbers, in order. */
function singleOrdinal(value: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  const bits = bytes.readInt32BE();
  return bits < 0 ? -(bits & 0x7fffffff) : bits;
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
