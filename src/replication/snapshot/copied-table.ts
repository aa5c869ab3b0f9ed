import type { Lsn } from "../../wire/position.ts";
import type { RowProgram } from "../mapping/row-program.ts";
import type { ColumnShape } from "../table-shape.ts";
import { chunkTableName } from "./chunk-table.ts";
import type { ChunkRange, ChunkRecord } from "./chunk-table.ts";
import type { DeferredChanges } from "./deferred-changes.ts";
import { rangeFinder } from "./key-order.ts";
import type { RangeOf } from "./key-order.ts";
import type { SourceSnapshot } from "./source-snapshot.ts";

/** One chunk of a table that is being copied, and how far it is. */
export type Chunk = ChunkRange & {
  readonly number: number;
  state: ChunkState;
  rows: number;
  bytes: number;
};

export type ChunkState =
  | { readonly kind: "planned" }
  /** From before its snapshot is taken until it is done; what changes meanwhile is kept. */
  | {
      readonly kind: "under_way";
      readonly deferred: DeferredChanges;
      readonly snapshot: SourceSnapshot | undefined;
    }
  | { readonly kind: "done"; readonly snapshot: SourceSnapshot };

/** A table that is being copied: its chunks as in `twinwire.chunk`, and those under way, which only this process knows. */
export class CopiedTable {
  readonly program: RowProgram;
  /** As in `twinwire.chunk.source_table`. */
  readonly name: string;
  /** It has to be copied anew: nothing that the target holds of it counts. */
  stale = false;
  /** All rows are there and the target knows their statistics. */
  finished = false;
  #chunks: readonly Chunk[] = [];
  #rangeOf: RangeOf | undefined;
  #isSettled = false;

  constructor(program: RowProgram, records: readonly ChunkRecord[]) {
    this.program = program;
    this.name = chunkTableName(program.source);
    this.stale = records.some((record) => record.state === "stale");
    this.#take(
      records.map(({ lo, hi, chunk, snapshot, rows, bytes }) => ({
        number: chunk,
        lo,
        hi,
        rows,
        bytes,
        state: snapshot === undefined ? { kind: "planned" } : { kind: "done", snapshot },
      })),
    );
    this.finished = this.isComplete;
  }

  /** In the order of their keys; none before it is planned. */
  get chunks(): readonly Chunk[] {
    return this.#chunks;
  }

  /** The column whose ranges are copied one by one; undefined where the table is one chunk. */
  get keyColumn(): ColumnShape | undefined {
    const [name] = this.program.source.primaryKey;
    return this.#chunks.length > 1
      ? this.program.source.columns.find((column) => column.name === name)
      : undefined;
  }

  /** The chunk of a key's text; undefined when the database has to be asked. */
  rangeOf(key: Buffer): number | undefined {
    return this.#rangeOf?.(key);
  }

  /** What separates the chunks, ascending: one less than there are chunks. */
  get bounds(): readonly string[] {
    return this.#chunks.flatMap(({ lo }) => (lo === null ? [] : [lo]));
  }

  /** As it has just been written to `twinwire.chunk`. */
  planned(ranges: readonly ChunkRange[]): void {
    this.stale = false;
    this.finished = false;
    this.#take(
      ranges.map(({ lo, hi }, number) => ({
        number,
        lo,
        hi,
        rows: 0,
        bytes: 0,
        state: { kind: "planned" },
      })),
    );
  }

  get isComplete(): boolean {
    return (
      !this.stale &&
      this.#chunks.length > 0 &&
      this.#chunks.every(({ state }) => state.kind === "done")
    );
  }

  get isBeingCopied(): boolean {
    return this.#chunks.some(({ state }) => state.kind === "under_way");
  }

  /** It is complete, and all that its snapshots saw lies before the position: every change to come is to be applied. */
  isSettled(position: Lsn | undefined): boolean {
    if (this.#isSettled || position === undefined || !this.isComplete) return this.#isSettled;
    this.#isSettled = this.#chunks.every(
      ({ state }) => state.kind === "done" && state.snapshot.lsn <= position,
    );
    return this.#isSettled;
  }

  #take(chunks: readonly Chunk[]): void {
    this.#chunks = chunks;
    this.#isSettled = false;
    const column = this.keyColumn;
    this.#rangeOf = column === undefined ? undefined : rangeFinder(column, this.bounds);
  }
}
