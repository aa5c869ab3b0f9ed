import { CodedError } from "../../base/errors.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import type { RowProgram } from "../mapping/row-program.ts";
import { UNCHANGED } from "../source/source-transaction.ts";
import type { SourceRelation, SourceRow } from "../source/source-transaction.ts";
import { RangeQuestion } from "./ask-range.ts";
import type { RowEvent } from "./change-codec.ts";
import type { ChunkRouter, Routed } from "./chunk-router.ts";
import type { Chunk, CopiedTable } from "./copied-table.ts";
import type { CopyState } from "./open-copy-state.ts";
import { parseSnapshot, TAKE_SNAPSHOT } from "./source-snapshot.ts";
import { sees } from "../visibility.ts";

export type ChunkRouterDeps = {
  readonly state: CopyState;
  openSource(): Promise<WorkSession>;
};

/** As many numbers are kept of transactions whose changes were dropped before the source is asked which of them it shows. */
const DROPPED_BEFORE_ASKING = 100_000;
const ATTEMPTS = 3;

/** The half of a change of a key that was asked about last. */
type Half = {
  readonly table: CopiedTable;
  readonly xid: number;
  readonly chunk: Chunk;
  readonly before: SourceRow;
  readonly routed: Routed;
};

/** Routes changes by the chunk of their leading key column. For one applier, which asks in the order of the log. */
export class OpenChunkRouter implements ChunkRouter {
  readonly #state: CopyState;
  readonly #openSource: () => Promise<WorkSession>;
  readonly #questions = new Map<CopiedTable, RangeQuestion>();
  readonly #keyPlaces = new WeakMap<SourceRelation, number>();
  #session: WorkSession | undefined;
  #half: Half | undefined;

  constructor({ state, openSource }: ChunkRouterDeps) {
    this.#state = state;
    this.#openSource = openSource;
  }

  get settled(): boolean {
    const position = this.#state.position();
    return this.#state.tables.every((table) => table.isSettled(position));
  }

  concerns(program: RowProgram): boolean {
    const table = this.#state.tableOf(program.source);
    return table !== undefined && !table.isSettled(this.#state.position());
  }

  route(program: RowProgram, change: RowEvent, row: SourceRow): Promise<Routed> | Routed {
    if (this.#state.failure !== undefined) throw this.#state.failure;
    const table = this.#state.tableOf(program.source);
    if (table === undefined || table.isSettled(this.#state.position())) return "apply";
    if (isNotBegun(table)) return this.#drop(change.xid);
    const chunk = this.#chunkOf(table, change, row);
    return chunk instanceof Promise
      ? chunk.then((found) => this.#decide(table, found, change))
      : this.#decide(table, chunk, change);
  }

  async routeTruncate(program: RowProgram, xid: number): Promise<"apply" | "drop"> {
    const table = this.#state.tableOf(program.source);
    const position = this.#state.position();
    if (this.#state.failure !== undefined) throw this.#state.failure;
    if (table === undefined || table.isSettled(position)) return "apply";
    this.#state.dropped.add(xid);
    if (isNotBegun(table)) return "drop";
    // A snapshot that is still to be taken must see it, as it is among those dropped.
    const isIn = ({ state }: Chunk): boolean => {
      if (state.kind === "planned" || state.snapshot === undefined) return true;
      return !isPast(state.snapshot.lsn, position) && sees(state.snapshot, xid);
    };
    if (table.chunks.every(isIn)) return "drop";
    if (table.isComplete && !table.chunks.some(isIn)) return "apply";
    await this.#state.makeStale(table);
    return "drop";
  }

  async close(): Promise<void> {
    await this.#session?.close();
  }

  #drop(xid: number): Promise<Routed> | Routed {
    const { dropped } = this.#state;
    dropped.add(xid);
    return dropped.size > DROPPED_BEFORE_ASKING ? this.#forgetVisible() : "drop";
  }

  async #forgetVisible(): Promise<Routed> {
    const { rows } = await this.#asking((session) => session.query({ sql: TAKE_SNAPSHOT }));
    const [snapshot, lsn] = rows[0] ?? [];
    this.#state.dropped.allSeenBy(parseSnapshot(snapshot ?? "", lsn ?? ""));
    return "drop";
  }

  #decide(table: CopiedTable, chunk: Chunk, change: RowEvent): Promise<Routed> | Routed {
    const first = this.#firstHalf(table, change);
    const answer = this.#answer(table, chunk, change, first);
    if (answer instanceof Promise)
      return answer.then((routed) => this.#told(table, chunk, change, routed));
    return this.#told(table, chunk, change, answer);
  }

  #told(table: CopiedTable, chunk: Chunk, change: RowEvent, routed: Routed): Routed {
    const { xid } = change;
    this.#half =
      change.kind === "delete" ? { table, xid, chunk, before: change.before, routed } : undefined;
    return routed;
  }

  /** The delete that an insert without all values must belong to: only a change of a key leaves values out. */
  #firstHalf(table: CopiedTable, change: RowEvent): Half | undefined {
    const half = this.#half;
    if (change.kind !== "insert" || !change.row.includes(UNCHANGED)) return undefined;
    return half?.table === table && half.xid === change.xid ? half : undefined;
  }

  #answer(
    table: CopiedTable,
    chunk: Chunk,
    change: RowEvent,
    first: Half | undefined,
  ): Promise<Routed> | Routed {
    const { state } = chunk;
    switch (state.kind) {
      case "planned":
        return this.#drop(change.xid);
      case "under_way": {
        if (first?.chunk === chunk && change.kind === "insert") {
          state.deferred.replaceLast({ ...change, kind: "update", before: first.before });
          return "deferred";
        }
        return state.deferred.add(change)?.then(() => "deferred" as const) ?? "deferred";
      }
      case "done": {
        if (!isPast(state.snapshot.lsn, this.#state.position()) && sees(state.snapshot, change.xid))
          return "drop";
        const isWhole = change.kind !== "insert" || !change.row.includes(UNCHANGED);
        return isWhole || first?.routed === "apply" ? "apply" : this.#missesValues(table, change);
      }
    }
  }

  /**
   * A row came over from a chunk that the target does not have, and the log leaves out its large values. Copying the table anew, in
   * one chunk that no row can leave, is dear but rare.
   */
  async #missesValues(table: CopiedTable, { xid }: RowEvent): Promise<Routed> {
    await this.#state.makeStale(table);
    return await this.#drop(xid);
  }

  #chunkOf(table: CopiedTable, change: RowEvent, row: SourceRow): Promise<Chunk> | Chunk {
    const { keyColumn } = table;
    if (keyColumn === undefined) return chunkAt(table, 0);
    const place = this.#keyPlace(change.relation, keyColumn.name);
    const key = keyAt(row, place) ?? keyAt("before" in change ? (change.before ?? []) : [], place);
    if (key === undefined) {
      const what = `the log tells no value of the key's column "${keyColumn.name}" of ${table.name}`;
      throw new CodedError("protocol_violation", what);
    }
    const range = table.rangeOf(key);
    if (range !== undefined) return chunkAt(table, range);
    const question = this.#questions.get(table) ?? new RangeQuestion(table);
    this.#questions.set(table, question);
    return this.#asking((session) => question.ask(session, key)).then((at) => chunkAt(table, at));
  }

  #keyPlace(relation: SourceRelation, name: string): number {
    const known = this.#keyPlaces.get(relation);
    if (known !== undefined) return known;
    const place = relation.columns.findIndex((column) => column.name === name);
    this.#keyPlaces.set(relation, place);
    return place;
  }

  async #asking<T>(question: (session: WorkSession) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        if (this.#session === undefined || this.#session.over)
          this.#session = await this.#openSource();
        return await question(this.#session);
      } catch (error) {
        // A session that sat idle may have been ended; asking again changes nothing.
        if (attempt === ATTEMPTS || this.#session?.over === false) throw error;
      }
    }
  }
}

/** Nothing of it counts yet: what happens now will be in the snapshots to come. */
function isNotBegun(table: CopiedTable): boolean {
  return table.stale || table.chunks.every(({ state }) => state.kind === "planned");
}

function isPast(lsn: bigint, position: bigint | undefined): boolean {
  return position !== undefined && position >= lsn;
}

function chunkAt(table: CopiedTable, range: number): Chunk {
  const chunk = table.chunks[range];
  if (chunk === undefined) throw new Error("a key lies outside of all ranges");
  return chunk;
}

function keyAt(row: SourceRow, place: number): Buffer | undefined {
  const value = row[place];
  return Buffer.isBuffer(value) ? value : undefined;
}
