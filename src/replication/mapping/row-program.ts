import type { SourceRelation, SourceRow } from "../source/source-transaction.ts";
import type { TableName, TableShape } from "../table-shape.ts";

/** How a target column comes by its value. */
export type ColumnStep =
  /** The source's text, which the target's type reads. `index` counts the source's columns by name, see `RowProgram.bind`. */
  | { readonly kind: "copy"; readonly source: string }
  | {
      readonly kind: "convert";
      readonly source: string;
      readonly with: "boolean_to_integer" | "integer_to_boolean";
    }
  | { readonly kind: "constant"; readonly value: string | null };

/** What one source table becomes in the target. */
export type RowProgram = {
  readonly source: TableShape;
  readonly target: TableShape;
  /** Target columns that are written, in the target's order; generated ones are not among them. */
  readonly columns: readonly { readonly name: string; readonly step: ColumnStep }[];
  /**
   * Target columns that name a row there, and the same columns of the source. Empty: rows are named by all their values.
   * Constants that are part of the target's key stand behind the others, with an empty `source`.
   */
  readonly key: readonly {
    readonly target: string;
    readonly source: string;
    readonly constant?: string | undefined;
  }[];
  /** Every step copies: bytes of COPY can be passed on as they are when the columns are asked for in this order. */
  readonly isPlain: boolean;
  /** Rows that travel; undefined: all. */
  readonly filter: RowFilter | undefined;
  /** An identity column GENERATED ALWAYS is among `columns`. */
  readonly overridesIdentity: boolean;
  /**
   * Target rows that go when the source is truncated, in the target's columns, all of which must hold; undefined or empty:
   * all rows, the target holds nothing else.
   */
  readonly emptied?: readonly RowFilter[] | undefined;
  /** For each of `columns` what the target's type can hold of the source's, where that is not everything. */
  readonly fits?: readonly (ValueFit | undefined)[] | undefined;
  /**
   * For the relation as the log describes it: its columns need not be those of `source` any more. What the relation does not
   * have and the target does not need is left out of the bound program's `program`.
   * @throws ApplyIncident when the target needs a column that the relation does not have
   */
  bind(relation: SourceRelation): BoundProgram;
};

export type RowFilter = {
  readonly source: string;
  readonly oneOf: readonly (string | null)[];
  /** What must hold as well. */
  readonly and?: RowFilter | undefined;
};

/** What a value must be like to be held by the other type unchanged. */
export type ValueFit = {
  /** `longer than 50 characters`: what does not fit. */
  readonly words: string;
  /** The target would not refuse such a value but change it, so it is never sent there. */
  readonly isSilent: boolean;
  /** The value as text; never NULL. undefined where only the target can tell. */
  readonly test: ((value: Buffer) => boolean) | undefined;
  /** SQL in the source that is true where the value does not fit; undefined where it cannot be asked there. */
  readonly misfit: ((column: string, serverVersion: number) => string | undefined) | undefined;
};

/** A program for rows whose columns stand as one Relation message says. */
export type BoundProgram = {
  readonly program: RowProgram;
  /**
   * For each of `program.columns` its text, null, or UNCHANGED.
   * @throws ApplyIncident when the target would silently change a value
   */
  values(row: SourceRow): SourceRow;
  /** For each of `program.key`, or of `program.columns` where that is empty. */
  keyOf(row: SourceRow): SourceRow;
  /** Whether the row travels. @throws ApplyIncident when the log does not say */
  passes(row: SourceRow): boolean;
};

/** A table to be moved: where to, how, and how back. */
export type TableMapping = {
  readonly source: TableName;
  readonly target: TableName;
  readonly forward: RowProgram;
  /** undefined where there is no way back: `whyNoInverse` says why, in a sentence. */
  readonly reverse: RowProgram | undefined;
  readonly whyNoInverse: string | undefined;
};
