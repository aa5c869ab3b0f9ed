import type { Statement } from "../sql/statement.ts";

/** A prepared statement as the client made it. Parse and PREPARE share one name space. */
export type PreparedStatement = {
  /** Bytes of the name as Latin-1; empty for the unnamed statement. */
  readonly name: string;
  readonly origin:
    | { readonly kind: "parse"; readonly frame: Buffer }
    | { readonly kind: "sql"; readonly sql: string };
  /** None for an empty query string, else one. */
  readonly statements: readonly Statement[];
};

/** A change of the prepared statements that happens when the server confirms it. */
export type PreparedChange =
  | { readonly type: "parse"; readonly statement: PreparedStatement }
  | { readonly type: "close"; readonly name: string };

/**
 * The prepared statements of a session: as sent, which is what the next Bind will mean, and as
 * confirmed, which is what the server holds.
 */
export class PreparedStatements {
  readonly #sent = new Map<string, PreparedStatement>();
  readonly #confirmed = new Map<string, PreparedStatement>();

  /** What a Bind that is sent now refers to. */
  sent(name: string): PreparedStatement | undefined {
    return this.#sent.get(name);
  }

  confirmed(): Iterable<PreparedStatement> {
    return this.#confirmed.values();
  }

  send(change: PreparedChange): void {
    if (change.type === "close") this.#sent.delete(change.name);
    else this.#sent.set(change.statement.name, change.statement);
  }

  confirm(change: PreparedChange): void {
    if (change.type === "close") this.#confirmed.delete(change.name);
    else this.#confirmed.set(change.statement.name, change.statement);
  }

  /**
   * The server refused a change: what was sent is again what is confirmed, unless something was
   * sent under the same name meanwhile.
   */
  refuse(change: PreparedChange): void {
    const name = change.type === "close" ? change.name : change.statement.name;
    const wanted = change.type === "close" ? undefined : change.statement;
    if (this.#sent.get(name) !== wanted) return;
    const confirmed = this.#confirmed.get(name);
    if (confirmed === undefined) this.#sent.delete(name);
    else this.#sent.set(name, confirmed);
  }

  /** DEALLOCATE ALL and DISCARD ALL, which spare the unnamed statement's slot for nobody. */
  clear(): void {
    this.#sent.clear();
    this.#confirmed.clear();
  }
}
