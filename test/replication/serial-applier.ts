import type { WorkSession } from "../../src/upstream/work-session.ts";
import { formatPosition, parseLsn } from "../../src/wire/position.ts";
import type { Lsn } from "../../src/wire/position.ts";
import { moveProgress } from "../../src/replication/apply/progress.ts";
import type { ProgressKey } from "../../src/replication/apply/progress.ts";
import type { RowChange, WriteRows } from "../../src/replication/apply/row-writer.ts";
import type { BoundProgram, RowProgram } from "../../src/replication/mapping/row-program.ts";
import type { RowEvent } from "../../src/replication/snapshot/change-codec.ts";
import type { ChunkRouter } from "../../src/replication/snapshot/chunk-router.ts";
import { emptySql } from "../../src/replication/snapshot/copy-sql.ts";
import { rowChanges } from "../../src/replication/snapshot/row-changes.ts";
import type {
  SourceChange,
  SourceItem,
  SourceRelation,
  SourceRow,
  SourceStream,
} from "../../src/replication/source/source-transaction.ts";
import { tableKey } from "../../src/replication/table-shape.ts";

type SerialDeps = {
  readonly stream: SourceStream;
  readonly session: WorkSession;
  readonly router: ChunkRouter;
  readonly writeRows: WriteRows;
  readonly programs: readonly RowProgram[];
  readonly key: ProgressKey;
  readonly epoch: bigint;
  readonly position: Lsn;
};

/** One transaction of the source after the other, each in one of the target. */
export class SerialApplier {
  readonly #deps: SerialDeps;
  readonly #programs: ReadonlyMap<string, RowProgram>;
  readonly #bound = new WeakMap<SourceRelation, BoundProgram>();
  #turn: Promise<unknown> = Promise.resolve();
  #waiting: { readonly lsn: Lsn; resolve(): void }[] = [];
  /** How often each answer was given. */
  readonly routed = { apply: 0, drop: 0, deferred: 0 };
  position: Lsn;
  readonly ended: Promise<void>;
  /** Never resolves. */
  readonly failed: Promise<never>;

  constructor(deps: SerialDeps) {
    this.#deps = deps;
    this.#programs = new Map(deps.programs.map((each) => [tableKey(each.source), each]));
    this.position = deps.position;
    const running = this.#run();
    this.ended = running.catch(() => {});
    this.failed = running.then(() => new Promise<never>(() => {}));
    this.failed.catch(() => {});
  }

  between<T>(work: (position: Lsn) => Promise<T>): Promise<T> {
    return this.#alone(() => work(this.position));
  }

  async reached(text: string): Promise<void> {
    const lsn = parseLsn(text);
    if (lsn === undefined) throw new Error(`no position: ${text}`);
    if (this.position >= lsn) return;
    await new Promise<void>((resolve) => this.#waiting.push({ lsn, resolve }));
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #run(): Promise<void> {
    for (;;) {
      const item = await this.#deps.stream.next();
      if (item === undefined) return;
      await this.#alone(() => this.#take(item));
      this.#waiting = this.#waiting.filter(({ lsn, resolve }) => {
        if (this.position < lsn) return true;
        resolve();
        return false;
      });
    }
  }

  async #take(item: SourceItem): Promise<void> {
    if (item.kind === "message") return;
    const end = item.kind === "idle" ? item.lsn : item.endLsn;
    if (end <= this.position) return;
    const { session, key, epoch } = this.#deps;
    const move = moveProgress({ ...key, epoch }, this.position, end);
    const [, moved] = await session.pipeline([{ sql: "BEGIN" }, move]);
    if (moved?.affected !== 1)
      throw new Error(`not ours: ${formatPosition({ kind: "lsn", lsn: end })}`);
    if (item.kind === "transaction") {
      for await (const batch of item.changes()) {
        for (const change of batch) await this.#change(change, item);
      }
      item.release();
    }
    await session.execute("COMMIT");
    this.position = end;
    this.#deps.stream.acknowledge(end);
  }

  async #change(change: SourceChange, transaction: object): Promise<void> {
    if (change.kind === "message") return;
    if (change.kind === "truncate") return await this.#truncate(change);
    const program = this.#programs.get(tableKey(change.relation));
    if (program === undefined) return;
    const bound = this.#bound.get(change.relation) ?? program.bind(change.relation);
    this.#bound.set(change.relation, bound);
    const changes = await this.#routed(program, bound, change);
    await this.#deps.writeRows(this.#deps.session, changes, transaction);
  }

  async #routed(
    program: RowProgram,
    bound: BoundProgram,
    change: RowEvent,
  ): Promise<readonly RowChange[]> {
    const { router } = this.#deps;
    if (!router.concerns(program)) return rowChanges(bound, change);
    const { relation, xid } = change;
    if (change.kind === "update" && change.before !== undefined) {
      const { before, row } = change;
      if (program.key.length > 0 && !isSame(bound.keyOf(before), bound.keyOf(row))) {
        const leaves: RowEvent = { kind: "delete", relation, before, xid };
        const comes: RowEvent = { kind: "insert", relation, row, xid };
        const left = await this.#count(router.route(program, leaves, before));
        const came = await this.#count(router.route(program, comes, row));
        if (left === "apply" && came === "apply") return rowChanges(bound, change);
        if (left === "apply") return rowChanges(bound, leaves);
        return came === "apply" ? rowChanges(bound, comes) : [];
      }
    }
    const row = change.kind === "delete" ? change.before : change.row;
    const routed = await this.#count(router.route(program, change, row));
    return routed === "apply" ? rowChanges(bound, change) : [];
  }

  async #count<T extends "apply" | "drop" | "deferred">(answer: Promise<T> | T): Promise<T> {
    const routed = await answer;
    this.routed[routed]++;
    return routed;
  }

  async #truncate({ relations, xid }: Extract<SourceChange, { kind: "truncate" }>): Promise<void> {
    for (const relation of relations) {
      const program = this.#programs.get(tableKey(relation));
      if (program === undefined) continue;
      const routed = await this.#deps.router.routeTruncate(program, xid);
      if (routed === "apply") await this.#deps.session.execute(emptySql(program));
    }
  }
}

function isSame(one: SourceRow, other: SourceRow): boolean {
  return one.every((value, index) => {
    const second = other[index];
    if (!Buffer.isBuffer(value) || !Buffer.isBuffer(second)) return value === second;
    return value.equals(second);
  });
}
