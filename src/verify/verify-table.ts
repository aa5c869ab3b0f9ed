import type { Clock } from "../base/clock.ts";
import { CodedError } from "../base/errors.ts";
import type { RowProgram } from "../replication/mapping/row-program.ts";
import { lockSql } from "../replication/snapshot/copy-sql.ts";
import { tableKey } from "../replication/table-shape.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import { formatPosition } from "../wire/position.ts";
import type { Lsn } from "../wire/position.ts";
import { findRows } from "./find-rows.ts";
import type { FoundRow } from "./find-rows.ts";
import type { MomentLocks } from "./moment.ts";
import type { Moments } from "./moments.ts";
import { repairRows } from "./repair.ts";
import type { RepairDeps, RowKey } from "./repair.ts";
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
/** More than this share of a table, and more than a few rows, are not repaired one by one. */
const MOST_SHARE = 0.01;
const FEW_ROWS = 10;
const MOST_KEYS = 1_000_000;
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
  #repaired = 0;
  /** Of rows that differ, no more than may be repaired. */
  #keys: RowKey[] = [];

  constructor(program: RowProgram) {
    this.#program = program;
    this.#sql = tableSql(program);
  }

  get state(): VerifiedTable {
    return {
      name: tableKey(this.#program.source),
      state: this.#state,
      chunks: this.#chunks,
      verified: this.#verified,
      rows: this.#rows,
      mismatches: this.#mismatches,
      repaired: this.#repaired,
      causes: Object.fromEntries(this.#causes),
      detail: this.#detail,
    };
  }

  /**
   * Walks the whole table, and once more when rows were repaired.
   * @param repair how to repair what differs, where that is wanted
   * @throws ApplyIncident, CodedError, WorkError
   */
  async run(
    moments: Moments,
    clock: Clock,
    signal: AbortSignal,
    repair: RepairDeps | undefined,
  ): Promise<void> {
    this.#state = "verifying";
    const { source, target } = this.#program;
    const locks = { old: lockSql(source), fresh: lockSql(target) };
    await this.#walk(moments, locks, clock, signal);
    if (repair !== undefined && this.#mismatches > 0) {
      this.#refuseMany();
      await moments.end();
      await repairRows(repair, this.#program, this.#sql, locks, this.#keys);
      this.#repaired = this.#keys.length;
      this.#forget();
      await this.#walk(moments, locks, clock, signal);
    }
    this.#state = "verified";
  }

  /** It cannot be verified or repaired, or not to its end. */
  fail(detail: string): void {
    this.#state = "failed";
    this.#detail = detail;
  }

  /** @throws CodedError */
  #refuseMany(): void {
    const table = tableKey(this.#program.source);
    if (this.#sql.keyNames.length === 0)
      throw new CodedError(
        "refused_by_guard",
        `${table} has no key by which rows could be repaired`,
      );
    const most = Math.max(FEW_ROWS, Math.floor(this.#rows * MOST_SHARE));
    if (this.#mismatches <= most) return;
    const what = `${this.#mismatches} rows of ${table} differ, more than ${most} (1 %)`;
    throw new CodedError("refused_by_guard", `${what}: it is not repaired row by row`);
  }

  #forget(): void {
    this.#keys = [];
    this.differences.length = 0;
    this.#causes.clear();
    this.#chunks = 0;
    this.#verified = 0;
    this.#rows = 0;
    this.#mismatches = 0;
  }

  async #walk(
    moments: Moments,
    locks: MomentLocks,
    clock: Clock,
    signal: AbortSignal,
  ): Promise<void> {
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
    if (this.#keys.length < MOST_KEYS) this.#keys.push(Object.values(row.key).map(String));
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
