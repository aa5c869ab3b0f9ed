import type { Statement } from "../sql/statement.ts";
import type { CompareRule } from "./rule.ts";

/** Everything besides the two observations that a verdict depends on. */
export type CompareContext = {
  /** The statements of the exchange, in the order their results come. */
  readonly statements: readonly Statement[];
  readonly rules: readonly CompareRule[];
  /** Type names by oid, one map per role: oids of user-defined types differ between databases. */
  readonly primaryTypes: TypeNames;
  readonly shadowTypes: TypeNames;
  /**
   * Whether a side gives this column of the shadow's table its value by itself (keys from sequences,
   * the clock, chance), so that another value is none of the application's doing.
   */
  readonly generated?: ((tableOid: number, attribute: number) => boolean) | undefined;
  /** What is known of the n-th result, from 0, besides its own frames. */
  readonly remembered?: ((result: number) => RememberedShape | undefined) | undefined;
};

/**
 * For results that come without a RowDescription, as drivers that described a statement once do not
 * ask again; without it their columns have no types and differences in spelling cannot be told.
 */
export type RememberedShape = {
  /** RowDescription bodies of the earlier Describe. */
  readonly primary?: Uint8Array | undefined;
  readonly shadow?: Uint8Array | undefined;
  /** Result format codes of the Bind: none for text, one for all columns, or one for each. */
  readonly formats?: readonly number[] | undefined;
};

/** @returns the name from `pg_type` (`int4`, `_text`, `mood`) or undefined for an oid not known. */
export type TypeNames = (oid: number) => string | undefined;
