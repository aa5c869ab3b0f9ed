import type { WorkSession } from "../../upstream/work-session.ts";
import type { RowProgram } from "../mapping/row-program.ts";
import type { SourceRow } from "../source/source-transaction.ts";

/** A change in the target's terms: what a `BoundProgram` makes of a change of the source. */
export type RowChange =
  | { readonly kind: "insert"; readonly program: RowProgram; readonly values: SourceRow }
  | {
      readonly kind: "update";
      readonly program: RowProgram;
      /** What names the row before the change: of `program.key`, or of all `program.columns` where that is empty. */
      readonly key: SourceRow;
      /** Of `program.columns`; those UNCHANGED are left as they are. */
      readonly values: SourceRow;
    }
  | { readonly kind: "delete"; readonly program: RowProgram; readonly key: SourceRow };

/**
 * Writes changes within the transaction that is open on the session, in their order as far as it can be noticed.
 * @param transaction any object, the same for whatever is written within one transaction
 * @throws ApplyIncident
 */
export type WriteRows = (
  session: WorkSession,
  changes: readonly RowChange[],
  transaction: object,
) => Promise<void>;

/** A change that could not be applied as it must: the stream stops at it. Names the row's key, never other values. */
export class ApplyIncident extends Error {
  /** As `schema.name` in the target. */
  readonly table: string;
  readonly operation: "insert" | "update" | "delete" | "truncate";
  /** Key columns and their values: for the operator, not for logs or metrics. */
  readonly key: Readonly<Record<string, string | null>>;
  /** Of the target's refusal, where that is the reason. */
  readonly sqlstate: string | undefined;

  constructor(what: Pick<ApplyIncident, "message" | "table" | "operation" | "key" | "sqlstate">) {
    super(what.message);
    this.name = "ApplyIncident";
    this.table = what.table;
    this.operation = what.operation;
    this.key = what.key;
    this.sqlstate = what.sqlstate;
  }
}
