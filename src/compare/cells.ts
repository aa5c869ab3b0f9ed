import { Buffer } from "node:buffer";
import type { Column } from "./columns.ts";
import { cleaned } from "./policy.ts";
import type { ColumnPolicy } from "./policy.ts";
import { decimalsWithin } from "./values/decimal.ts";
import { decimalText } from "./values/numbers.ts";
import { divergent, latin1, readable, tolerated } from "./values/value.ts";
import type { Difference, Family, Raw, Value } from "./values/value.ts";
import type { IncomparableReason } from "./verdict.ts";

/** A column of the primary and the one of the shadow that it is compared with. */
export type ColumnPair = {
  readonly primaryIndex: number;
  readonly shadowIndex: number;
  readonly primary: Column;
  readonly shadow: Column;
  readonly policy: ColumnPolicy;
  /** The types differ in name only: int4 and int8, text and varchar. */
  readonly aliased: boolean;
  /** Each side gives it a value of its own. */
  readonly generated: boolean;
  /** Why a difference in this column says nothing: a rule, or that the two cannot be compared. */
  readonly excuse: IncomparableReason | undefined;
};

/** Groups of types whose equal values are the same bytes on every server; numeric has its scale. */
const ONE_SPELLING = new Set(["number", "text", "label", "uuid", "boolean", "bits", "network"]);

/** Whether other bytes are another value: nothing is left to tolerate, by type or by rule. */
export function hasOneSpelling(pair: ColumnPair): boolean {
  const { primary, shadow, policy } = pair;
  if (pair.excuse !== undefined || pair.generated) return false;
  if (policy.clean.size > 0 || pair.aliased) return false;
  if (policy.absolute !== undefined || policy.relative !== undefined) return false;
  const { typeName, family, format } = primary;
  if (typeName === undefined || typeName === "numeric" || typeName === "bpchar") return false;
  // A type unknown to us may be a record, which is compared field by field.
  return family.isUnknown !== true && ONE_SPELLING.has(family.group) && format === shadow.format;
}

/** How two cells differ; undefined when they are the same value. */
export function compareCells(
  pair: ColumnPair,
  a: Buffer | null,
  b: Buffer | null,
): Difference | undefined {
  const { clean } = pair.policy;
  const primary = a ?? (clean.has("null_is_empty") ? NOTHING : null);
  const shadow = b ?? (clean.has("null_is_empty") ? NOTHING : null);
  if (primary === null || shadow === null) return compareNulls(primary, shadow);
  const sameFormat = pair.primary.format === pair.shadow.format;
  if (sameFormat && primary.equals(shadow)) return undefined;
  if (pair.generated) return tolerated("generated_key");
  const left = valueOf(pair.primary, primary);
  const right = valueOf(pair.shadow, shadow);
  if (clean.size > 0 && sameWhenCleaned(left, right, pair.policy)) return undefined;
  const difference = compareValues(pair, left, right);
  if (difference?.tolerated !== false) return difference;
  return isWithinTolerance(pair, left, right) ? tolerated("numeric_value") : difference;
}

function compareNulls(primary: Buffer | null, shadow: Buffer | null): Difference | undefined {
  const value = primary ?? shadow;
  if (value === null) return undefined;
  return divergent(value.length === 0 ? "null_or_empty" : "null_value");
}

/** A spelling that equal and tolerably different values share, for finding the partner of a row. */
export function canonicalCell(column: Column, policy: ColumnPolicy, cell: Buffer | null): string {
  if (cell === null) return policy.clean.has("null_is_empty") ? "0:" : "~";
  const value = valueOf(column, cell);
  const spelling = guarded(() => column.family.canonical(value)) ?? latin1(value.raw);
  const text = policy.clean.size > 0 ? cleaned(spelling, policy.clean) : spelling;
  return `${text.length}:${text}`;
}

/** A cell for people. */
export function cellText(column: Column, cell: Buffer | null | undefined): string | undefined {
  if (cell === undefined) return undefined;
  if (cell === null) return "NULL";
  const { raw } = valueOf(column, cell);
  if (typeof raw === "string") return readable(raw);
  return guarded(() => column.family.render?.(raw)) ?? `\\x${raw.toString("hex")}`;
}

/** More about a difference of two cells for people, without a value. */
export function cellHint(pair: ColumnPair, a: Buffer | null, b: Buffer | null): string | undefined {
  if (a === null || b === null || pair.aliased) return undefined;
  const family = familyOfBoth(pair);
  const hint = guarded(() => family.hint?.(valueOf(pair.primary, a), valueOf(pair.shadow, b)));
  if (hint !== undefined || family.isUnknown !== true) return hint;
  const { typeName, typeOid } = pair.primary;
  const type = typeName ?? (typeOid === 0 ? "the column's type" : `a type with oid ${typeOid}`);
  return `compared as bytes, because ${type} is not known to Twinwire`;
}

const NOTHING = Buffer.alloc(0);

function valueOf(column: Column, cell: Buffer): Value {
  return { raw: rawOf(column, cell), types: column.types };
}

/** Where the format is not known, what reads as text is text. */
function rawOf({ format, family, types }: Column, cell: Buffer): Raw {
  if (format === "binary") return cell;
  const text = cell.toString("latin1");
  if (format === "text") return text;
  if (CONTROL.test(text)) return cell;
  return guarded(() => family.canonical({ raw: text, types })) === undefined ? cell : text;
}

// oxlint-disable-next-line no-control-regex -- control characters are what tells binary from text
const CONTROL = /[\x00-\x08\x0e-\x1f]/;

function compareValues(pair: ColumnPair, left: Value, right: Value): Difference | undefined {
  const { primary, shadow, aliased } = pair;
  if (!aliased) {
    const family = familyOfBoth(pair);
    const compared = guarded(() => ({ difference: family.compare(left, right) }));
    return compared === undefined ? divergent("value") : compared.difference;
  }
  const canonical = guarded(() => primary.family.canonical(left));
  const same =
    canonical !== undefined && canonical === guarded(() => shadow.family.canonical(right));
  return same ? tolerated("column_type_alias") : divergent("column_type");
}

/** A side whose catalogue was not read yet has its types read as the other's. */
function familyOfBoth({ primary, shadow }: ColumnPair): Family {
  return primary.family.isUnknown === true ? shadow.family : primary.family;
}

function sameWhenCleaned(a: Value, b: Value, { clean }: ColumnPolicy): boolean {
  if (typeof a.raw !== "string" || typeof b.raw !== "string") return false;
  return cleaned(readable(a.raw), clean) === cleaned(readable(b.raw), clean);
}

function isWithinTolerance(pair: ColumnPair, a: Value, b: Value): boolean {
  const { absolute, relative } = pair.policy;
  if (absolute === undefined && relative === undefined) return false;
  if (!["number", "float", "money"].includes(pair.primary.family.group)) return false;
  const left = decimalText(pair.primary.family, a.raw);
  const right = decimalText(pair.shadow.family, b.raw);
  if (left === undefined || right === undefined) return false;
  return decimalsWithin(left, right, absolute, relative);
}

/** Values are nested as deeply as the server likes; one too deep for the stack is not understood. */
function guarded<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
