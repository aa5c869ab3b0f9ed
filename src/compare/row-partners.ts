import { hasOneSpelling } from "./cells.ts";
import type { ColumnPair } from "./cells.ts";
import { canonicalRow, compareRows, noteTolerated } from "./rows.ts";
import type { Row, RowSets, RowTally } from "./rows.ts";

/** Which rows stand for each other, whatever the order. Rows are named by their number. */
export type Partners = {
  /** Pairs of rows that match or differ tolerably. */
  readonly matched: readonly (readonly [primary: number, shadow: number])[];
  readonly primaryLeft: readonly number[];
  readonly shadowLeft: readonly number[];
};

/**
 * Reading values costs microseconds each on the thread that serves clients. Beyond so many rows that
 * are not the same bytes, nothing is read.
 */
export const MAX_READ_ROWS = 2000;

/** Beyond so many rows without partner on a side, each is not compared with each. */
const MAX_SEARCHED = 40;

/**
 * Finds for each row of the primary one of the shadow that matches it: first by the same bytes, then
 * by the same canonical spelling, then by that of the columns whose values must be the same, and for
 * the few that are left by comparing each with each.
 */
export function findPartners(sets: RowSets, tally: RowTally): Partners {
  const matched: (readonly [number, number])[] = [];
  const all: Left = {
    primary: sets.primary.map((_, index) => index),
    shadow: sets.shadow.map((_, index) => index),
  };
  let left = pairByKey(all, bytesOf(sets.primary), bytesOf(sets.shadow), matched);
  const unread = Math.max(left.primary.length, left.shadow.length) > MAX_READ_ROWS;
  if (unread || sets.pairs.every(hasOneSpelling)) {
    return { matched, primaryLeft: left.primary, shadowLeft: left.shadow };
  }
  left = pairBySpelling(sets, sets.pairs, left, matched, tally);
  const exact = sets.pairs.filter((pair) => !isApproximate(pair));
  if (exact.length < sets.pairs.length && exact.length > 0) {
    left = pairBySpelling(sets, exact, left, matched, tally);
  }
  return { matched, ...search(sets, left, matched, tally) };
}

/** A column whose equal values may have different spellings: no key can bring them together. */
function isApproximate({ primary, policy }: ColumnPair): boolean {
  const isTolerant = policy.absolute !== undefined || policy.relative !== undefined;
  return isTolerant || primary.family.group.includes("float");
}

function pairBySpelling(
  sets: RowSets,
  columns: readonly ColumnPair[],
  left: Left,
  matched: Matched,
  tally: RowTally,
): Left {
  const from = matched.length;
  const rest = pairByKey(
    left,
    (index) => canonicalRow(columns, rowAt(sets.primary, index), "primary"),
    (index) => canonicalRow(columns, rowAt(sets.shadow, index), "shadow"),
    matched,
  );
  return verify(sets, rest, matched, from, tally);
}

export function rowAt(rows: readonly Row[], index: number): Row {
  const row = rows[index];
  if (row === undefined) throw new Error("a row number is out of range");
  return row;
}

type Left = { readonly primary: number[]; readonly shadow: number[] };
type Matched = (readonly [number, number])[];

function bytesOf(rows: readonly Row[]): (index: number) => string {
  return (index) => rowAt(rows, index).body.toString("latin1");
}

function pairByKey(
  left: Left,
  primaryKey: (index: number) => string,
  shadowKey: (index: number) => string,
  matched: Matched,
): Left {
  const byKey = new Map<string, number[]>();
  // Backwards, so that the earliest is taken first.
  for (const index of left.shadow.toReversed()) {
    const key = shadowKey(index);
    const same = byKey.get(key);
    if (same === undefined) byKey.set(key, [index]);
    else same.push(index);
  }
  const primary = left.primary.filter((index) => {
    const partner = byKey.get(primaryKey(index))?.pop();
    if (partner !== undefined) matched.push([index, partner]);
    return partner === undefined;
  });
  const shadow = [...byKey.values()].flat().toSorted((a, b) => a - b);
  return { primary, shadow };
}

/** A canonical spelling may be coarser than the comparison: pairs that differ after all are taken back. */
function verify(sets: RowSets, left: Left, matched: Matched, from: number, tally: RowTally): Left {
  const primary = [...left.primary];
  const shadow = [...left.shadow];
  const kept = matched.splice(from).filter(([a, b]) => {
    if (isPartner(sets, a, b, tally)) return true;
    primary.push(a);
    shadow.push(b);
    return false;
  });
  for (const pair of kept) matched.push(pair);
  return { primary: primary.toSorted((a, b) => a - b), shadow: shadow.toSorted((a, b) => a - b) };
}

function search(
  sets: RowSets,
  left: Left,
  matched: Matched,
  tally: RowTally,
): { primaryLeft: number[]; shadowLeft: number[] } {
  const shadowLeft = [...left.shadow];
  const isFew = left.primary.length <= MAX_SEARCHED && left.shadow.length <= MAX_SEARCHED;
  const primaryLeft = left.primary.filter((a, position) => {
    const candidates = isFew ? shadowLeft : left.shadow.slice(position, position + 1);
    const partner = candidates.find((b) => isPartner(sets, a, b, tally));
    if (partner === undefined) return true;
    matched.push([a, partner]);
    shadowLeft.splice(shadowLeft.indexOf(partner), 1);
    return false;
  });
  return { primaryLeft, shadowLeft };
}

function isPartner(sets: RowSets, a: number, b: number, tally: RowTally): boolean {
  const trial: RowTally = { tolerated: undefined, excuse: undefined };
  const found = compareRows(sets.pairs, rowAt(sets.primary, a), rowAt(sets.shadow, b), trial);
  if (found !== undefined && !found.difference.tolerated) return false;
  if (found !== undefined) noteTolerated(tally, found, [a, b]);
  tally.excuse ??= trial.excuse;
  return true;
}
