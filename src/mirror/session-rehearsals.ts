import type { Clock } from "../base/clock.ts";
import type { RehearsedAs } from "../routing/route.ts";
import type { Statement } from "../sql/statement.ts";
import { ANY_TABLE } from "./drifted-tables.ts";
import type { Pair, Rehearsal } from "./pair.ts";
import { drawnBy } from "./rehearsed-answer.ts";
import type { Rehearsals } from "./rehearsals.ts";
import type { Scope } from "./table-activity.ts";

/**
 * One session's part in rehearsing writes: which tables it is writing on the primary, and on which rows
 * the answers of its rehearsals depend.
 *
 * A difference in rows is real only where the shadow has the primary's rows. That is so of tables that
 * nobody has written for longer than the shadow lags, and while the client has not sent COMMIT, so that
 * the transaction's own writes cannot have come over. Of what commits by itself that is never certain: a
 * server wakes its replication before it answers, and the shadow may have applied and run it by then.
 */
export class SessionRehearsals {
  readonly #shared: Rehearsals;
  readonly #clock: Clock;
  /** What each request writes that has been sent and whose transaction has not ended. */
  readonly #own: (readonly string[])[] = [];
  /** How many of them, from the first, have been answered. */
  #answered = 0;
  #scope: Scope = NO_TABLES;
  #beganAtMs = 0;
  #committing = false;

  constructor(shared: Rehearsals, clock: Clock) {
    this.#shared = shared;
    this.#clock = clock;
  }

  /** The next request begins a transaction. */
  begin(): void {
    this.#scope = NO_TABLES;
    this.#beganAtMs = this.#clock.monotonicMs();
    this.#committing = false;
  }

  /**
   * A request is sent to the primary, whatever becomes of it on the shadow.
   * @param writing those of its statements that write; undefined when it does not
   */
  sent(writing: readonly Statement[] | undefined, commits: boolean): void {
    const tables = writing === undefined ? NOTHING : this.#written(writing);
    this.#shared.activity.begin(tables);
    this.#own.push(tables);
    this.#committing ||= commits;
  }

  /** The primary has answered the oldest request that it had not. @param ended so has its transaction */
  answered(ended: boolean): void {
    this.#answered++;
    if (ended) this.#end(this.#answered);
  }

  /** The client is gone. */
  close(): void {
    this.#end(this.#own.length);
  }

  /** What a pair that is rehearsed carries with it. */
  rehearse(as: RehearsedAs, statements: readonly Statement[]): Rehearsal {
    const { tables, activity, limits } = this.#shared;
    const scope = union(this.#scope, tables.scopeOf(statements));
    this.#scope = scope;
    const sinceMs = this.#beganAtMs - limits().quietMs;
    return {
      as,
      sequences: tables.sequencesOf(statements),
      generated: tables.generatedBy(statements),
      isQuiet: () => activity.isQuiet(scope, sinceMs, this.#own),
      early: false,
      undone: false,
    };
  }

  /** Notes the sequences that it draws from. @param ready called when it may run, if not at once */
  enter(pair: Pair, ready: () => void): void {
    const { sequences = NOTHING } = pair.rehearsal ?? {};
    const noted = sequences.length === 0 ? undefined : this.#shared.sequences.enter(sequences);
    if (noted === undefined) return;
    pair.ready = false;
    void noted.then(() => {
      pair.ready = true;
      ready();
    });
  }

  /** It has been rolled back on the shadow, or never ran there. */
  undone(pair: Pair): void {
    const { rehearsal } = pair;
    if (rehearsal === undefined || rehearsal.undone) return;
    rehearsal.undone = true;
    const { sequences } = rehearsal;
    if (sequences.length > 0) this.#shared.sequences.leave(sequences, drawnBy(pair));
  }

  /** The shadow has answered. @param open its transaction is the one that is open now */
  shadowAnswered(pair: Pair, open: boolean): void {
    if (pair.rehearsal?.as !== "inside") return;
    pair.rehearsal.early = open && !this.#committing;
  }

  #written(writing: readonly Statement[]): readonly string[] {
    return writing.length === 0 ? [ANY_TABLE] : this.#shared.tables.writtenBy(writing);
  }

  #end(count: number): void {
    const nowMs = this.#clock.monotonicMs();
    for (const tables of this.#own.splice(0, count)) this.#shared.activity.end(tables, nowMs);
    this.#answered = 0;
  }
}

const NO_TABLES: Scope = new Set<string>();
const NOTHING: readonly string[] = [];

function union(a: Scope, b: Scope): Scope {
  if (a === "everything" || b === "everything") return "everything";
  return a.size === 0 ? b : new Set([...a, ...b]);
}
