import type { ValueFit } from "./row-program.ts";
import type { TypeFact } from "./type-facts.ts";
import {
  MIDNIGHT,
  bytesFit,
  floatFit,
  fractionFit,
  integerFit,
  labelFit,
  lengthFit,
  numericFit,
  readableFit,
} from "./value-fit.ts";

/** Whether one type reads what another one prints. Values travel as text, in UTC and in ISO spelling. */
export type Cast =
  /** Every value, and it means the same. `note` says what is worth knowing. */
  | { readonly kind: "fits"; readonly note?: string | undefined }
  /** Those that fit; the others are refused, by the database or, where it would change them, by the program. */
  | { readonly kind: "some"; readonly fit: ValueFit; readonly note?: string | undefined }
  /** `cure` is what else could be done. */
  | { readonly kind: "never"; readonly why: string; readonly cure?: string | undefined }
  /** Only a try can tell. */
  | { readonly kind: "unknown" };

type Family =
  | "integer"
  | "numeric"
  | "float"
  | "text"
  | "boolean"
  | "date"
  | "timestamp"
  | "time"
  | "json"
  | "address"
  | "bytea"
  | "enum"
  | "array"
  | "own";

const FAMILIES: Readonly<Record<string, Family>> = {
  smallint: "integer",
  integer: "integer",
  bigint: "integer",
  numeric: "numeric",
  real: "float",
  "double precision": "float",
  text: "text",
  "character varying": "text",
  character: "text",
  name: "text",
  boolean: "boolean",
  date: "date",
  "timestamp without time zone": "timestamp",
  "timestamp with time zone": "timestamp",
  "time without time zone": "time",
  json: "json",
  jsonb: "json",
  inet: "address",
  cidr: "address",
  bytea: "bytea",
};

const BITS: Readonly<Record<string, 16 | 32 | 64>> = {
  smallint: 16,
  integer: 32,
  bigint: 64,
  real: 32,
  "double precision": 64,
};

const FITS: Cast = { kind: "fits" };

export function castOf(from: TypeFact, to: TypeFact): Cast {
  const [a, b] = [familyOf(from), familyOf(to)];
  if (from.labels !== undefined && to.labels !== undefined) return enumCast(from.labels, to);
  if (a === "array" && b === "array") return arrayCast(from, to);
  if (a === "array" || b === "array") return b === "text" ? textCast(from, to) : never(from, to);
  if (from.typeName === to.typeName && a === "own") return sameOwn(from, to);
  // bytea prints what text could read, and text what bytea could, and neither would mean the same.
  if ((a === "bytea") !== (b === "bytea")) return never(from, to);
  if (b === "text") return textCast(from, to);
  if (a === "text") return fromText(to, b);
  if (a === "own" || b === "own") return unlike(from, to, a, b);
  return familyCast(from, to, a, b);
}

function familyOf({ typeName, labels }: TypeFact): Family {
  if (labels !== undefined) return "enum";
  if (typeName.endsWith("[]")) return "array";
  if (typeName === "citext" || typeName.endsWith(".citext")) return "text";
  return Object.hasOwn(FAMILIES, typeName) ? (FAMILIES[typeName] ?? "own") : "own";
}

function never(from: TypeFact, to: TypeFact, cure?: string): Cast {
  return { kind: "never", why: `${to.type} does not read what ${from.type} prints`, cure };
}

function enumCast(labels: readonly string[], to: TypeFact): Cast {
  const there = to.labels ?? [];
  const missing = labels.filter((label) => !there.includes(label));
  return missing.length === 0 ? FITS : { kind: "some", fit: labelFit(there, to.typeName) };
}

/** What would have to be looked at within an array is not. */
function arrayCast(from: TypeFact, to: TypeFact): Cast {
  const [a, b] = [from.element, to.element];
  if (a === undefined || b === undefined) return { kind: "unknown" };
  const cast = castOf(a, b);
  if (cast.kind === "never") return never(from, to);
  if (cast.kind !== "some") return cast;
  return cast.fit.isSilent
    ? { kind: "never", why: `elements of ${from.type} would be changed to be held by ${to.type}` }
    : { kind: "some", fit: readableFit(to.type) };
}

/** A type that is none of those above: of an extension, composite, a range, bits. */
function sameOwn(from: TypeFact, to: TypeFact): Cast {
  if (from.definition !== to.definition) return { kind: "unknown" };
  if (from.type === to.type || to.type === to.typeName) return FITS;
  if (to.typeName.startsWith("bit")) return { kind: "some", fit: readableFit(to.type) };
  if (/^(interval|time)(\(\d\))?( with time zone)?$/.test(to.type)) return fractions(from, to);
  return { kind: "unknown" };
}

function unlike(from: TypeFact, to: TypeFact, a: Family, b: Family): Cast {
  if (from.typeName === "macaddr" && to.typeName === "macaddr8") return FITS;
  // Types of extensions, and pairs nobody has thought of, are left to a try; the rest is known not to work.
  const isKnown = (type: TypeFact, family: Family): boolean =>
    family !== "own" || /^(uuid|xml|money|macaddr8?|interval|point|tsvector)$/.test(type.typeName);
  return isKnown(from, a) && isKnown(to, b) ? never(from, to) : { kind: "unknown" };
}

function textCast(from: TypeFact, to: TypeFact): Cast {
  const limit = modifiers(to)[0];
  const isPadded = to.typeName === "character";
  if (to.typeName === "name") return { kind: "some", fit: bytesFit(63) };
  const wasPadded = from.typeName === "character";
  const note = blanksNote(wasPadded, isPadded);
  if (limit === undefined) return { kind: "fits", note };
  const known = familyOf(from) === "text" ? modifiers(from)[0] : widthOf(from);
  if (known !== undefined && known <= limit) return { kind: "fits", note };
  return { kind: "some", fit: lengthFit(limit, isPadded || wasPadded), note };
}

function blanksNote(wasPadded: boolean, isPadded: boolean): string | undefined {
  if (wasPadded === isPadded) return undefined;
  return wasPadded
    ? "values keep the blanks at their ends, which count there"
    : "values are padded with blanks, and blanks at their ends do not count there";
}

/** The most characters of what a type prints. */
function widthOf({ typeName }: TypeFact): number | undefined {
  const widths: Readonly<Record<string, number>> = {
    boolean: 1,
    smallint: 6,
    integer: 11,
    bigint: 20,
    uuid: 36,
  };
  return widths[typeName];
}

function fromText(to: TypeFact, family: Family): Cast {
  const [precision, scale = 0] = modifiers(to);
  const note = "other spellings of a value are not kept";
  if (to.labels !== undefined) return { kind: "some", fit: labelFit(to.labels, to.typeName) };
  if (family === "numeric" && precision !== undefined) {
    return { kind: "some", fit: numericFit(precision, scale, false), note };
  }
  const bits = BITS[to.typeName];
  if (family === "integer" && bits !== undefined) {
    return { kind: "some", fit: integerFit(bits, to.typeName, false), note };
  }
  if (family === "float" && bits !== undefined) {
    return { kind: "some", fit: floatFit(bits, to.typeName, false), note };
  }
  return { kind: "some", fit: readableFit(to.type), note };
}

function familyCast(from: TypeFact, to: TypeFact, a: Family, b: Family): Cast {
  if (a === "boolean" && (b === "integer" || b === "numeric")) {
    return never(from, to, "convert: boolean_to_integer");
  }
  if ((a === "integer" || a === "numeric") && b === "boolean") {
    return never(from, to, "convert: integer_to_boolean");
  }
  if (isNumber(a) && isNumber(b)) return numberCast(from, to, a, b);
  return a === b ? withinFamily(from, to, a) : acrossFamilies(from, to, a, b);
}

function acrossFamilies(from: TypeFact, to: TypeFact, a: Family, b: Family): Cast {
  if (a === "date" && b === "timestamp") return FITS;
  if (a === "timestamp" && b === "date") return { kind: "some", fit: MIDNIGHT };
  return never(from, to);
}

function withinFamily(from: TypeFact, to: TypeFact, family: Family): Cast {
  if (family === "timestamp" || family === "time") return fractions(from, to);
  if (from.type === to.type || to.typeName === "json" || to.typeName === "inet") return FITS;
  if (family === "json") return { kind: "some", fit: readableFit("jsonb"), note: JSONB };
  return family === "address" ? { kind: "some", fit: readableFit("cidr") } : never(from, to);
}

const JSONB = "spaces, the order of keys and all but the last of equal keys are not kept";

function isNumber(family: Family): boolean {
  return family === "integer" || family === "numeric" || family === "float";
}

function numberCast(from: TypeFact, to: TypeFact, a: Family, b: Family): Cast {
  const bits = BITS[to.typeName];
  const had = BITS[from.typeName];
  if (b === "integer" && bits !== undefined) {
    if (a === "integer" && had !== undefined && had <= bits) return FITS;
    const scale = modifiers(from)[1];
    // 5 prints as 5.00 there, which no integer reads.
    if (a === "numeric" && scale !== undefined && scale > 0) return never(from, to);
    return { kind: "some", fit: integerFit(bits, to.typeName, a === "integer") };
  }
  if (b === "float" && bits !== undefined) {
    const isExact =
      a === "float"
        ? had !== undefined && had <= bits
        : a === "integer" && bits === 64 && had !== 64;
    const fit = floatFit(bits, to.typeName, true);
    return isExact ? FITS : { kind: "some", fit };
  }
  return toNumeric(from, to, a);
}

function toNumeric(from: TypeFact, to: TypeFact, a: Family): Cast {
  const [precision, scale = 0] = modifiers(to);
  if (precision === undefined) return FITS;
  const [had, hadScale = 0] = a === "numeric" ? modifiers(from) : [DIGITS[from.typeName], 0];
  const holds = had !== undefined && scale >= hadScale && precision - scale >= had - hadScale;
  return holds ? FITS : { kind: "some", fit: numericFit(precision, scale, a !== "float") };
}

const DIGITS: Readonly<Record<string, number>> = { smallint: 5, integer: 10, bigint: 19 };

function fractions(from: TypeFact, to: TypeFact): Cast {
  const [had = 6] = modifiers(from);
  const [digits = 6] = modifiers(to);
  const note = from.typeName === to.typeName ? undefined : "times without a zone are taken as UTC";
  if (had <= digits) return { kind: "fits", note };
  return { kind: "some", fit: fractionFit(digits, to.type), note };
}

/** The numbers in brackets behind a type's name. */
function modifiers({ type }: TypeFact): number[] {
  const [, list] = /\(([-\d, ]+)\)/.exec(type) ?? [];
  return list === undefined ? [] : list.split(",").map(Number);
}
