import type { Clock } from "../base/clock.ts";
import type { Mirroring, RehearsedAs } from "../routing/route.ts";
import type { TransactionControl } from "../routing/transaction-control.ts";
import type { Statement } from "../sql/statement.ts";
import { ANY_TABLE } from "./drifted-tables.ts";
import type { MigrationMirror, SessionStartup } from "./migration-mirror.ts";
import type { Pair, Rehearsal } from "./pair.ts";
import { drawnBy } from "./rehearsed-answer.ts";
import type { Rehearsals } from "./rehearsals.ts";
import type { RehearsalHooks } from "./standing-rehearsals.ts";
import type { FactsTable } from "./statement-facts.ts";
import type { Scope } from "./table-activity.ts";

type Shared = Pick<MigrationMirror, "rehearsals" | "clock" | "facts" | "policy">;

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
  readonly #facts: FactsTable;
  /** Nothing is rehearsed elsewhere, and then nothing is noted. */
  readonly #isOn: boolean;
  /** What each request writes that has been sent and whose transaction has not ended. */
  readonly #own: (readonly string[])[] = [];
  /** How many of them, from the first, have been answered. */
  #answered = 0;
  #scope: Scope = NO_TABLES;
  #beganAtMs = 0;
  #committing = false;

  constructor({ rehearsals, clock, facts, policy }: Shared) {
    this.#shared = rehearsals;
    this.#clock = clock;
    this.#facts = facts;
    this.#isOn = policy().writes === "rehearse";
  }

  /** Where the server itself gives up, should nobody else; beyond what Twinwire does in time. */
  serverLimits(timeoutMs: number): SessionStartup["limits"] {
    if (!this.#isOn) return [];
    const { lockTimeoutMs, holdMs } = this.#shared.limits();
    return [
      ["lock_timeout", String(lockTimeoutMs)],
      ["statement_timeout", String(timeoutMs)],
      ["idle_in_transaction_session_timeout", String(holdMs + HOLD_GRACE_MS)],
    ];
  }

  /** @param ended the transaction with this number was rolled back before its time */
  hooks(ended: (transaction: number) => void): RehearsalHooks {
    return {
      defers: () => this.#shared.tables.defers,
      holdMs: () => (this.#isOn ? this.#shared.limits().holdMs : undefined),
      undone: (pair) => this.undone(pair),
      ended,
    };
  }

  /** The next request begins a transaction. */
  begin(): void {
    this.#scope = NO_TABLES;
    this.#beganAtMs = this.#clock.monotonicMs();
    this.#committing = false;
  }

  /** A request is sent to the primary, whatever becomes of it on the shadow. */
  sent(statements: readonly Statement[], writes: boolean, commits: boolean): void {
    if (!this.#isOn) return;
    const writing = statements.filter((statement) => this.#facts.of(statement).writes);
    this.#sent(writes ? this.#written(writing) : NOTHING);
    this.#committing ||= commits;
  }

  /** One is sent of which nothing is known: it may write anything. */
  unread(): void {
    if (this.#isOn) this.#sent([ANY_TABLE]);
  }

  #sent(tables: readonly string[]): void {
    this.#shared.activity.begin(tables);
    this.#own.push(tables);
  }

  /** The primary has answered the oldest request that it had not. @param ended so has its transaction */
  answered(ended: boolean): void {
    if (!this.#isOn) return;
    this.#answered++;
    if (ended) this.#end(this.#answered);
  }

  /** The client is gone. */
  close(): void {
    this.#end(this.#own.length);
  }

  /** What a pair carries with it where writes are rehearsed. */
  prepare(pair: Pair, mirror: Mirroring, control: TransactionControl): void {
    if (!this.#isOn) return;
    if (mirror.kind === "rehearse") pair.rehearsal = this.#rehearse(mirror.as, pair.statements);
    const mayWrite = mirror.kind === "rehearse" || control === "begins";
    pair.access = mayWrite ? "read_write" : "read_only";
  }

  #rehearse(as: RehearsedAs, statements: readonly Statement[]): Rehearsal {
    const { tables, activity, limits } = this.#shared;
    const scope = union(this.#scope, tables.scopeOf(statements));
    this.#scope = scope;
    const beganAtMs = this.#beganAtMs;
    const sinceMs = beganAtMs - limits().quietMs;
    return {
      as,
      sequences: tables.sequencesOf(statements),
      generated: tables.generatedBy(statements),
      isQuiet: () => activity.isQuiet(scope, sinceMs, { writer: this, beganAtMs, own: this.#own }),
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
    for (const tables of this.#own.splice(0, count)) {
      this.#shared.activity.end(tables, nowMs, this);
    }
    this.#answered = 0;
  }
}

const HOLD_GRACE_MS = 500;
const NO_TABLES: Scope = new Set<string>();
const NOTHING: readonly string[] = [];

function union(a: Scope, b: Scope): Scope {
  if (a === "everything" || b === "everything") return "everything";
  return a.size === 0 ? b : new Set([...a, ...b]);
}
