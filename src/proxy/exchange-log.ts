import type { Pair } from "../mirror/pair.ts";
import type { PreparedChange, PreparedStatements } from "../routing/prepared-statements.ts";
import type { Request } from "../routing/request.ts";
import type { SessionState, TransactionalState } from "../routing/session-state.ts";
import { applyEffect, NEW_SESSION, settle } from "../routing/session-state.ts";
import type { SessionEffect, Statement } from "../sql/statement.ts";
import { Backend } from "../wire/postgres/message-types.ts";

/** A request on its way to the primary, and what has come back of its answer. */
export type Exchange = {
  readonly statements: readonly Statement[];
  readonly changes: readonly PreparedChange[];
  readonly obscure: boolean;
  readonly pair: Pair | undefined;
  readonly sentAtMs: number;
  /** Command tags of its statements, kept only where they change the session. */
  readonly tags: string[] | undefined;
  confirmed: number;
  failed: boolean;
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

type LogDeps = {
  readonly prepared: PreparedStatements;
  readonly copyBegan: () => void;
  readonly copyEnded: () => void;
  /** Settings or statements may have changed in a way the shadow did not see. */
  readonly forgotten: () => void;
  /** The statement that a PREPARE statement prepares. */
  readonly inner: (prepareSql: string) => readonly Statement[];
};

/** The exchanges under way on a session's primary, and what the answered ones made of the session. */
export class ExchangeLog {
  readonly #deps: LogDeps;
  readonly #open: Exchange[] = [];
  state: TransactionalState = NEW_SESSION;
  /** Transaction status of the last ReadyForQuery: I, T or E. */
  status = "I";
  /** A reply came that no request accounts for, or the reverse: exchanges cannot be paired. */
  confused = false;

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

  /** Whether a transaction will be open once everything sent so far is answered. */
  get transactionOpen(): boolean {
    for (let index = this.#open.length - 1; index >= 0; index--) {
      const verdict = leavesOpen(this.#open[index]?.statements ?? []);
      if (verdict !== undefined) return verdict;
    }
    return this.status !== "I";
  }

  send(request: Request, pair: Pair | undefined, nowMs: number): void {
    let tags: string[] | undefined;
    for (const statement of request.statements) if (statement.effects.length > 0) tags = [];
    const { statements, changes, obscure } = request;
    const exchange = { statements, changes, obscure, pair, sentAtMs: nowMs, tags };
    this.#open.push({ ...exchange, confirmed: 0, failed: false });
  }

  /** What is under way ends differently on the two sides, which says nothing. */
  cancelled(): void {
    // What dual writing repeats has been committed: nothing of it is to be cancelled on the shadow.
    for (const { pair } of this.#open) if (pair?.kind === "mirror") pair.cancelled = true;
  }

  /** Takes a backend frame. @returns the exchange that it completes. */
  take(type: number, bytes: Buffer, start: number, end: number): Answered | undefined {
    const exchange = this.#open[0];
    switch (type) {
      case Backend.ReadyForQuery:
        return this.#ready(String.fromCharCode(bytes[start + 5] ?? 0));
      case Backend.ErrorResponse:
        if (exchange !== undefined) exchange.failed = true;
        return undefined;
      case Backend.CommandComplete:
        exchange?.tags?.push(bytes.toString("latin1", start + 5, end - 1));
        return undefined;
      case Backend.EmptyQueryResponse:
      case Backend.PortalSuspended:
        exchange?.tags?.push("");
        return undefined;
      case Backend.ParseComplete:
      case Backend.CloseComplete:
        if (exchange !== undefined) this.#confirm(exchange, type);
        return undefined;
      case Backend.CopyInResponse:
        this.#deps.copyBegan();
        return undefined;
      default:
        return undefined;
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
    this.status = status;
    this.#deps.copyEnded();
    const exchange = this.#open.shift();
    if (exchange === undefined) {
      this.confused = true;
      return undefined;
    }
    if (exchange.obscure) this.confused = true;
    for (const change of exchange.changes.slice(exchange.confirmed)) {
      this.#deps.prepared.refuse(change);
    }
    const before = this.state;
    const { ended, committed } = this.#applyEffects(exchange);
    if (status !== "I") return { exchange, outcome: "open", committed, state: this.state.current };
    const rolledBack = ended === "rolled_back" || (ended === undefined && exchange.failed);
    if (rolledBack && ended === undefined && before.before === undefined) {
      // Several statements in one Query are one transaction, undone as a whole.
      this.state = { ...before, advisoryLocks: this.state.advisoryLocks };
    }
    this.state = settle(this.state, rolledBack);
    const outcome = rolledBack && !committed ? "rolled_back" : "committed";
    return { exchange, outcome, committed, state: this.state.current };
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
        this.#applyPrepared(actual);
        this.state = applyEffect(this.state, actual, statement.written);
      }
    });
    return { ended, committed };
  }

  #applyPrepared(effect: SessionEffect): void {
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
        statements: this.#deps.inner(effect.sql),
      };
      prepared.send({ type: "parse", statement: made });
      prepared.confirm({ type: "parse", statement: made });
    }
  }
}

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
