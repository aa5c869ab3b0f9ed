import type { Statement } from "../sql/statement.ts";
import { cellText, compareCells } from "./cells.ts";
import type { ColumnPair } from "./cells.ts";
import { newFinding } from "./explanation.ts";
import { findPartners, rowAt } from "./row-partners.ts";
import type { Partners } from "./row-partners.ts";
import { cellsOf, compareRows, noteTolerated, rowText } from "./rows.ts";
import type { Row, RowDifference, RowSets, RowTally } from "./rows.ts";
import type { Finding, Verdict } from "./verdict.ts";

/** What comparing the rows of a result needs to know of its statement. */
export type RowContext = {
  /** Number of the result in its exchange. */
  readonly index: number;
  readonly statement: Statement | undefined;
  /** Only the first rows of a portal or a cursor were fetched. */
  readonly partial: boolean;
};

/**
 * Compares rows in the order that the statement promises: exactly as they came first, as a
 * multiset where that fails, then by the keys of its ORDER BY.
 */
export function compareRowSets(sets: RowSets, context: RowContext): Verdict {
  const inPlace = newTally();
  if (sets.primary.length === sets.shadow.length && matchInPlace(sets, inPlace)) {
    return verdictOf(inPlace, sets, context);
  }
  const tally = newTally();
  const partners = findPartners(sets, tally);
  if (partners.primaryLeft.length > 0 || partners.shadowLeft.length > 0) {
    return judgeLeft(sets, partners, context, tally);
  }
  return judgeOrder(sets, context, tally);
}

function newTally(): RowTally {
  return { tolerated: undefined, ignored: false };
}

function matchInPlace(sets: RowSets, tally: RowTally): boolean {
  for (const [index, a] of sets.primary.entries()) {
    const b = rowAt(sets.shadow, index);
    if (a.body.equals(b.body)) continue;
    const found = compareRows(sets.pairs, a, b, tally);
    if (found !== undefined && !found.difference.tolerated) return false;
    if (found !== undefined) noteTolerated(tally, found, [index, index]);
  }
  return true;
}

function verdictOf(tally: RowTally, sets: RowSets, { index }: RowContext): Verdict {
  // What a rule hid was not compared, and that is said before any mere spelling.
  if (tally.ignored) return { kind: "incomparable", reason: "rule" };
  const { tolerated } = tally;
  if (tolerated === undefined) return { kind: "match" };
  const finding = findingOf(sets, tolerated, [tolerated.primary, tolerated.shadow], index);
  return { kind: "tolerated", finding };
}

/** The same rows in another order: wrong only where the keys of the ORDER BY say so. */
function judgeOrder(sets: RowSets, context: RowContext, tally: RowTally): Verdict {
  const broken = compareKeys(sets, context);
  if (broken !== undefined) return broken;
  if (tally.ignored || tally.tolerated !== undefined) return verdictOf(tally, sets, context);
  const finding = newFinding("row_order_free", { statement: context.index });
  return { kind: "tolerated", finding };
}

/** Divergent where a row has another key than the one in its place, else undefined. */
export function compareKeys(sets: RowSets, context: RowContext): Verdict | undefined {
  const broken = brokenKey(sets, context.statement);
  return broken && { kind: "divergent", finding: keyFinding(broken, context) };
}

type BrokenKey = {
  readonly row: number;
  readonly pair: ColumnPair;
  readonly primary: Row;
  readonly shadow: Row;
};

/** The first place where the two sides have another key. Keys before a hidden one are all in place. */
function brokenKey(sets: RowSets, statement: Statement | undefined): BrokenKey | undefined {
  const order = statement?.order;
  if (order?.kind !== "keys" || !order.complete) return undefined;
  for (const [row, primary] of sets.primary.entries()) {
    const shadow = rowAt(sets.shadow, row);
    for (const column of order.columns) {
      const pair = sets.pairs.find(({ primaryIndex }) => primaryIndex === column);
      if (pair === undefined || pair.policy.ignored) continue;
      const difference = compareCells(pair, cell(primary, column), cell(shadow, pair.shadowIndex));
      if (difference?.tolerated === false) return { row, pair, primary, shadow };
    }
  }
  return undefined;
}

function keyFinding({ row, pair, primary, shadow }: BrokenKey, { index }: RowContext): Finding {
  const isText = pair.primary.family.group === "text";
  return newFinding(
    "row_order",
    {
      ...placeOf(pair, index),
      row,
      detail: isText ? "perhaps sorted by another collation" : undefined,
    },
    {
      primary: cellText(pair.primary, cell(primary, pair.primaryIndex)),
      shadow: cellText(pair.shadow, cell(shadow, pair.shadowIndex)),
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
  if (mayDiffer(sets, partners, context)) {
    return { kind: "incomparable", reason: "underspecified" };
  }
  const statement = context.index;
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

type Changed = { readonly primary: number; readonly shadow: number; readonly found: RowDifference };

/** Beyond so many rows, the look for the same row with a changed value gives up. */
const MAX_CHANGED = 50;

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
      if (found !== undefined) best = { primary, shadow, found, same };
    }
  }
  if (best === undefined) return undefined;
  const isOnly = sets.primary.length === 1 || sets.pairs.length <= 1;
  return isOnly || best.same * 2 >= sets.pairs.length ? best : undefined;
}

/** How many columns are the same or differ tolerably. */
function sameColumns(pairs: readonly ColumnPair[], a: Row, b: Row): number {
  return pairs.filter((pair) => {
    const difference = compareCells(pair, cell(a, pair.primaryIndex), cell(b, pair.shadowIndex));
    return difference?.tolerated ?? true;
  }).length;
}

/**
 * Whether two correct servers may give other rows: the first rows of a result without order, or ties
 * at the edge of a LIMIT. A row that is the same but for a changed value is a difference all the same.
 */
function mayDiffer(sets: RowSets, partners: Partners, context: RowContext): boolean {
  const order = context.statement?.order;
  if (context.partial && (order === undefined || order.kind === "any" || !order.complete)) {
    return true;
  }
  if (order?.kind !== "keys" || !order.limited) return false;
  if (sets.primary.length !== sets.shadow.length) return false;
  const keys = sets.pairs.filter(({ primaryIndex }) => order.columns.includes(primaryIndex));
  if (order.complete && (keys.length === 0 || keys.some(isIdentity))) return false;
  if (order.complete && !isAtEdge(sets, partners, keys)) return false;
  return !isChangedRow(sets, partners, keys);
}

/** A key that no two rows share, as far as a name or a type can tell. */
function isIdentity({ primary }: ColumnPair): boolean {
  return primary.name === "id" || primary.typeName === "uuid";
}

/** Whether all rows without partner have the keys of the first or of the last row. */
function isAtEdge(sets: RowSets, partners: Partners, keys: readonly ColumnPair[]): boolean {
  const first = sets.primary[0];
  const last = sets.primary.at(-1);
  if (first === undefined || last === undefined) return false;
  const key = (row: Row, side: "primary" | "shadow"): string => rowText(keys, row, side);
  const edges = new Set([key(first, "primary"), key(last, "primary")]);
  return (
    partners.primaryLeft.every((row) => edges.has(key(rowAt(sets.primary, row), "primary"))) &&
    partners.shadowLeft.every((row) => edges.has(key(rowAt(sets.shadow, row), "shadow")))
  );
}

function isChangedRow(
  sets: RowSets,
  { primaryLeft, shadowLeft }: Partners,
  keys: readonly ColumnPair[],
): boolean {
  const others = sets.pairs.filter((pair) => !keys.includes(pair));
  return primaryLeft.slice(0, MAX_CHANGED).some((primary) =>
    shadowLeft.slice(0, MAX_CHANGED).some((shadow) => {
      const a = rowAt(sets.primary, primary);
      const same = sameColumns(others, a, rowAt(sets.shadow, shadow));
      return same > 0 && same * 2 >= others.length;
    }),
  );
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
  return newFinding(
    difference.reason,
    { ...placeOf(pair, statement), row: primary },
    {
      primary: cellText(pair.primary, cell(a, pair.primaryIndex)),
      shadow: cellText(pair.shadow, cell(b, pair.shadowIndex)),
    },
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
