import { ANY_TABLE } from "./drifted-tables.ts";

/** Tables by bare name, or everything where that cannot be said. */
export type Scope = ReadonlySet<string> | "everything";

type Entry = {
  /** Transactions that have written it, or are about to, and have not ended. */
  open: number;
  /** When the last of those that ended did; monotonic milliseconds. */
  endedAtMs: number;
};

/**
 * Which tables clients write through Twinwire, and until when they did: where nobody writes, the shadow
 * that follows the primary has the primary's rows. Writes that go past Twinwire are not seen.
 */
export class TableActivity {
  readonly #tables = new Map<string, Entry>();
  readonly #all: Entry = { open: 0, endedAtMs: -Infinity };
  /** What was written before is not known. */
  #followedSinceMs: number;

  /** @param nowMs monotonic, as all times here */
  constructor(nowMs: number) {
    this.#followedSinceMs = nowMs;
  }

  /** The sides have swapped: what has not come over to the one now lags on the other. */
  restart(nowMs: number): void {
    this.#followedSinceMs = nowMs;
  }

  /** A write is about to be sent. @param tables `ANY_TABLE` for those that are not known */
  begin(tables: readonly string[]): void {
    for (const table of tables) this.#entry(table).open++;
    if (tables.length > 0) this.#all.open++;
  }

  /** The transaction that it began in has ended, or nobody will know whether it has. */
  end(tables: readonly string[], nowMs: number): void {
    for (const table of tables) ended(this.#entry(table), nowMs);
    if (tables.length > 0) ended(this.#all, nowMs);
  }

  /**
   * Whether nothing in scope is being written, or was after `sinceMs`.
   * @param own what the asking session has begun and not ended, one list for each `begin`
   */
  isQuiet(scope: Scope, sinceMs: number, own: readonly (readonly string[])[]): boolean {
    if (sinceMs < this.#followedSinceMs) return false;
    if (scope === "everything") {
      return isQuiet(this.#all, sinceMs, own.filter((tables) => tables.length > 0).length);
    }
    return [ANY_TABLE, ...scope].every((table) => {
      const entry = this.#tables.get(table);
      if (entry === undefined) return true;
      const mine = own.filter((tables) => tables.includes(table)).length;
      return isQuiet(entry, sinceMs, mine);
    });
  }

  #entry(table: string): Entry {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const entry: Entry = { open: 0, endedAtMs: -Infinity };
    this.#tables.set(table, entry);
    return entry;
  }
}

function isQuiet(entry: Entry, sinceMs: number, own: number): boolean {
  return entry.open <= own && entry.endedAtMs < sinceMs;
}

function ended(entry: Entry, nowMs: number): void {
  entry.open--;
  entry.endedAtMs = nowMs;
}
