import { Buffer } from "node:buffer";
import t from "tap";
import type { CompareContext } from "../../src/compare/context.ts";
import {
  commandComplete,
  compareFrames,
  errorResponse,
  inWords,
  readyForQuery,
  selectAnswer,
} from "./answers.ts";
import type { CellSpec, ColumnSpec } from "./answers.ts";

export const INT4 = 23;
export const TEXT = 25;
export const ID: ColumnSpec = { name: "id", oid: INT4 };
export const NAME: ColumnSpec = { name: "name", oid: TEXT };
export const PRICE: ColumnSpec = { name: "price", oid: INT4 };

/** Two answers and the verdict on them. */
export type Case = {
  readonly why: string;
  readonly primary: Buffer;
  readonly shadow: Buffer;
  readonly expected: string;
  readonly parts?: Partial<CompareContext>;
};

/** Checks every case, the other way round as well. */
export async function check(title: string, cases: readonly Case[]): Promise<void> {
  await t.test(title, (test) => {
    for (const { why, primary, shadow, expected, parts } of cases) {
      test.equal(inWords(compareFrames(primary, shadow, parts)), expected, why);
      const swapped = parts && {
        ...parts,
        primaryTypes: parts.shadowTypes ?? (() => undefined),
        shadowTypes: parts.primaryTypes ?? (() => undefined),
        primaryShapes: parts.shadowShapes,
        shadowShapes: parts.primaryShapes,
      };
      const back = compareFrames(shadow, primary, swapped).kind;
      if (!ONE_WAY.has(why))
        test.equal(back, expected.split(" ")[0], `${why}, the other way round`);
    }
    test.end();
  });
}

/** Cases that hold for one direction only. */
const ONE_WAY = new Set([
  "the shadow is read-only",
  "the shadow is read-only, and the primary fails",
]);

/** One row of one column. */
export const one = (value: CellSpec, column: ColumnSpec = ID): Buffer =>
  selectAnswer([column], [[value]]);
export const failed = (sqlstate: string, status = "I", message = "it failed"): Buffer =>
  Buffer.concat([errorResponse(sqlstate, message), readyForQuery(status)]);
/** A tag without rows. */
export const done = (tag: string, status = "I"): Buffer =>
  Buffer.concat([commandComplete(tag), readyForQuery(status)]);

/** Rows of one column. */
export const rowsOf = (...values: readonly CellSpec[]): Buffer =>
  selectAnswer(
    [ID],
    values.map((value) => [value]),
  );
/** Rows of several columns, their cells separated by spaces. */
export const pairsOf = (columns: readonly ColumnSpec[], ...rows: readonly string[]): Buffer =>
  selectAnswer(
    columns,
    rows.map((row) => row.split(" ")),
  );
