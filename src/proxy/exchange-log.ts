import type { Pair } from "../mirror/pair.ts";
import type { PreparedChange, PreparedStatements } from "../routing/prepared-statements.ts";
import type { Request } from "../routing/request.ts";
import type { SessionState, TransactionalState } from "../routing/session-state.ts";
import { applyEffect, NEW_SESSION, settle } from "../routing/session-state.ts";
import type { SessionEffect, Statement } from "../sql/statement.ts";
import { Backend } from "../wire/postgres/message-types.ts";

/** A request on its way to the primary, and what has come back of its answer. */
export type Exchange = {
  readonly kind: Request["kind"];
  readonly bare: boolean;
  readonly closesCopy: boolean;
  readonly statements: readonly Statement[];
  readonly changes: readonly PreparedChange[];
  readonly obscure: boolean;
  readonly pair: Pair | undefined;
  readonly sentAtMs: number;
  /** Command tags of its statements, kept only where they change the session. */
  readonly tags: string[] | undefined;
  confirmed: number;
  failed: boolean;
  /** The server asked for a COPY's data. */
  copiesIn: boolean;
};

/** An exchange whose answer is complete. */
export type Answered = {
  readonly exchange: Exchange;
  readonly outcome: "committed" | "rolled_back" | "open";
  /** A transaction was committed, whether or not another one is open now. */
  readonly committed: boolean;
  /** What the session has become with it. */
  readonly state: SessionState;
};

/** How the last transaction ended that a statement of the exchange ended, and whether any committed. */
type TransactionEnds = {
  readonly ended: "committed" | "rolled_back" | undefined;
  readonly committed: boolean;
};

const NOTHING_ENDED: TransactionEnds = { ended: undefined, committed: false };

type LogDeps = {
  readonly prepared: PreparedStatements;
  readonly copyBegan: () => void;
  readonly copyEnded: () => void;
  /** Settings or statements may have changed in a way the shadow did not see. */
  readonly forgotten: () => void;
};

/** The exchanges under way on a session's primary, and what the answered ones made of the session. */
export class ExchangeLog {
  readonly #deps: LogDeps;
  readonly #open: Exchange[] = [];
  /** The last of them that begins or ends a transaction. */
  #telling: { readonly exchange: Exchange; readonly opens: boolean } | undefined;
  state: TransactionalState = NEW_SESSION;
  /** Transaction status of the last ReadyForQuery: I, T or E. */
  status = "I";
  /** Something was not understood: what the session has become is not certain. */
  confused = false;
  /** A reply came that no request accounts for: answers cannot be told apart any more. */
  unpaired = false;
  /** What has come since the last ReadyForQuery: something, or nothing. */
  #answering = false;
  /** Frames of an answer, called for by Flush, to a batch that is not complete. */
  #early: Buffer[] = [];
  #earlyBytes = 0;
  /** So many exchanges were taken for unanswered that may be answered after all. */
  #doubtful = 0;

  constructor(deps: LogDeps) {
    this.#deps = deps;
  }

  get head(): Exchange | undefined {
    return this.#open[0];
  }

  get idle(): boolean {
    return this.#open.length === 0 && this.status === "I";
  }

  get busy(): boolean {
    return this.#open.length > 0;
  }

  /** How many requests are not answered yet. */
  get unanswered(): number {
    return this.#open.length;
  }

  /** Whether a transaction will be open once everything sent so far is answered. */
  get transactionOpen(): boolean {
    return this.#telling?.opens ?? this.status !== "I";
  }

  send(request: Request, pair: Pair | undefined, nowMs: number): void {
    let tags: string[] | undefined;
    for (const statement of request.statements) if (statement.effects.length > 0) tags = [];
    // One literal, no spread: made for every exchange, it has to have one shape.
    const exchange: Exchange = {
      kind: request.kind,
      bare: request.bare,
      closesCopy: request.closesCopy,
      statements: request.statements,
      changes: request.changes,
      obscure: request.obscure,
      pair,
      sentAtMs: nowMs,
      tags,
      confirmed: 0,
      failed: false,
      copiesIn: false,
    };
    if (tags !== undefined) {
      const opens = leavesOpen(request.statements);
      if (opens !== undefined) this.#telling = { exchange, opens };
    }
    if (this.#open.length === 0 && !request.bare) this.#takeEarly(exchange);
    this.#open.push(exchange);
  }

  /** What is under way ends differently on the two sides, which says nothing. */
  cancelled(): void {
    for (const { pair } of this.#open) if (pair !== undefined) pair.cancelled = true;
  }

  /**
   * Takes a backend frame, asynchronous ones excepted; every answer but that to a Sync alone has
   * at least one before ReadyForQuery.
   * @returns the exchange that it completes.
   */
  take(type: number, bytes: Buffer, start: number, end: number): Answered | undefined {
    if (type === Backend.ReadyForQuery)
      return this.#ready(String.fromCharCode(bytes[start + 5] ?? 0));
    this.#answering = true;
    if (type === Backend.CopyInResponse) this.#deps.copyBegan();
    // The server skips a Sync within a COPY, and the Query of a batch that failed.
    while (this.#open[0]?.bare === true) this.#open.shift();
    const exchange = this.#open[0];
    if (exchange === undefined) this.#keepEarly(type, bytes, start, end);
    else this.#note(exchange, bytes, start, end);
    return undefined;
  }

  #keepEarly(type: number, bytes: Buffer, start: number, end: number): void {
    const upTo = type === Backend.CommandComplete ? end : start + 1;
    this.#earlyBytes += upTo - start;
    if (this.#earlyBytes > MAX_EARLY_BYTES) this.confused = true;
    else this.#early.push(Buffer.from(bytes.subarray(start, upTo)));
  }

  #takeEarly(exchange: Exchange): void {
    if (this.#earlyBytes === 0) return;
    for (const frame of this.#early) this.#note(exchange, frame, 0, frame.length);
    this.#early = [];
    this.#earlyBytes = 0;
  }

  #note(exchange: Exchange, bytes: Buffer, start: number, end: number): void {
    const type = bytes[start] as number;
    switch (type) {
      case Backend.ErrorResponse:
        exchange.failed = true;
        return;
      case Backend.CommandComplete:
        exchange.tags?.push(bytes.toString("latin1", start + 5, end - 1));
        return;
      case Backend.EmptyQueryResponse:
      case Backend.PortalSuspended:
        exchange.tags?.push("");
        return;
      case Backend.ParseComplete:
      case Backend.CloseComplete:
        this.#confirm(exchange, type);
        return;
      case Backend.CopyInResponse:
        exchange.copiesIn = true;
    }
  }

  /** Close of a portal is confirmed by the same message as that of a statement. */
  #confirm(exchange: Exchange, type: number): void {
    const change = exchange.changes[exchange.confirmed];
    if (change === undefined) return;
    if ((change.type === "parse") !== (type === Backend.ParseComplete)) return;
    exchange.confirmed++;
    this.#deps.prepared.confirm(change);
  }

  #ready(status: string): Answered | undefined {
    const answering = this.#answering;
    this.#answering = false;
    this.status = status;
    this.#deps.copyEnded();
    const exchange = this.#open[0];
    if (exchange === undefined || (!answering && !exchange.bare)) {
      if (this.#doubtful > 0) this.#doubtful--;
      else this.unpaired = this.confused = true;
      return undefined;
    }
    this.#open.shift();
    if (this.#telling?.exchange === exchange) this.#telling = undefined;
    this.#dropSkipped(exchange);
    return this.#settled(exchange);
  }

  /** What the session has become with an exchange. */
  #settled(exchange: Exchange): Answered {
    if (exchange.obscure) this.confused = true;
    const { changes } = exchange;
    for (let index = exchange.confirmed; index < changes.length; index++) {
      this.#deps.prepared.refuse(changes[index] as PreparedChange);
    }
    const before = this.state;
    const { ended, committed } =
      exchange.tags === undefined ? NOTHING_ENDED : this.#applyEffects(exchange);
    if (this.status !== "I") {
      return { exchange, outcome: "open", committed, state: this.state.current };
    }
    const rolledBack = ended === "rolled_back" || (ended === undefined && exchange.failed);
    if (rolledBack && ended === undefined && before.before === undefined) {
      // Several statements in one Query are one transaction, undone as a whole.
      this.state = { ...before, advisoryLocks: this.state.advisoryLocks };
    }
    this.state = settle(this.state, rolledBack);
    const outcome = rolledBack && !committed ? "rolled_back" : "committed";
    return { exchange, outcome, committed, state: this.state.current };
  }

  /**
   * Within a COPY the server skips Sync, so a client of the extended protocol sends another one
   * after CopyDone; after an error in a batch it skips all up to Sync. Where an error leaves open
   * which Sync was answered, the other's answer, with nothing before it, is passed over.
   * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
   */
  #dropSkipped({ kind, copiesIn, closesCopy, obscure, failed }: Exchange): void {
    const inCopy = copiesIn && !closesCopy;
    if (!inCopy && !(obscure && failed)) return;
    while (this.#open[0]?.bare === true) {
      const closes = this.#open[0].closesCopy;
      // The COPY of a Query ends with CopyDone: a Sync after it is answered.
      if (closes && kind === "query" && inCopy) return;
      this.#open.shift();
      if (failed) this.#doubtful++;
      if (closes || !inCopy) return;
    }
  }

  #applyEffects({ statements, tags }: Exchange): TransactionEnds {
    let ended: TransactionEnds["ended"];
    let committed = false;
    statements.forEach((statement, index) => {
      const tag = tags?.[index];
      if (tag === undefined) return;
      for (const effect of statement.effects) {
        const actual = actualEffect(effect, tag);
        if (actual.type === "commit") ended = "committed";
        if (actual.type === "rollback") ended = "rolled_back";
        committed ||= ended === "committed";
        this.#applyPrepared(actual, statement);
        this.state = applyEffect(this.state, actual, statement.written);
      }
    });
    return { ended, committed };
  }

  #applyPrepared(effect: SessionEffect, { body }: Statement): void {
    const { prepared } = this.#deps;
    if (effect.type === "deallocate" && effect.name !== undefined) {
      prepared.confirm({ type: "close", name: effect.name });
      prepared.refuse({ type: "close", name: effect.name });
      this.#deps.forgotten();
    } else if (
      effect.type === "deallocate" ||
      (effect.type === "discard" && effect.target === "all")
    ) {
      prepared.clear();
      this.#deps.forgotten();
    } else if (effect.type === "prepare") {
      const made = {
        name: effect.name,
        origin: { kind: "sql", sql: effect.sql } as const,
        statements: body === undefined ? [] : [body],
      };
      prepared.send({ type: "parse", statement: made });
      prepared.confirm({ type: "parse", statement: made });
    }
  }
}

/** Early answers beyond are not worth their memory. */
const MAX_EARLY_BYTES = 1 << 20;

/** COMMIT of a failed transaction is answered ROLLBACK, and is one. */
function actualEffect(effect: SessionEffect, tag: string): SessionEffect {
  if (effect.type === "commit" && tag === "ROLLBACK") {
    return { type: "rollback", chain: effect.chain };
  }
  return effect;
}

/** Whether a transaction is open after these statements; undefined when they do not say. */
function leavesOpen(statements: readonly Statement[]): boolean | undefined {
  let open: boolean | undefined;
  for (const statement of statements) {
    for (const effect of statement.effects) {
      if (effect.type === "begin") open = true;
      if (effect.type === "commit" || effect.type === "rollback") open = effect.chain;
      if (effect.type === "prepare_transaction") open = false;
    }
  }
  return open;
}
