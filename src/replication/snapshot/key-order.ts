import type { ColumnShape } from "../table-shape.ts";

/** A key's text in a form that compares as its type does; undefined where that would be a guess. */
type Comparable = bigint | Buffer;
type Reading = (text: Buffer) => Comparable | undefined;

/**
 * Finds the range that a key lies in without asking the database: the number of bounds that are not greater than it.
 * undefined when only the database can tell. Bounds ascend; a range begins with its lower bound and ends before its upper one.
 */
export type RangeOf = (key: Buffer) => number | undefined;

const INTEGERS = ["smallint", "integer", "bigint"];
const DATE = /^\d{4}-\d\d-\d\d$/;
const TIMESTAMP = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?$/;

/** @returns undefined for a type whose order is the database's affair */
export function rangeFinder(column: ColumnShape, bounds: readonly string[]): RangeOf | undefined {
  const read = readingOf(column);
  if (read === undefined) return undefined;
  const limits: Comparable[] = [];
  for (const bound of bounds) {
    const limit = read(Buffer.from(bound));
    if (limit === undefined) return undefined;
    limits.push(limit);
  }
  return (key) => {
    const value = read(key);
    if (value === undefined) return undefined;
    let low = 0;
    let high = limits.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const limit = limits[middle];
      if (limit !== undefined && isGreater(limit, value)) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

function isGreater(one: Comparable, other: Comparable): boolean {
  if (typeof one === "bigint" || typeof other === "bigint") return one > other;
  return Buffer.compare(one, other) > 0;
}

function readingOf({ typeName, bytewise }: ColumnShape): Reading | undefined {
  if (INTEGERS.includes(typeName)) return (text) => BigInt(text.toString("latin1"));
  if (bytewise) return (text) => text;
  // Four digits of a year and no BC order as their characters do; everything else is left to the database.
  if (typeName === "date") return matching(DATE);
  if (typeName === "timestamp without time zone") return matching(TIMESTAMP);
  return undefined;
}

function matching(form: RegExp): Reading {
  return (text) => (form.test(text.toString("latin1")) ? text : undefined);
}
