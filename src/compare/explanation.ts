import { DIFFERENCE_REASONS } from "./verdict.ts";
import type { DifferenceReason, Finding } from "./verdict.ts";

/** Where a difference was found. Holds names and types, never a value. */
export type Place = {
  /** Which statement of the exchange, from 0. */
  readonly statement: number;
  readonly column?: string | undefined;
  readonly row?: number | undefined;
  /** Type names of the column, or undefined where nobody described it. */
  readonly primaryType?: string | undefined;
  readonly shadowType?: string | undefined;
  /** More about it: counts, SQLSTATEs, positions. */
  readonly detail?: string | undefined;
};

/** The two values as text. */
export type Sides = { readonly primary?: string | undefined; readonly shadow?: string | undefined };

/** Longer values are cut: a finding is a hint, not a copy of the data. */
const MAX_VALUE_LENGTH = 2000;

/** A finding with its sentence. */
export function newFinding(reason: DifferenceReason, place: Place, sides: Sides = {}): Finding {
  return {
    reason,
    explanation: explain(reason, place),
    statement: place.statement,
    ...(place.column === undefined ? {} : { column: place.column }),
    ...(place.row === undefined ? {} : { row: place.row }),
    ...(sides.primary === undefined ? {} : { primary: shortened(sides.primary) }),
    ...(sides.shadow === undefined ? {} : { shadow: shortened(sides.shadow) }),
  };
}

function explain(reason: DifferenceReason, place: Place): string {
  const sentence = SPECIAL_SENTENCES.get(`${reason} ${place.primaryType ?? ""}`);
  const parts = [sentence ?? DIFFERENCE_REASONS[reason]];
  if (place.column !== undefined) parts.push(` in column "${place.column}"${typeOf(place)}`);
  if (place.detail !== undefined) parts.push(`: ${place.detail}`);
  const text = parts.join("");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function typeOf({ primaryType, shadowType }: Place): string {
  if (primaryType === undefined || shadowType === undefined) return "";
  if (primaryType === shadowType) return ` (${primaryType})`;
  return ` (${primaryType} on the primary, ${shadowType} on the shadow)`;
}

/** Where the sentence of the reason would mislead for a type. */
const SPECIAL_SENTENCES: ReadonlyMap<string, string> = new Map([
  ["float_precision float4", "a floating-point number differs only after the 6th digit"],
  ["trailing_space bpchar", "the same text, padded to another length"],
  ["timestamp_value date", "a date differs"],
  ["timestamp_value time", "a time of day differs"],
  ["timestamp_value timetz", "a time of day differs"],
]);

function shortened(text: string): string {
  return text.length <= MAX_VALUE_LENGTH ? text : `${text.slice(0, MAX_VALUE_LENGTH)}…`;
}
