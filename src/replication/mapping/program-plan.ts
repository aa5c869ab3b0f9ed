import { tableKey } from "../table-shape.ts";
import type { TableShape } from "../table-shape.ts";
import type { ColumnStep, RowFilter } from "./row-program.ts";
import type { TypeFacts } from "./type-facts.ts";

/** What is wrong with a table, as a sentence, and what to do about it: SQL or words. */
export type MappingProblem = {
  /** As `schema.name` in the source. */
  readonly table: string;
  readonly message: string;
  readonly cure: string;
};

/** Two types of which only a try can tell whether one reads the other. */
export type CastDoubt = {
  readonly source: TableShape;
  readonly column: string;
  /** As `format_type` prints it, in the target. */
  readonly type: string;
};

/** One direction of a table, before it is known whether it can be. */
export type ProgramPlan = {
  readonly source: TableShape;
  readonly target: TableShape;
  /** By the target's columns. */
  readonly steps: ReadonlyMap<string, ColumnStep>;
  readonly filter: RowFilter | undefined;
  readonly emptied: readonly RowFilter[];
  /** An enum's label that the target has not is a problem, even if no row holds it yet. */
  readonly isStrict: boolean;
};

export type SideFacts = {
  readonly source: TypeFacts | undefined;
  readonly target: TypeFacts | undefined;
};

/** What turns up while a program is made. */
export class Findings {
  readonly problems: MappingProblem[] = [];
  readonly notes: string[] = [];
  readonly doubts: CastDoubt[] = [];
  readonly #table: string;

  constructor(plan: ProgramPlan) {
    this.#table = tableKey(plan.source);
  }

  problem(message: string, cure: string): void {
    this.problems.push({ table: this.#table, message, cure });
  }
}
