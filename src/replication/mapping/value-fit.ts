import type { ValueFit } from "./row-program.ts";
import { quoteLiteral } from "../table-shape.ts";

/** Since PostgreSQL 16 the server tells whether it could read a text as a type. */
const INPUT_IS_VALID = 160_000;

/** No more than so many characters, blanks at the end not counted where the type does not. */
export function lengthFit(limit: number, ignoresBlanks: boolean): ValueFit {
  const trimmed = (column: string): string =>
    ignoresBlanks ? `pg_catalog.rtrim(${column}::text, ' ')` : `${column}::text`;
  return {
    words: `longer than ${limit} characters`,
    // Blanks beyond the limit are cut off without a word.
    isSilent: true,
    test: (value) => {
      // A character has at least one byte.
      if (value.length <= limit) return true;
      const end = ignoresBlanks ? trimmedEnd(value) : value.length;
      return characters(value, end) <= limit;
    },
    misfit: (column) => `pg_catalog.char_length(${trimmed(column)}) > ${limit}`,
  };
}

/** No more than so many bytes in UTF-8. */
export function bytesFit(limit: number): ValueFit {
  return {
    words: `longer than ${limit} bytes`,
    isSilent: true,
    test: (value) => value.length <= limit,
    misfit: (column) =>
      `pg_catalog.octet_length(pg_catalog.convert_to(${column}::text, 'UTF8')) > ${limit}`,
  };
}

/** A whole number of the type's range. What does not fit is refused by the database. */
export function integerFit(bits: 16 | 32 | 64, type: string, isInteger: boolean): ValueFit {
  const max = (1n << BigInt(bits - 1)) - 1n;
  const min = -max - 1n;
  return {
    words: `beyond the range of ${type}`,
    isSilent: false,
    test: (value) => {
      const text = value.toString("latin1").trim();
      if (!/^[-+]?\d+$/.test(text)) return false;
      // Ten digits and fewer are a Number, so are those of every limit but bigint's.
      if (bits < 64 && text.length < 16) {
        const number = Number(text);
        return number >= Number(min) && number <= Number(max);
      }
      const whole = BigInt(text.replace(/^\+/, ""));
      return whole >= min && whole <= max;
    },
    misfit: (column) =>
      isInteger
        ? `${column} < ${min} OR ${column} > ${max}`
        : String.raw`CASE WHEN ${column}::text ~ '^\s*[-+]?\d+\s*$'` +
          ` THEN ${column}::text::pg_catalog.numeric NOT BETWEEN ${min} AND ${max} ELSE true END`,
  };
}

/** A number of so many digits, of which `scale` stand behind the point; what is beyond would be rounded. */
export function numericFit(precision: number, scale: number, isNumber: boolean): ValueFit {
  const type = `numeric(${precision},${scale})`;
  const bound = `10::pg_catalog.numeric ^ ${precision - scale}`;
  const beyond = (column: string): string => {
    const number = `${column}::pg_catalog.numeric`;
    return `${number} <> 'NaN' AND (pg_catalog.abs(${number}) >= ${bound} OR ${number} <> pg_catalog.round(${number}, ${scale}))`;
  };
  return {
    words: `with more digits than ${type} holds`,
    isSilent: true,
    test: (value) => {
      const digits = digitsOf(value.toString("latin1"));
      if (digits === undefined) return value.toString("latin1").trim().toLowerCase() === "nan";
      if (digits.count === 0) return true;
      return digits.exponent >= -scale && digits.count + digits.exponent <= precision - scale;
    },
    misfit: (column) => (isNumber ? beyond(column) : ofNumber(column, beyond, ["nan"])),
  };
}

/** Numbers as a text may spell them; other texts than those given do not fit. Since PostgreSQL 9.4. */
function ofNumber(
  column: string,
  beyond: (number: string) => string,
  others: readonly string[],
): string {
  const number = String.raw`^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$`;
  const list = others.map((other) => `'${other}'`).join(", ");
  return (
    `CASE WHEN ${column}::text ~ '${number}' THEN ${beyond(`${column}::text`)}` +
    ` ELSE pg_catalog.lower(pg_catalog.btrim(${column}::text)) NOT IN (${list}) END`
  );
}

/** No more than so many digits of a second. */
export function fractionFit(digits: number, type: string): ValueFit {
  return {
    words: `with more than ${digits} digits of a second`,
    isSilent: true,
    test: (value) =>
      (/\.(\d*?)0*(?!\d)/.exec(value.toString("latin1"))?.[1]?.length ?? 0) <= digits,
    misfit: (column) => `${column} <> ${column}::${type}`,
  };
}

/** A day without a time. */
export const MIDNIGHT: ValueFit = {
  words: "with a time of day",
  isSilent: true,
  test: (value) => /(^-?infinity$| 00:00:00([+-]00)?( BC)?$)/.test(value.toString("latin1")),
  misfit: (column) => `${column}::text !~ '(^-?infinity$| 00:00:00([+-]00)?( BC)?$)'`,
};

/** A number that a float of so many bits prints again as it was. */
export function floatFit(bits: 16 | 32 | 64, type: string, isNumber: boolean): ValueFit {
  const [least, most] = bits === 64 ? ["1e-307", "1.7e308"] : ["1e-37", "3.4e38"];
  // Numbers at the very edge of the range, which fit or not by their last digit, are taken not to.
  const beyond = (column: string): string => {
    const number = `${column}::text::pg_catalog.numeric`;
    return (
      `CASE WHEN ${number} = 0 OR pg_catalog.abs(${number}) BETWEEN ${least} AND ${most}` +
      ` THEN ${number} <> ${column}::text::${type}::text::pg_catalog.numeric ELSE true END`
    );
  };
  const others = ["nan", "infinity", "-infinity"];
  return {
    words: `that ${type} would round`,
    isSilent: true,
    test: (value) => {
      const text = value.toString("latin1");
      if (/^\s*(nan|[-+]?inf(inity)?)\s*$/i.test(text)) return true;
      const number = Number(text);
      const held = bits === 64 ? number : shortestFloat4(number);
      return Number.isFinite(held) && sameNumber(String(held), text);
    },
    misfit: (column) =>
      isNumber
        ? `CASE WHEN ${column}::text IN ('NaN', 'Infinity', '-Infinity') THEN false ELSE ${beyond(column)} END`
        : ofNumber(column, beyond, others),
  };
}

/** One of the enum's labels; anything else is refused by the database. */
export function labelFit(labels: readonly string[], type: string): ValueFit {
  const known = new Set(labels);
  const list = labels.map(quoteLiteral).join(", ");
  return {
    words: `that are no label of ${type}`,
    isSilent: false,
    test: (value) => known.has(value.toString("utf8")),
    misfit: (column) =>
      labels.length === 0 ? `${column} IS NOT NULL` : `${column}::text NOT IN (${list})`,
  };
}

/** What the other type reads; what it does not, the database refuses. */
export function readableFit(type: string): ValueFit {
  return {
    words: `that ${type} does not read`,
    isSilent: false,
    test: undefined,
    misfit: inputMisfit(type),
  };
}

function inputMisfit(type: string): NonNullable<ValueFit["misfit"]> {
  // Types of the database's own need not be there on the other side.
  if (type.includes(".") && !type.startsWith("pg_catalog.")) return () => undefined;
  return (column, serverVersion) =>
    serverVersion < INPUT_IS_VALID
      ? undefined
      : `NOT pg_catalog.pg_input_is_valid(${column}::text, ${quoteLiteral(type)})`;
}

/** Significant digits, and the power of ten of the last one; undefined for what is no finite number. */
function digitsOf(text: string): { readonly count: number; readonly exponent: number } | undefined {
  const parts = /^\s*[-+]?(\d*)(?:\.(\d*))?(?:[eE]([-+]?\d+))?\s*$/.exec(text);
  if (parts === null) return undefined;
  const [, whole = "", fraction = "", power = "0"] = parts;
  if (whole === "" && fraction === "") return undefined;
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  const exponent = Number(power) - fraction.length + (digits.length - significant.length);
  return { count: significant.length, exponent };
}

function sameNumber(a: string, b: string): boolean {
  return normalForm(a) === normalForm(b);
}

function normalForm(text: string): string {
  const digits = digitsOf(text);
  if (digits === undefined) return text;
  const significant = text
    .replace(/[eE].*$/, "")
    .replace(/[-+.\s]/g, "")
    .replace(/^0+|0+$/g, "");
  const sign = text.trim().startsWith("-") && significant !== "" ? "-" : "";
  return significant === "" ? "0" : `${sign}${significant}e${digits.exponent}`;
}

/** The shortest decimal that means the same float4, as a Number. */
function shortestFloat4(number: number): number {
  const rounded = Math.fround(number);
  for (let precision = 1; precision <= 9; precision++) {
    const shorter = Number(rounded.toPrecision(precision));
    if (Math.fround(shorter) === rounded) return shorter;
  }
  return rounded;
}

function characters(value: Buffer, end: number): number {
  let count = 0;
  // Continuation bytes of UTF-8 begin no character.
  for (let at = 0; at < end; at++) if (((value[at] ?? 0) & 0xc0) !== 0x80) count++;
  return count;
}

function trimmedEnd(value: Buffer): number {
  let end = value.length;
  while (end > 0 && value[end - 1] === 0x20) end--;
  return end;
}
