import type { Clock } from "../../base/clock.ts";
import type { Lsn } from "../../wire/position.ts";
import type { SourceStream } from "../source/source-transaction.ts";
import { Acknowledgement } from "./acknowledgement.ts";
import type { ApplierDeps, ApplyOptions } from "./applier.ts";
import { ApplyCounts } from "./apply-counts.ts";
import { inParts } from "./group.ts";
import type { Begun, Group } from "./group.ts";
import type { ApplyCapabilities } from "./target-session.ts";
import { TargetTransactions } from "./target-transaction.ts";
import type { TargetPositions } from "./target-transaction.ts";

/** Rows of a large transaction that are written together. */
const PIECE_ROWS = 5000;

/** Commits groups in the target and tells the source what is durable there. */
export class GroupWriter {
  readonly counts: ApplyCounts = new ApplyCounts();
  readonly #clock: Clock;
  readonly #stream: SourceStream;
  readonly #onMessage: ApplierDeps["onMessage"];
  readonly #idleProgressMs: number;
  readonly #target: TargetTransactions;
  readonly #acks: Acknowledgement;
  #position: Lsn;
  #acknowledged: Lsn | undefined;
  #progressAtMs: number;

  constructor(deps: ApplierDeps, options: ApplyOptions, capabilities: ApplyCapabilities) {
    const { session, names, worker, epoch, position, writeRows } = deps;
    this.#clock = deps.clock;
    this.#stream = deps.stream;
    this.#onMessage = deps.onMessage;
    this.#idleProgressMs = options.idleProgressMs;
    this.#target = new TargetTransactions(
      session,
      { stream: names.stream, worker, epoch },
      { writeRows, capabilities, position },
    );
    this.#acks = new Acknowledgement(options.ackMargin);
    this.#position = position;
    this.#progressAtMs = deps.clock.monotonicMs();
  }

  /** Behind all that is committed, and what was foreign after it. */
  get position(): Lsn {
    return this.#position;
  }

  get acknowledged(): Lsn | undefined {
    return this.#acknowledged;
  }

  /** Nothing up to there was for the target. */
  skip(group: Group): void {
    for (const transaction of group.transactions) transaction.release();
    if (group.position !== undefined) this.#position = group.position;
  }

  async write(group: Group): Promise<void> {
    const to = group.position ?? this.#position;
    try {
      const positions = await this.#target.run(to, async ({ apply }) => {
        for (const piece of group.pieces) if (piece.kind !== "message") await apply(piece);
      });
      for (const transaction of group.transactions)
        this.counts.transaction(transaction, this.#clock);
      for (const piece of group.pieces) this.counts.piece(piece);
      this.#committed(to, positions);
    } finally {
      for (const transaction of group.transactions) transaction.release();
    }
  }

  /** Streams one source transaction through a target transaction of its own. */
  async writeAlone({ transaction, read, rest }: Begun): Promise<void> {
    const { endLsn, commitLsn } = transaction;
    const counts = new ApplyCounts();
    try {
      const positions = await this.#target.run(endLsn, async ({ apply, execute }) => {
        for await (const piece of inParts(read, rest, PIECE_ROWS)) {
          counts.piece(piece);
          if (piece.kind !== "message") {
            await apply(piece);
            continue;
          }
          const statement = await this.#onMessage({
            ...piece,
            lsn: commitLsn,
            transactional: true,
          });
          if (statement !== undefined) await execute(statement);
        }
      });
      this.counts.add(counts);
      this.counts.transaction(transaction, this.#clock);
      this.#committed(endLsn, positions);
    } finally {
      transaction.release();
    }
  }

  #committed(to: Lsn, positions: TargetPositions | undefined): void {
    const nowMs = this.#clock.monotonicMs();
    this.#position = to;
    this.#progressAtMs = nowMs;
    this.#acks.committed(to, positions?.written, nowMs);
    if (positions !== undefined) this.#acks.flushed(positions.flushed, nowMs);
    this.#acknowledge(nowMs);
  }

  /** While nothing is written: acknowledgements that wait for the disk, and the progress over foreign work. */
  async lookAfter(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#acks.awaitsFlush) {
      const positions = await this.#target.positions();
      if (positions !== undefined) this.#acks.flushed(positions.flushed, nowMs);
    }
    const isStale = nowMs - this.#progressAtMs >= this.#idleProgressMs;
    if (isStale) await this.writeProgress();
    this.#acknowledge(nowMs);
  }

  /**
   * Has the target know the position, also where nothing was to be written on the way. What else is made durable after it, such as
   * changes that waited for a chunk, is never read again.
   */
  async writeProgress(): Promise<void> {
    if (this.#position <= this.#target.position) return;
    const to = this.#position;
    this.#committed(to, await this.#target.run(to, async () => {}));
  }

  #acknowledge(nowMs: number): void {
    const due = this.#acks.due(nowMs);
    if (due === undefined) return;
    this.#stream.acknowledge(due);
    this.#acknowledged = due;
  }
}
