import type { PreparedChange, PreparedStatement } from "../routing/prepared-statements.ts";
import type { Statement } from "../sql/statement.ts";

/** What a batch does beyond so many steps, or with more text than that, is not followed. */
const MOST_STEPS = 100_000;
const MOST_PARSED_BYTES = 1 << 24;

const NO_CHANGES: readonly PreparedChange[] = [];
const NO_BOUND: readonly PreparedStatement[] = [];
const NO_STATEMENTS: readonly Statement[] = [];

/** What the frames of a request, as far as they have come, are about. */
export class RequestParts {
  /** Something in it was not understood, or is too much to follow. */
  obscure = false;
  /** Another's until there are more of them: most requests have the statements of one analysis. */
  #statements: readonly Statement[] = NO_STATEMENTS;
  #gathered: Statement[] | undefined;
  #changes: PreparedChange[] | undefined;
  #parsedBytes = 0;
  #endless = false;
  /** What `changes` prepares. */
  readonly #parsed = new Set<PreparedStatement>();
  #bound: PreparedStatement[] | undefined;

  get statements(): readonly Statement[] {
    return this.#statements;
  }

  get changes(): readonly PreparedChange[] {
    return this.#changes ?? NO_CHANGES;
  }

  /** Statements that it binds and that were prepared in earlier requests. */
  get bound(): readonly PreparedStatement[] {
    return this.#bound ?? NO_BOUND;
  }

  /** It has messages of the extended protocol. */
  get isBatch(): boolean {
    return this.#changes !== undefined || this.#bound !== undefined;
  }

  runs(statements: readonly Statement[]): void {
    if (this.#endless) return;
    if (this.#statements.length === 0) {
      this.#statements = statements;
      return;
    }
    if (this.#gathered === undefined) {
      this.#gathered = [...this.#statements];
      this.#statements = this.#gathered;
    }
    for (const statement of statements) {
      if (this.#fits(this.#gathered)) this.#gathered.push(statement);
    }
  }

  parses(statement: PreparedStatement, bytes: number): PreparedChange {
    const change = { type: "parse", statement } as const;
    this.#parsedBytes += bytes;
    if (this.#change(change)) this.#parsed.add(statement);
    return change;
  }

  closes(name: string): PreparedChange {
    const change = { type: "close", name } as const;
    this.#change(change);
    return change;
  }

  binds(statement: PreparedStatement | undefined): void {
    if (statement === undefined || this.#parsed.has(statement)) return;
    this.#bound ??= [];
    if (this.#fits(this.#bound)) this.#bound.push(statement);
  }

  reset(): void {
    this.obscure = false;
    this.#statements = NO_STATEMENTS;
    this.#gathered = undefined;
    if (this.#changes !== undefined) this.#parsed.clear();
    this.#changes = undefined;
    this.#parsedBytes = 0;
    this.#endless = false;
    this.#bound = undefined;
  }

  #change(change: PreparedChange): boolean {
    this.#changes ??= [];
    const fits = this.#fits(this.#changes);
    if (fits) this.#changes.push(change);
    return fits;
  }

  /** Once it is too much, nothing more of it is kept. */
  #fits(list: readonly unknown[]): boolean {
    this.#endless ||= list.length >= MOST_STEPS || this.#parsedBytes > MOST_PARSED_BYTES;
    if (this.#endless) this.obscure = true;
    return !this.#endless;
  }
}
