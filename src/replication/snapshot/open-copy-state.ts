import type { CodedError } from "../../base/errors.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import type { Lsn } from "../../wire/position.ts";
import type { RowProgram } from "../mapping/row-program.ts";
import type { TableName } from "../table-shape.ts";
import { chunkTableName, claimCopiers, readChunks, staleStatement } from "./chunk-table.ts";
import { CopiedTable } from "./copied-table.ts";
import type { DeferredBudget } from "./deferred-changes.ts";
import { DroppedXids } from "./dropped-xids.ts";

/** What the router and the copiers of one stream know together. One process, one copy of it at a time. */
export type CopyState = {
  readonly stream: string;
  readonly epoch: bigint;
  readonly copiers: number;
  /** In the order in which they are copied. */
  readonly tables: readonly CopiedTable[];
  tableOf(source: TableName): CopiedTable | undefined;
  readonly dropped: DroppedXids;
  readonly budget: DeferredBudget;
  /** Nothing may be applied any more by this process. */
  failure: CodedError | undefined;
  /** Where the applier is; undefined before its first look. */
  position(): Lsn | undefined;
  /** Has the table copied anew: durable when the promise resolves. */
  makeStale(table: CopiedTable): Promise<void>;
  close(): Promise<void>;
};

export type CopyStateDeps = {
  readonly stream: string;
  /** Of the lease under which this process owns the stream. */
  readonly epoch: bigint;
  /** How many chunks are copied at a time. */
  readonly copiers: number;
  /** Of all tables that are copied, in this order. */
  readonly programs: readonly RowProgram[];
  openTarget(): Promise<WorkSession>;
  position(): Lsn | undefined;
  /** Memory for changes that wait for chunks under way; what is more is kept in files in `folder`, which exists. */
  readonly deferred: { readonly maxBytes: number; readonly folder: string };
};

/**
 * Takes over the stream's copiers, those of a process before this one included, and reads what has been copied.
 * To be done before the applier begins. @throws CodedError
 */
export async function openCopyState(deps: CopyStateDeps): Promise<CopyState> {
  const { stream, epoch, copiers } = deps;
  let session = await deps.openTarget();
  await claimCopiers(session, stream, epoch, copiers);
  const records = await readChunks(session, stream);
  const tables = deps.programs.map(
    (program) => new CopiedTable(program, records.get(chunkTableName(program.source)) ?? []),
  );
  const byName = new Map(tables.map((table) => [table.name, table]));
  return {
    stream,
    epoch,
    copiers,
    tables,
    tableOf: (source) => byName.get(chunkTableName(source)),
    failure: undefined,
    dropped: new DroppedXids(),
    budget: { ...deps.deferred, bytes: 0, files: 0 },
    position: () => deps.position(),
    makeStale: async (table) => {
      table.stale = true;
      if (session.over) session = await deps.openTarget();
      await session.query(staleStatement(stream, table.name));
    },
    close: async () => {
      for (const { state } of tables.flatMap(({ chunks }) => chunks))
        if (state.kind === "under_way") await state.deferred.clear();
      await session.close();
    },
  };
}
