import type { Statement } from "../sql/statement.ts";
import { cellHint, cellText, hasOneSpelling } from "./cells.ts";
import type { ColumnPair } from "./cells.ts";
import { collationsApart } from "./collation.ts";
import { newFinding } from "./explanation.ts";
import { MAX_READ_ROWS, findPartners, rowAt } from "./row-partners.ts";
import type { Partners } from "./row-partners.ts";
import { cellsOf, compareRows, noteTolerated, rowText } from "./rows.ts";
import type { Row, RowDifference, RowSets, RowTally } from "./rows.ts";
import {
  MAX_CHANGED,
  brokenOrder,
  mayHaveOtherRows,
  ordersOf,
  sameColumns,
  sortKeysOf,
} from "./sort-keys.ts";
import type { BrokenOrder, SortKeys } from "./sort-keys.ts";
import type { Finding, Verdict } from "./verdict.ts";

/** What comparing the rows of a result needs to know of its statement. */
export type RowContext = {
  /** Number of the result in its exchange. */
  readonly index: number;
  readonly statement: Statement | undefined;
  /** Only the first rows of a portal were fetched. */
  readonly partial: boolean;
};

/**
 * Compares rows in the order that the statement promises: exactly as they came first, as a
 * multiset where that fails, then by the keys of its ORDER BY.
 */
export function compareRowSets(sets: RowSets, context: RowContext): Verdict {
  const inPlace = newTally();
  const outcome =
    sets.primary.length === sets.shadow.length ? matchInPlace(sets, inPlace) : "apart";
  if (outcome === "together") return verdictOf(inPlace, sets, context);
  if (outcome === "unread") return UNREAD;
  const tally = newTally();
  const partners = findPartners(sets, tally);
  const left = Math.max(partners.primaryLeft.length, partners.shadowLeft.length);
  if (left === 0) return judgeOrder(sets, context, tally);
  const isUnread = left > MAX_READ_ROWS && !sets.pairs.every(hasOneSpelling);
  return isUnread && sets.primary.length === sets.shadow.length
    ? UNREAD
    : judgeLeft(sets, partners, context, tally);
}

/** Too many rows differ for all of them to be read. */
const UNREAD: Verdict = { kind: "incomparable", reason: "large_result" };

function newTally(): RowTally {
  return { tolerated: undefined, excuse: undefined };
}

function matchInPlace(sets: RowSets, tally: RowTally): "together" | "apart" | "unread" {
  let read = 0;
  for (const [index, a] of sets.primary.entries()) {
    const b = rowAt(sets.shadow, index);
    if (a.body.equals(b.body)) continue;
    if (++read > MAX_READ_ROWS) return "unread";
    const found = compareRows(sets.pairs, a, b, tally);
    if (found !== undefined && !found.difference.tolerated) return "apart";
    if (found !== undefined) noteTolerated(tally, found, [index, index]);
  }
  return "together";
}

function verdictOf(tally: RowTally, sets: RowSets, { index }: RowContext): Verdict {
  // What was not compared is said before any mere spelling.
  if (tally.excuse !== undefined) return { kind: "incomparable", reason: tally.excuse };
  const { tolerated } = tally;
  if (tolerated === undefined) return { kind: "match" };
  const finding = findingOf(sets, tolerated, [tolerated.primary, tolerated.shadow], index);
  return { kind: "tolerated", finding };
}

/** The same rows in another order: wrong only where the keys of the ORDER BY say so. */
function judgeOrder(sets: RowSets, context: RowContext, tally: RowTally): Verdict {
  const broken = compareKeys(sets, context);
  if (broken !== undefined) return broken;
  if (tally.excuse !== undefined || tally.tolerated !== undefined)
    return verdictOf(tally, sets, context);
  const finding = newFinding("row_order_free", { statement: context.index });
  return { kind: "tolerated", finding };
}

/** Divergent where a row has another key than the one in its place, else undefined. */
export function compareKeys(sets: RowSets, context: RowContext): Verdict | undefined {
  const keys = sortKeysOf(sets.pairs, context.statement);
  const broken = brokenOrder(sets, keys);
  if (keys === undefined || broken === undefined) return undefined;
  return { kind: "divergent", finding: orderFinding(sets, broken, keys, context) };
}

function orderFinding(
  sets: RowSets,
  { row, pair }: BrokenOrder,
  keys: SortKeys,
  context: RowContext,
): Finding {
  const orders = ordersOf(sets, keys, pair);
  const detail = orders && collationsApart(orders);
  return newFinding(
    detail === undefined ? "row_order" : "collation_order",
    { ...placeOf(pair, context.index), row, detail },
    {
      primary: cellText(pair.primary, cell(rowAt(sets.primary, row), pair.primaryIndex)),
      shadow: cellText(pair.shadow, cell(rowAt(sets.shadow, row), pair.shadowIndex)),
    },
  );
}

/** Rows without partner: another number of rows, changed rows, or rows that are not there. */
function judgeLeft(
  sets: RowSets,
  partners: Partners,
  context: RowContext,
  tally: RowTally,
): Verdict {
  const { primaryLeft, shadowLeft } = partners;
  const keys = sortKeysOf(sets.pairs, context.statement);
  if (mayHaveOtherRows(sets, partners, keys, context.partial)) {
    return { kind: "incomparable", reason: "underspecified" };
  }
  const statement = context.index;
  const elsewhere = keys && firstRowsElsewhere(sets, keys, context);
  if (elsewhere !== undefined) return { kind: "divergent", finding: elsewhere };
  if (sets.primary.length !== sets.shadow.length) {
    const detail = `${sets.primary.length} on the primary, ${sets.shadow.length} on the shadow`;
    return { kind: "divergent", finding: newFinding("row_count", { statement, detail }) };
  }
  const changed = mostAlike(sets, partners, tally);
  if (changed !== undefined) {
    const finding = findingOf(sets, changed.found, [changed.primary, changed.shadow], statement);
    return { kind: "divergent", finding };
  }
  const row = primaryLeft[0] ?? 0;
  const detail = `${primaryLeft.length} of ${sets.primary.length}`;
  const finding = newFinding(
    "row_missing",
    { statement, row, detail },
    {
      primary: rowText(sets.pairs, rowAt(sets.primary, row), "primary"),
      shadow: rowText(sets.pairs, rowAt(sets.shadow, shadowLeft[0] ?? 0), "shadow"),
    },
  );
  return { kind: "divergent", finding };
}

/** Under LIMIT another collation brings other rows to the front. */
function firstRowsElsewhere(
  sets: RowSets,
  keys: SortKeys,
  { index }: RowContext,
): Finding | undefined {
  const pair = keys.columns.find(({ primary }) => primary.family.group === "text");
  const isCut = keys.limited && sets.primary.length === sets.shadow.length;
  if (pair === undefined || !isCut) return undefined;
  const orders = ordersOf(sets, keys, pair);
  const apart = orders && collationsApart(orders);
  if (apart === undefined) return undefined;
  const detail = `${apart}, so that LIMIT cuts off other rows`;
  return newFinding("collation_order", { ...placeOf(pair, index), detail });
}

type Changed = { readonly primary: number; readonly shadow: number; readonly found: RowDifference };

/** Two rows that are one row with a changed value, if there are such: at least half of it is the same. */
function mostAlike(
  sets: RowSets,
  { primaryLeft, shadowLeft }: Partners,
  tally: RowTally,
): Changed | undefined {
  let best: (Changed & { readonly same: number }) | undefined;
  for (const primary of primaryLeft.slice(0, MAX_CHANGED)) {
    for (const shadow of shadowLeft.slice(0, MAX_CHANGED)) {
      const a = rowAt(sets.primary, primary);
      const b = rowAt(sets.shadow, shadow);
      const same = sameColumns(sets.pairs, a, b);
      if (best !== undefined && same <= best.same) continue;
      const found = compareRows(sets.pairs, a, b, tally);
      if (found?.difference.tolerated === false) best = { primary, shadow, found, same };
    }
  }
  if (best === undefined) return undefined;
  const isOnly = sets.primary.length === 1 || sets.pairs.length <= 1;
  return isOnly || best.same * 2 >= sets.pairs.length ? best : undefined;
}

function findingOf(
  sets: RowSets,
  found: RowDifference,
  [primary, shadow]: readonly [number, number],
  statement: number,
): Finding {
  const { difference, pair } = found;
  const a = rowAt(sets.primary, primary);
  const b = rowAt(sets.shadow, shadow);
  if (pair === undefined) {
    const sides = { primary: rowText([], a, "primary"), shadow: rowText([], b, "shadow") };
    return newFinding(difference.reason, { statement, row: primary }, sides);
  }
  const cells = [cell(a, pair.primaryIndex), cell(b, pair.shadowIndex)] as const;
  return newFinding(
    difference.reason,
    { ...placeOf(pair, statement), row: primary, detail: cellHint(pair, ...cells) },
    { primary: cellText(pair.primary, cells[0]), shadow: cellText(pair.shadow, cells[1]) },
  );
}

function placeOf(
  { primary, shadow }: ColumnPair,
  statement: number,
): { statement: number; column?: string; primaryType?: string; shadowType?: string } {
  return {
    statement,
    ...(primary.name === undefined ? {} : { column: primary.name }),
    ...(primary.typeName === undefined ? {} : { primaryType: primary.typeName }),
    ...(shadow.typeName === undefined ? {} : { shadowType: shadow.typeName }),
  };
}

function cell(row: Row, index: number): Buffer | null {
  return cellsOf(row)[index] ?? null;
}
