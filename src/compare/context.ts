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
};

/** @returns the name from `pg_type` (`int4`, `_text`, `mood`) or undefined for an oid not known. */
export type TypeNames = (oid: number) => string | undefined;
