import type { Clock } from "../../base/clock.ts";
import type { CopiedTable } from "./copied-table.ts";

export type TableProgress = {
  /** In the source, as `schema.name`. */
  readonly table: string;
  readonly state: "unplanned" | "planned" | "copying" | "done";
  readonly chunks: number;
  readonly chunksDone: number;
  /** Copied, in chunks that are done; those of changes that came meanwhile are not among them. */
  readonly rows: number;
  /** Of COPY's text. */
  readonly bytes: number;
  /** What the source's catalogue says of the whole table, before any filter. */
  readonly estimatedRows: number;
};

export type CopyProgress = {
  readonly tables: readonly TableProgress[];
  readonly rows: number;
  readonly bytes: number;
  /** Since this process began to copy. */
  readonly rowsPerSecond: number;
  /** From 0 to 1, by the tables' size on the source's disk. */
  readonly fraction: number;
  /** undefined before anything is known of the rate; 0 when all is copied. */
  readonly etaSeconds: number | undefined;
};

/** How far the copy is, and how fast it has been since `begin`. */
export class CopyMeter {
  readonly #tables: readonly CopiedTable[];
  readonly #clock: Clock;
  #beganMs: number | undefined;
  #before = { rows: 0, bytes: 0, fraction: 0 };

  constructor(tables: readonly CopiedTable[], clock: Clock) {
    this.#tables = tables;
    this.#clock = clock;
  }

  begin(): void {
    this.#beganMs = this.#clock.monotonicMs();
    this.#before = this.#sums(this.#tables.map(tableProgress));
  }

  progress(): CopyProgress {
    const tables = this.#tables.map(tableProgress);
    const sums = this.#sums(tables);
    const now = this.#clock.monotonicMs();
    const seconds = this.#beganMs === undefined ? 0 : (now - this.#beganMs) / 1000;
    const rate = (amount: number): number => (seconds > 0 ? amount / seconds : 0);
    const fractionRate = rate(sums.fraction - this.#before.fraction);
    const left = 1 - sums.fraction;
    return {
      tables,
      ...sums,
      rowsPerSecond: rate(sums.rows - this.#before.rows),
      etaSeconds: left <= 0 ? 0 : fractionRate > 0 ? left / fractionRate : undefined,
    };
  }

  #sums(tables: readonly TableProgress[]): { rows: number; bytes: number; fraction: number } {
    const sizes = this.#tables.map(({ program }) => program.source.estimate.bytes + 1);
    const whole = sizes.reduce((sum, size) => sum + size, 0);
    const done = tables.reduce((sum, { chunks, chunksDone, state }, index) => {
      const share = state === "done" ? 1 : chunks === 0 ? 0 : chunksDone / chunks;
      return sum + share * (sizes[index] ?? 0);
    }, 0);
    return {
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      bytes: tables.reduce((sum, { bytes }) => sum + bytes, 0),
      fraction: tables.every(({ state }) => state === "done") ? 1 : done / whole,
    };
  }
}

function tableProgress(table: CopiedTable): TableProgress {
  const { chunks, program } = table;
  const done = table.stale ? [] : chunks.filter(({ state }) => state.kind === "done");
  return {
    table: table.name,
    state: stateOf(table, done.length),
    chunks: chunks.length,
    chunksDone: done.length,
    rows: done.reduce((sum, { rows }) => sum + rows, 0),
    bytes: done.reduce((sum, { bytes }) => sum + bytes, 0),
    estimatedRows: program.source.estimate.rows,
  };
}

function stateOf(table: CopiedTable, done: number): TableProgress["state"] {
  if (table.chunks.length === 0) return "unplanned";
  if (table.isComplete) return "done";
  return done > 0 || table.isBeingCopied ? "copying" : "planned";
}
