import type { Clock } from "../base/clock.ts";
import type { AdminRows } from "../upstream/admin-client.ts";

type Deps = {
  readonly clock: Clock;
  /** Asks the shadow, on Twinwire's own connection. @throws CodedError */
  readonly query: (sql: string, values: readonly string[]) => Promise<AdminRows>;
  readonly failed: (error: unknown) => void;
};

/** A sequence that rehearsals under way draw from. */
type Kept = {
  /** Where it stood before; undefined while that is being asked, or could not be. */
  noted: { readonly value: string; readonly isCalled: string } | undefined;
  /** Resolves once it is noted, or known that it cannot be. */
  readonly ready: Promise<void>;
  settled: boolean;
  /** Rehearsals under way. */
  uses: number;
  /** How many values they may have drawn. */
  drawn: number;
  readonly sinceMs: number;
};

/** Sequences go on through a rollback. Since PostgreSQL 7.0; the name is quoted by its owner. */
const noteOf = (sequence: string): string =>
  `SELECT s.last_value, s.is_called FROM ${sequence} AS s`;

/**
 * Sets a sequence back, but only from where the rehearsals can have left it: if somebody else has moved
 * it, what is there counts. Since PostgreSQL 10.
 */
const restoreOf = (sequence: string): string => `
  SELECT pg_catalog.setval($1::text::regclass, $2::bigint, $3::boolean)
  FROM ${sequence} AS s, pg_catalog.pg_sequence AS q
  WHERE q.seqrelid = $1::text::regclass AND q.seqcache = 1
    AND (s.last_value - $2::bigint) BETWEEN 0 AND $4::bigint * q.seqincrement
    AND (s.last_value, s.is_called) <> ($2::bigint, $3::boolean)`;

/** Where rehearsals overlap for longer, a gap is left rather than an old position restored. */
const LONGEST_MS = 5_000;

/**
 * Sets the shadow's sequences back to where they stood before the rehearsals that drew from them, once
 * the last of those that overlap has been rolled back.
 */
export class KeptSequences {
  readonly #deps: Deps;
  readonly #kept = new Map<string, Kept>();
  readonly #restoring = new Set<Promise<void>>();
  #stopped = false;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** A rehearsal is to draw from them. @returns what to wait for before it runs, if anything */
  enter(sequences: readonly string[]): Promise<unknown> | undefined {
    const waits: Promise<void>[] = [];
    for (const sequence of sequences) {
      const kept = this.#kept.get(sequence) ?? this.#note(sequence);
      kept.uses++;
      if (!kept.settled) waits.push(kept.ready);
    }
    return waits.length === 0 ? undefined : Promise.all(waits);
  }

  /** The rehearsal has been rolled back, or never ran. @param drawn how many values it can have drawn */
  leave(sequences: readonly string[], drawn: number): void {
    for (const sequence of sequences) {
      const kept = this.#kept.get(sequence);
      if (kept === undefined) continue;
      kept.uses--;
      kept.drawn += drawn;
      if (kept.uses > 0) continue;
      this.#kept.delete(sequence);
      this.#restore(sequence, kept);
    }
  }

  /** Sequences that are yet to be set back. */
  get busy(): number {
    return this.#kept.size + this.#restoring.size;
  }

  /** From now on nothing is set back: the shadow becomes the primary. */
  forget(): void {
    this.#kept.clear();
  }

  /** Resolves once what was being set back is. */
  async close(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#restoring);
  }

  #note(sequence: string): Kept {
    const kept: Kept = {
      noted: undefined,
      ready: this.#settling(sequence).then((noted) => {
        kept.noted = noted;
        kept.settled = true;
      }),
      settled: false,
      uses: 0,
      drawn: 0,
      sinceMs: this.#deps.clock.monotonicMs(),
    };
    this.#kept.set(sequence, kept);
    return kept;
  }

  /** What is being set back has to be so before it is noted again. */
  async #settling(sequence: string): Promise<Kept["noted"]> {
    await Promise.all(this.#restoring);
    try {
      const [row] = await this.#deps.query(noteOf(sequence), []);
      const [value, isCalled] = row ?? [];
      if (typeof value !== "string" || typeof isCalled !== "string") return undefined;
      return { value, isCalled };
    } catch (error) {
      // The rehearsal goes on: a gap in the shadow's keys is harmless.
      this.#deps.failed(error);
      return undefined;
    }
  }

  #restore(sequence: string, { noted, drawn, sinceMs }: Kept): void {
    const isLate = this.#deps.clock.monotonicMs() - sinceMs > LONGEST_MS;
    if (noted === undefined || drawn === 0 || isLate || this.#stopped) return;
    const values = [sequence, noted.value, noted.isCalled, String(drawn)];
    const restoring = this.#deps.query(restoreOf(sequence), values).then(
      () => {},
      (error: unknown) => this.#deps.failed(error),
    );
    this.#restoring.add(restoring);
    void restoring.finally(() => this.#restoring.delete(restoring));
  }
}
