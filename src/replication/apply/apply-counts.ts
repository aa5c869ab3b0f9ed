import type { Clock } from "../../base/clock.ts";
import type { SourceTransaction } from "../source/source-transaction.ts";
import type { ApplierState } from "./applier.ts";
import type { Piece } from "./group.ts";

type Counts = Pick<ApplierState, "lastCommit" | "transactions" | "rows" | "bytes">;

/** What has been committed since the process began. */
export class ApplyCounts {
  #transactions = 0;
  #bytes = 0;
  #lastCommit: Counts["lastCommit"];
  readonly #rows = { insert: 0, update: 0, delete: 0, truncate: 0 };

  get state(): Counts {
    return {
      lastCommit: this.#lastCommit,
      transactions: this.#transactions,
      rows: { ...this.#rows },
      bytes: this.#bytes,
    };
  }

  transaction({ bytes, committedAtMs }: SourceTransaction, clock: Clock): void {
    this.#transactions++;
    this.#bytes += bytes;
    this.#lastCommit = { sourceMs: committedAtMs, appliedAtMs: clock.nowMs() };
  }

  piece(piece: Piece): void {
    if (piece.kind === "truncate") this.#rows.truncate += piece.programs.length;
    if (piece.kind === "rows") for (const { kind } of piece.changes) this.#rows[kind]++;
  }

  add(other: ApplyCounts): void {
    const { rows } = other.state;
    for (const kind of ["insert", "update", "delete", "truncate"] as const)
      this.#rows[kind] += rows[kind];
  }
}
