import type { SourceChange, SourceRow } from "../source/source-transaction.ts";
import type { RowProgram } from "../mapping/row-program.ts";

/**
 * What to do with a change of a row while its table is being copied. A chunk not begun yet will read the row later; one
 * under way is filled from a snapshot and the change waits for it (`deferred`: the router has kept it and will have it
 * applied in the transaction that completes the chunk); one that is done gets every change that its snapshot did not see.
 */
export type Routed = "apply" | "drop" | "deferred";

/** Knows which rows the target has. One for each stream that has tables to copy. */
export type ChunkRouter = {
  /** Every table is complete and the position is past every chunk's: nothing needs to be asked any more. */
  readonly settled: boolean;
  /** Whether changes of this table have to be asked about. */
  concerns(program: RowProgram): boolean;
  /**
   * For an insert, update or delete whose key does not change; one that changes it is asked about as a delete of the old
   * row and an insert of the new one, right after each other. In the order of the log; the answers hold for the group being
   * made. `row` is as the log tells it, in the order of `change.relation.columns`.
   */
  route(
    program: RowProgram,
    change: Exclude<SourceChange, { kind: "truncate" | "message" }>,
    row: SourceRow,
  ): Promise<Routed> | Routed;
  /**
   * For a truncation, for each of its tables that `concerns` names. Chunks that stand on different sides of it cannot be reconciled: the
   * table is copied anew then, and the truncation dropped.
   */
  routeTruncate(program: RowProgram, xid: number): Promise<Exclude<Routed, "deferred">>;
};
