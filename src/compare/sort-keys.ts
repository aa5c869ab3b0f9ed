import type { Statement } from "../sql/statement.ts";
import type { TwoOrders } from "./collation.ts";
import { compareCells } from "./cells.ts";
import type { ColumnPair } from "./cells.ts";
import { rowAt } from "./row-partners.ts";
import type { Partners } from "./row-partners.ts";
import { canonicalRow, cellsOf } from "./rows.ts";
import type { Row, RowSets } from "./rows.ts";

/** The columns that a statement sorts its rows by. */
export type SortKeys = {
  readonly columns: readonly ColumnPair[];
  /** No key is hidden, so which rows are tied is known. */
  readonly complete: boolean;
  readonly limited: boolean;
};

/** Undefined when the statement asks for no order. */
export function sortKeysOf(
  pairs: readonly ColumnPair[],
  statement: Statement | undefined,
): SortKeys | undefined {
  const order = statement?.order;
  if (order?.kind !== "keys") return undefined;
  const byNumber = order.columns.map((column) =>
    pairs.find(({ primaryIndex }) => primaryIndex === column),
  );
  const byName = (order.names ?? []).map((name) => onlyColumn(pairs, name));
  const keys = [...byNumber, ...byName];
  const columns = keys.filter((pair) => pair !== undefined);
  const visible = columns.filter(({ excuse }) => excuse === undefined);
  const complete = order.complete && visible.length === keys.length;
  return { columns: visible, complete, limited: order.limited };
}

/** A row in whose place the other side has another key. */
export type BrokenOrder = { readonly row: number; readonly pair: ColumnPair };

/**
 * The first place where the keys of the two sides differ; ties are free. The same rows sorted by the
 * same keys have the same key in every place, so each key can be checked even if others are hidden.
 */
export function brokenOrder(sets: RowSets, keys: SortKeys | undefined): BrokenOrder | undefined {
  if (keys === undefined) return undefined;
  for (const [row, primary] of sets.primary.entries()) {
    const shadow = rowAt(sets.shadow, row);
    const pair = keys.columns.find((column) => !isSameKey(column, primary, shadow));
    if (pair !== undefined) return { row, pair };
  }
  return undefined;
}

/** Beyond so many rows the first of them tell by which collation they were sorted. */
const MAX_SORTED = 1000;

/** The texts of one key in the order of each side. Undefined for a key that is no text. */
export function ordersOf(sets: RowSets, keys: SortKeys, pair: ColumnPair): TwoOrders | undefined {
  const isText = [pair.primary, pair.shadow].every(({ family }) => family.group === "text");
  if (!isText) return undefined;
  const before = keys.columns.slice(0, keys.columns.indexOf(pair));
  return {
    primary: textsOf(sets.primary, pair.primaryIndex, before, "primary"),
    shadow: textsOf(sets.shadow, pair.shadowIndex, before, "shadow"),
  };
}

function textsOf(
  rows: readonly Row[],
  column: number,
  before: readonly ColumnPair[],
  side: "primary" | "shadow",
): readonly (readonly string[])[] {
  const lists = new Map<string, string[]>();
  for (const row of rows.slice(0, MAX_SORTED)) {
    const text = cellsOf(row)[column]?.toString("utf8");
    // NULLs are first or last, whatever the collation.
    if (text === undefined) continue;
    const tie = before.length === 0 ? "" : canonicalRow(before, row, side);
    const list = lists.get(tie);
    if (list === undefined) lists.set(tie, [text]);
    else list.push(text);
  }
  return [...lists.values()];
}

/**
 * Whether two correct servers may give other rows: the first rows of a result without order, or ties
 * at the edge of a LIMIT. A row that is the same but for a changed value is a difference all the same.
 */
export function mayHaveOtherRows(
  sets: RowSets,
  partners: Partners,
  keys: SortKeys | undefined,
  partial: boolean,
): boolean {
  if (keys?.columns.some(isIdentity) === true) return false;
  if (partial && keys?.complete !== true) return true;
  if (keys?.limited !== true || sets.primary.length !== sets.shadow.length) return false;
  if (keys.complete && !areAtEdge(sets, partners, keys.columns)) return false;
  return !holdsChangedRow(sets, partners, keys.columns);
}

/** How many of these columns are the same in both rows or differ tolerably. */
export function sameColumns(pairs: readonly ColumnPair[], a: Row, b: Row): number {
  return pairs.filter((pair) => isSameCell(pair, a, b)).length;
}

/** Of rows without partner, only so many are looked at for the same row with a changed value. */
export const MAX_CHANGED = 20;

function onlyColumn(pairs: readonly ColumnPair[], name: string): ColumnPair | undefined {
  const [first, second] = pairs.filter(({ primary }) => primary.name === name);
  return second === undefined ? first : undefined;
}

/** Texts without case are tied when they differ in it only. */
function isSameKey(pair: ColumnPair, a: Row, b: Row): boolean {
  if (isSameCell(pair, a, b)) return true;
  if (pair.primary.typeName !== "citext") return false;
  const cellA = cellsOf(a)[pair.primaryIndex] ?? null;
  const cellB = cellsOf(b)[pair.shadowIndex] ?? null;
  return compareCells(pair, cellA, cellB)?.reason === "text_case";
}

function isSameCell(pair: ColumnPair, a: Row, b: Row): boolean {
  const cellA = cellsOf(a)[pair.primaryIndex] ?? null;
  const cellB = cellsOf(b)[pair.shadowIndex] ?? null;
  return compareCells(pair, cellA, cellB)?.tolerated ?? true;
}

/** A key that no two rows share, as far as a name or a type can tell. */
function isIdentity({ primary }: ColumnPair): boolean {
  return primary.name === "id" || primary.typeName === "uuid";
}

/** Whether all rows without partner have the keys of the first or of the last row, on which both sides agree. */
function areAtEdge(sets: RowSets, partners: Partners, columns: readonly ColumnPair[]): boolean {
  const key = (side: "primary" | "shadow", row: number): string =>
    canonicalRow(columns, rowAt(sets[side], row), side);
  const ends = [0, sets.primary.length - 1].filter((row) => row >= 0);
  const edges = new Set(
    ends
      .map((row) => key("primary", row))
      .filter((edge, at) => edge === key("shadow", ends[at] ?? 0)),
  );
  return (
    partners.primaryLeft.every((row) => edges.has(key("primary", row))) &&
    partners.shadowLeft.every((row) => edges.has(key("shadow", row)))
  );
}

/** Whether a row without partner is like one of the other side in half of what is not key. */
function holdsChangedRow(
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
