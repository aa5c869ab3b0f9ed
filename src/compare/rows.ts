import { Buffer } from "node:buffer";
import { decodeDataRow } from "../wire/postgres/reply-frames.ts";
import { canonicalCell, cellText, compareCells } from "./cells.ts";
import type { ColumnPair } from "./cells.ts";
import type { Result } from "./reply.ts";
import { divergent } from "./values/value.ts";
import type { Difference } from "./values/value.ts";
import type { IncomparableReason } from "./verdict.ts";
import { weightOf } from "./weight.ts";

/** The rows of one result on both sides, and how their columns belong together. */
export type RowSets = {
  readonly pairs: readonly ColumnPair[];
  readonly primary: readonly Row[];
  readonly shadow: readonly Row[];
};

/** A row: its bytes, and its cells once they were needed. */
export type Row = { readonly body: Buffer; cells: readonly (Buffer | null)[] | undefined };

/** How two rows differ in the column that weighs most. */
export type RowDifference = {
  readonly difference: Difference;
  /** Undefined for rows without columns (COPY). */
  readonly pair: ColumnPair | undefined;
};

/** What comparing rows came to, besides the difference that weighs most. */
export type RowTally = {
  /** The gravest tolerated difference so far, with its place. */
  tolerated: (RowDifference & { readonly primary: number; readonly shadow: number }) | undefined;
  /** Why a difference was not one: a rule, or a column that cannot be compared. */
  excuse: IncomparableReason | undefined;
};

export function rowsOf(result: Result): Row[] {
  return result.rows.map((body) => ({
    body: Buffer.from(body.buffer, body.byteOffset, body.byteLength),
    cells: result.opaque ? [] : undefined,
  }));
}

/** The gravest difference of two rows; one with an excuse is noted in the tally only. */
export function compareRows(
  pairs: readonly ColumnPair[],
  a: Row,
  b: Row,
  tally: RowTally,
): RowDifference | undefined {
  if (pairs.length === 0) {
    return a.body.equals(b.body) ? undefined : { difference: divergent("value"), pair: undefined };
  }
  const cellsA = cellsOf(a);
  const cellsB = cellsOf(b);
  let gravest: RowDifference | undefined;
  for (const pair of pairs) {
    const cellA = cellsA[pair.primaryIndex] ?? null;
    const cellB = cellsB[pair.shadowIndex] ?? null;
    const difference = compareCells(pair, cellA, cellB);
    if (difference === undefined) continue;
    if (pair.excuse !== undefined) tally.excuse ??= pair.excuse;
    else if (gravest === undefined || weightOf(difference) < weightOf(gravest.difference)) {
      gravest = { difference, pair };
    }
  }
  return gravest;
}

/** Notes the tolerated difference of the rows with these numbers. */
export function noteTolerated(
  tally: RowTally,
  found: RowDifference,
  [primary, shadow]: readonly [number, number],
): void {
  const { tolerated } = tally;
  if (tolerated === undefined || weightOf(found.difference) < weightOf(tolerated.difference)) {
    tally.tolerated = { ...found, primary, shadow };
  }
}

/** A spelling that rows share if they are equal or tolerably different. */
export function canonicalRow(
  pairs: readonly ColumnPair[],
  row: Row,
  side: "primary" | "shadow",
): string {
  const cells = cellsOf(row);
  if (pairs.length === 0) return row.body.toString("latin1");
  const spelled = pairs.map((pair) => {
    if (pair.excuse !== undefined || pair.generated) return "";
    const index = side === "primary" ? pair.primaryIndex : pair.shadowIndex;
    return canonicalCell(pair[side], pair.policy, cells[index] ?? null);
  });
  return spelled.join("");
}

/** A whole row for people. */
export function rowText(
  pairs: readonly ColumnPair[],
  row: Row,
  side: "primary" | "shadow",
): string {
  if (pairs.length === 0) return row.body.toString("utf8");
  const cells = cellsOf(row);
  const texts = pairs.map((pair) => {
    const index = side === "primary" ? pair.primaryIndex : pair.shadowIndex;
    return cellText(pair[side], cells[index] ?? null) ?? "";
  });
  return `(${texts.join(", ")})`;
}

/** @throws never: the rows were checked when their answer was taken apart. */
export function cellsOf(row: Row): readonly (Buffer | null)[] {
  row.cells ??= decodeDataRow(row.body);
  return row.cells;
}
