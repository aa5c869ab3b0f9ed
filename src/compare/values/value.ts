import { Buffer } from "node:buffer";
import type { DifferenceReason } from "../verdict.ts";

/**
 * A value as it came: the text format as a latin-1 string, so that it is exact byte for byte in
 * every client encoding; the binary format as bytes.
 */
export type Raw = string | Buffer;

/** The types of one side by oid, as far as they are known. */
export type SideTypes = {
  /** As in `pg_type`. */
  name(oid: number): string | undefined;
  family(oid: number): Family;
};

/** A raw value and its own side's types: binary arrays and records hold oids. */
export type Value = { readonly raw: Raw; readonly types: SideTypes };

/** How two values differ. `tolerated`: the same value, written differently. */
export type Difference = { readonly reason: DifferenceReason; readonly tolerated: boolean };

/** Types whose values are read and compared alike. */
export type Family = {
  /** Types of one group hold comparable values under different names: int4 and int8. */
  readonly group: string;
  /** Equal for values that match or are tolerated; for finding a row's partner. Undefined: not understood. */
  readonly canonical: (value: Value) => string | undefined;
  /** Called for values that are not the same bytes; undefined all the same when they are one value. */
  readonly compare: (primary: Value, shadow: Value) => Difference | undefined;
  /** A binary value in words, where it can be said. */
  readonly render?: (raw: Buffer) => string | undefined;
  /** More about a difference for people, without a value: how far apart, which element. */
  readonly hint?: (primary: Value, shadow: Value) => string | undefined;
  /** Nothing is known of the type: a family that knows more reads both values better. */
  readonly isUnknown?: boolean;
};

export function divergent(reason: DifferenceReason): Difference {
  return { reason, tolerated: false };
}

export function tolerated(reason: DifferenceReason): Difference {
  return { reason, tolerated: true };
}

/** A family whose values have one canonical spelling. */
export function scalarFamily(options: {
  readonly group: string;
  /** The one spelling of a value; undefined when it is not understood. */
  readonly read: (raw: Raw) => string | undefined;
  /** When the spellings differ. */
  readonly differs: DifferenceReason;
  /** When the spellings agree although one format was written differently. */
  readonly format: DifferenceReason;
  readonly render?: (raw: Buffer) => string | undefined;
  readonly hint?: Family["hint"];
}): Family {
  const { read, group, render, hint } = options;
  return {
    group,
    canonical: ({ raw }) => read(raw),
    compare: (primary, shadow) => {
      const a = read(primary.raw);
      const b = read(shadow.raw);
      if (a === undefined || b === undefined || a !== b) return divergent(options.differs);
      const oneFormat = typeof primary.raw === typeof shadow.raw;
      return oneFormat ? tolerated(options.format) : undefined;
    },
    ...(render ? { render } : {}),
    ...(hint ? { hint } : {}),
  };
}

/** Both formats of a text-like value as the same string. */
export function latin1(raw: Raw): string {
  return typeof raw === "string" ? raw : raw.toString("latin1");
}

/** Undoes `latin1` for people: UTF-8 where it is valid. */
export function readable(text: string): string {
  const utf8 = Buffer.from(text, "latin1").toString("utf8");
  return utf8.includes("\uFFFD") ? text : utf8;
}
