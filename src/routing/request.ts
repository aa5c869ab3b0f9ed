import type { Statement } from "../sql/statement.ts";
import type { PreparedChange, PreparedStatement } from "./prepared-statements.ts";

/** What a client asks in one exchange, complete up to its Query, Sync or FunctionCall. */
export type Request = {
  readonly kind: "query" | "batch" | "function_call";
  /** The statements that will be executed, in order. */
  readonly statements: readonly Statement[];
  /** All its frames, or undefined when they were not to be kept or are too many. */
  readonly frames: Buffer | undefined;
  readonly bytes: number;
  /** Parse and Close, in order. */
  readonly changes: readonly PreparedChange[];
  /** Statements that it binds and that were prepared in earlier exchanges. */
  readonly bound: readonly PreparedStatement[];
  /** A Sync with nothing to it but parts of a COPY: the server may owe it no answer of its own. */
  readonly bare: boolean;
  /** CopyDone or CopyFail is its last word about a COPY. */
  readonly closesCopy: boolean;
  /** Something in it was not understood, so pairing and moving are not certain. */
  readonly obscure: boolean;
};
