import type { Statement } from "../sql/statement.ts";
import type { CompareRule } from "./rule.ts";

/** Everything besides the two observations that a verdict depends on. */
export type CompareContext = {
  /** The statements of the exchange, in the order their results come. */
  readonly statements: readonly Statement[];
  readonly rules: readonly CompareRule[];
  /** Called with each rule that was held against a statement or column whose answers are not the same bytes. */
  readonly applied?: ((rule: CompareRule) => void) | undefined;
  /** Type names by oid, one map per role: oids of user-defined types differ between databases. */
  readonly primaryTypes: TypeNames;
  readonly shadowTypes: TypeNames;
  /** What users' types are made of; without it their values are read by what their form shows. */
  readonly primaryShapes?: TypeShapes | undefined;
  readonly shadowShapes?: TypeShapes | undefined;
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

/** What a user's type is made of. Oids are those of its own database. */
export type TypeShape = {
  readonly kind: "enum" | "domain" | "array" | "composite" | "range" | "multirange";
  /** The base type, the element, the bounds, the range, or the fields in order; none for an enum. */
  readonly parts: readonly number[];
};

/** @returns undefined for PostgreSQL's own types, those of extensions, and oids not known. */
export type TypeShapes = (oid: number) => TypeShape | undefined;
