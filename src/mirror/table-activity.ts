import { ANY_TABLE } from "./drifted-tables.ts";

/** Tables by bare name, or everything where that cannot be said. */
export type Scope = ReadonlySet<string> | "everything";

type Entry = {
  /** Transactions that have written it, or are about to, and have not ended. */
  open: number;
  /** When the last of those that ended did, whose it was, and when the last before it did; monotonic milliseconds. */
  endedAtMs: number;
  endedBy: Writer | undefined;
  beforeMs: number;
};

/** A session; its identity is all that counts. */
type Writer = object;

/** A transaction: what it wrote itself does not make its tables restless. */
export type Asking = {
  readonly writer: Writer;
  readonly beganAtMs: number;
  /** What its session has begun and not ended, one list for each `begin`. */
  readonly own: readonly (readonly string[])[];
};

/**
 * Which tables clients write through Twinwire, and until when they did: where nobody writes, the shadow
 * that follows the primary has the primary's rows. Writes that go past Twinwire are not seen.
 */
export class TableActivity {
  readonly #tables = new Map<string, Entry>();
  readonly #all: Entry = newEntry();
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
  end(tables: readonly string[], nowMs: number, writer: Writer): void {
    for (const table of tables) ended(this.#entry(table), nowMs, writer);
    if (tables.length > 0) ended(this.#all, nowMs, writer);
  }

  /** Whether nobody else writes anything in scope, or has after `sinceMs`. */
  isQuiet(scope: Scope, sinceMs: number, asking: Asking): boolean {
    const { own } = asking;
    if (sinceMs < this.#followedSinceMs) return false;
    if (scope === "everything") {
      const mine = own.filter((tables) => tables.length > 0).length;
      return isQuiet(this.#all, sinceMs, asking, mine);
    }
    return [ANY_TABLE, ...scope].every((table) => {
      const entry = this.#tables.get(table);
      if (entry === undefined) return true;
      const mine = own.filter((tables) => tables.includes(table)).length;
      return isQuiet(entry, sinceMs, asking, mine);
    });
  }

  #entry(table: string): Entry {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const entry = newEntry();
    this.#tables.set(table, entry);
    return entry;
  }
}

function newEntry(): Entry {
  return { open: 0, endedAtMs: -Infinity, endedBy: undefined, beforeMs: -Infinity };
}

/** Whether its own transaction has ended before it is asked, is a matter of who answered first. */
function isQuiet(
  entry: Entry,
  sinceMs: number,
  { writer, beganAtMs }: Asking,
  own: number,
): boolean {
  const { open, endedAtMs, endedBy, beforeMs } = entry;
  const isOwnEnd = endedBy === writer && endedAtMs >= beganAtMs;
  return open <= own && (isOwnEnd ? beforeMs : endedAtMs) < sinceMs;
}

function ended(entry: Entry, nowMs: number, writer: Writer): void {
  entry.open--;
  // What one transaction has written with several statements ends once.
  if (entry.endedBy === writer && entry.endedAtMs === nowMs) return;
  entry.beforeMs = entry.endedAtMs;
  entry.endedAtMs = nowMs;
  entry.endedBy = writer;
}
