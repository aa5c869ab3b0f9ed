import type { PreparedStatement } from "../routing/prepared-statements.ts";
import { REHEARSAL_LIMITS } from "../routing/rehearsal-obstacle.ts";
import { ownStatementMessage } from "../wire/postgres/frontend-messages.ts";
import type { Preparation } from "./bring-in-step.ts";
import { preparedInStep, settingsInStep } from "./bring-in-step.ts";
import type { Pair } from "./pair.ts";

export const ROLLBACK: Buffer = ownStatementMessage("ROLLBACK");
const BEGIN = ownStatementMessage("BEGIN");
const ACCESS = {
  read_only: ownStatementMessage("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"),
  read_write: ownStatementMessage("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"),
} as const;

const NONE_KEPT: ReadonlySet<string> = new Set();
/** Settings that are Twinwire's where writes are rehearsed. */
const OUR_OWN: ReadonlySet<string> = new Set([
  ...REHEARSAL_LIMITS,
  "default_transaction_read_only",
]);

/** What one shadow session has become, as far as known, and what it needs before an exchange can run. */
export class ShadowState {
  /** The version of the client's settings that the session has; undefined when not known. */
  #version: number | undefined;
  /** What transactions may do by default; undefined when not known. */
  #access: Pair["access"];
  readonly #prepared = new Map<string, PreparedStatement>();

  get version(): number | undefined {
    return this.#version;
  }

  /** A new connection. */
  forget(): void {
    this.#prepared.clear();
    this.forgetSettings();
  }

  forgetSettings(): void {
    this.#version = undefined;
    this.#access = undefined;
  }

  /** Statements that a DISCARD or DEALLOCATE removed, or that may not have been made. */
  forgetPrepared(): void {
    this.#prepared.clear();
  }

  /** Neither settings that nobody knows, nor statements in a transaction that has failed. */
  canPrepare(pair: Pair, status: string): boolean {
    if (pair.begins) return pair.before?.unclear.size === 0 || pair.version === this.#version;
    // What was to be rolled back with its transaction must not run without one.
    if (pair.access !== undefined && status === "I") return false;
    return status !== "E" || pair.bound.every((statement) => this.#has(statement));
  }

  /** Nothing is to be sent before a pair that begins its transaction. */
  isReadyFor(pair: Pair, status: string): boolean {
    if (status !== "I" || pair.before === undefined || pair.version !== this.#version) return false;
    return pair.bound.every((statement) => this.#has(statement));
  }

  /** What is to be sent before the pair, which is then taken for done. @param status of the transaction */
  prepare(pair: Pair, status: string): Preparation {
    const steps: Preparation[] = [];
    if (pair.begins) {
      if (status !== "I") steps.push({ frames: [ROLLBACK], answers: 1 });
      steps.push(...this.#settingsOf(pair));
    }
    for (const statement of pair.rehearsal?.as === "commit" ? [] : pair.bound) {
      if (this.#has(statement)) continue;
      steps.push(preparedInStep(statement));
      this.#prepared.set(statement.name, statement);
    }
    if (pair.rehearsal?.as === "alone") steps.push({ frames: [BEGIN], answers: 1 });
    return {
      frames: steps.flatMap(({ frames }) => frames),
      answers: steps.reduce((sum, { answers }) => sum + answers, 0),
    };
  }

  /** The pair has run: what it prepared is there, unless it failed, in which case nobody executes it. */
  ran(pair: Pair): void {
    if (changesAccess(pair)) this.#access = undefined;
    // Nothing of what came with a COMMIT was sent.
    const wasSent = pair.rehearsal?.as !== "commit";
    for (const change of pair.changes) {
      if (change.type === "close") this.#prepared.delete(change.name);
      else if (wasSent) this.#prepared.set(change.statement.name, change.statement);
      else this.#prepared.delete(change.statement.name);
    }
  }

  #has(statement: PreparedStatement): boolean {
    return this.#prepared.get(statement.name) === statement;
  }

  #settingsOf({ before, version, access }: Pair): readonly Preparation[] {
    const steps: Preparation[] = [];
    if (before !== undefined && version !== this.#version) {
      steps.push(settingsInStep(before, access === undefined ? NONE_KEPT : OUR_OWN));
      this.#version = version;
      this.#access = undefined;
      // A simple Query takes the unnamed statement away.
      this.#prepared.delete("");
    }
    if (access !== undefined && access !== this.#access) {
      steps.push({ frames: [ACCESS[access]], answers: 1 });
      this.#access = access;
    }
    return steps;
  }
}

function changesAccess({ access, statements }: Pair): boolean {
  if (access === undefined) return false;
  return statements.some(({ effects }) =>
    effects.some(
      (effect) =>
        effect.type === "reset_all" ||
        effect.type === "discard" ||
        ("name" in effect && effect.name === "default_transaction_read_only"),
    ),
  );
}
