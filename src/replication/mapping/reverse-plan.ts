import { quoteIdent, quoteTable, tableKey } from "../table-shape.ts";
import type { ColumnShape } from "../table-shape.ts";
import { Findings } from "./program-plan.ts";
import type { MappingProblem, ProgramPlan } from "./program-plan.ts";
import type { ColumnStep, RowFilter, RowProgram } from "./row-program.ts";

export type ReversePlan = {
  readonly plan: ProgramPlan;
  readonly problems: readonly MappingProblem[];
  readonly notes: readonly string[];
};

const BACK = {
  boolean_to_integer: "integer_to_boolean",
  integer_to_boolean: "boolean_to_integer",
} as const;

/**
 * What undoes a program. A column that did not travel is left alone by UPDATE and takes its default on INSERT; rows that
 * another source brought, which a constant within the key tells, stay where they are.
 */
export function reversePlan(forward: ProgramPlan, program: RowProgram): ReversePlan {
  const steps = new Map<string, ColumnStep>();
  const { filter } = forward;
  const plan: ProgramPlan = {
    source: forward.target,
    target: forward.source,
    steps,
    filter: constantsOfKey(program),
    // The old table holds rows that never travelled.
    emptied: filter === undefined ? [] : [filter],
    isStrict: false,
  };
  const found = new Findings(plan);
  for (const column of forward.source.columns) {
    const step = stepBack(forward, column, found);
    if (step !== undefined) steps.set(column.name, step);
  }
  checkFilterBack(plan, filter, found);
  found.notes.push(...onlyThere(forward));
  return { plan, problems: found.problems, notes: found.notes };
}

function stepBack(
  forward: ProgramPlan,
  column: ColumnShape,
  found: Findings,
): ColumnStep | undefined {
  const there = [...forward.steps].find(
    ([, step]) => step.kind !== "constant" && step.source === column.name,
  );
  if (there === undefined) {
    const { filter } = forward;
    const [only, ...others] = filter?.source === column.name ? filter.oneOf : [];
    return only === undefined || others.length > 0 ? undefined : { kind: "constant", value: only };
  }
  const [name, step] = there;
  const target = forward.target.columns.find((each) => each.name === name);
  if (target?.generated === true && !column.generated) {
    found.problem(
      `"${name}" is computed by ${tableKey(forward.target)}, and the log does not carry it for "${column.name}"`,
      `compute "${column.name}" of ${tableKey(forward.source)} as well`,
    );
    return undefined;
  }
  return step.kind === "convert"
    ? { kind: "convert", source: name, with: BACK[step.with] }
    : { kind: "copy", source: name };
}

/** Rows of the target that are this source's. */
function constantsOfKey(program: RowProgram): RowFilter | undefined {
  return program.key
    .filter(({ constant }) => constant !== undefined)
    .reduce<RowFilter | undefined>(
      (and, { target, constant }) => ({ source: target, oneOf: [constant ?? null], and }),
      undefined,
    );
}

/** A row that comes back must be one of those that travel, or the next change of it would be lost. */
function checkFilterBack(plan: ProgramPlan, filter: RowFilter | undefined, found: Findings): void {
  if (filter === undefined || plan.steps.has(filter.source)) return;
  found.problem(
    `rows of ${tableKey(plan.target)} are chosen by "${filter.source}", which ${tableKey(plan.source)} does not have`,
    `ALTER TABLE ${quoteTable(plan.source)} ADD COLUMN ${quoteIdent(filter.source)}`,
  );
}

/** What is written there into columns that the old table does not have is not there after a way back. */
function onlyThere({ source, target, steps }: ProgramPlan): string[] {
  const names = target.columns
    .filter(({ name, generated }) => !steps.has(name) && !generated)
    .map(({ name }) => `"${name}"`);
  if (names.length === 0) return [];
  return [
    `${names.join(", ")} of ${tableKey(target)} ${names.length === 1 ? "has" : "have"} no column in ${tableKey(source)}: values do not come back`,
  ];
}
