import type { Clock } from "../base/clock.ts";
import type { RowProgram } from "../replication/mapping/row-program.ts";
import { lockSql } from "../replication/snapshot/copy-sql.ts";
import { tableKey } from "../replication/table-shape.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import { formatPosition } from "../wire/position.ts";
import type { Lsn } from "../wire/position.ts";
import { findRows } from "./find-rows.ts";
import type { FoundRow } from "./find-rows.ts";
import type { Moments } from "./moments.ts";
import { tableSql, WHOLE } from "./table-sql.ts";
import type { KeyRange, SideSql, TableSql } from "./table-sql.ts";
import type { RowDifference, VerifiedTable } from "./verify-state.ts";

/** A chunk is to take about so long. */
const CHUNK_MS = 500;
const FIRST_ROWS = 5_000;
const FEWEST_ROWS = 100;
const MOST_ROWS = 200_000;
/** Of one table, in detail; the others are counted. */
const MOST_DIFFERENCES = 100;
/** A chunk may have so many times as many rows as the one before. */
const GROWTH = 4;

/** How far the verification of a table is. */
export class TableVerification {
  readonly differences: RowDifference[] = [];
  readonly #program: RowProgram;
  readonly #sql: TableSql;
  readonly #causes = new Map<string, number>();
  #state: VerifiedTable["state"] = "waiting";
  #detail = "";
  #chunks = 0;
  #verified = 0;
  #rows = 0;
  #mismatches = 0;

  constructor(program: RowProgram) {
    this.#program = program;
    this.#sql = tableSql(program);
  }

  get state(): VerifiedTable {
    return {
      table: tableKey(this.#program.source),
      state: this.#state,
      chunks: this.#chunks,
      verified: this.#verified,
      rows: this.#rows,
      mismatches: this.#mismatches,
      causes: Object.fromEntries(this.#causes),
      detail: this.#detail,
    };
  }

  /** Walks the whole table. @throws CodedError, WorkError */
  async run(moments: Moments, clock: Clock, signal: AbortSignal): Promise<void> {
    this.#state = "verifying";
    const { source, target } = this.#program;
    const locks = { old: lockSql(source), fresh: lockSql(target) };
    let rows = FIRST_ROWS;
    let lo: string | null = null;
    for (;;) {
      signal.throwIfAborted();
      const position = await moments.at(locks);
      const hi = await this.#bound(moments.old, lo, rows);
      if (hi !== null && hi === lo) {
        // Many rows share the first column of the key.
        rows *= GROWTH;
        continue;
      }
      const beganAtMs = clock.monotonicMs();
      const range: KeyRange = this.#sql.hasRanges ? { lo, hi } : WHOLE;
      const count = await this.#chunk(moments, range, position);
      if (hi === null) break;
      lo = hi;
      const tookMs = Math.max(1, clock.monotonicMs() - beganAtMs);
      const aimed = Math.min(rows * GROWTH, (Math.max(count, 1) * CHUNK_MS) / tookMs);
      rows = Math.round(Math.min(MOST_ROWS, Math.max(FEWEST_ROWS, aimed)));
    }
    this.#state = "verified";
  }

  /** It cannot be verified, or not to its end. */
  fail(detail: string): void {
    this.#state = "failed";
    this.#detail = detail;
  }

  /** @returns how many rows OLD has in it */
  async #chunk({ old, fresh }: Moments, range: KeyRange, position: Lsn): Promise<number> {
    const [one, other] = await Promise.all([
      checksum(old, this.#sql.old, range),
      checksum(fresh, this.#sql.fresh, range),
    ]);
    this.#chunks++;
    const count = Number(one[0] ?? 0);
    this.#rows += count;
    if (one.join() === other.join()) {
      this.#verified++;
      return count;
    }
    const most = Math.max(count, Number(other[0] ?? 0));
    for await (const row of findRows({ old, fresh }, this.#sql, range, most)) {
      this.#note(row, position);
    }
    return count;
  }

  #note(row: FoundRow, position: Lsn): void {
    this.#mismatches++;
    this.#causes.set(row.cause, (this.#causes.get(row.cause) ?? 0) + 1);
    if (this.differences.length >= MOST_DIFFERENCES) return;
    this.differences.push({
      table: tableKey(this.#program.source),
      ...row,
      position: formatPosition({ kind: "lsn", lsn: position }),
    });
  }

  async #bound(old: WorkSession, lo: string | null, rows: number): Promise<string | null> {
    if (!this.#sql.hasRanges) return null;
    const { rows: found } = await old.query({ sql: this.#sql.bound(lo, rows) });
    return found[0]?.[0] ?? null;
  }
}

async function checksum(
  session: WorkSession,
  side: SideSql,
  range: KeyRange,
): Promise<readonly (string | null)[]> {
  const { rows } = await session.query({ sql: side.checksum(range) });
  return rows[0] ?? [];
}
