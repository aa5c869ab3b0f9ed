import { quoteIdent, quoteTable, tableKey } from "../table-shape.ts";
import type { ColumnShape } from "../table-shape.ts";
import { bindProgram } from "./bound-program.ts";
import { fitOf } from "./column-fit.ts";
import { Findings } from "./program-plan.ts";
import type { CastDoubt, MappingProblem, ProgramPlan, SideFacts } from "./program-plan.ts";
import { keyOfProgram } from "./program-key.ts";
import type { ColumnStep, RowProgram, ValueFit } from "./row-program.ts";

export type CompiledProgram = {
  /** undefined exactly when there are problems. */
  readonly program: RowProgram | undefined;
  readonly problems: readonly MappingProblem[];
  readonly notes: readonly string[];
  readonly doubts: readonly CastDoubt[];
};

/** What is found out about one column. */
type Written = {
  readonly name: string;
  readonly step: ColumnStep;
  readonly fit: ValueFit | undefined;
};

/** Makes the program of one direction, or says why it cannot be. */
export function compileProgram(plan: ProgramPlan, facts: SideFacts): CompiledProgram {
  const found = new Findings(plan);
  const written = plan.target.columns.flatMap((column): Written[] => {
    const step = plan.steps.get(column.name);
    if (column.generated) return [];
    if (step === undefined) {
      checkUnwritten(plan, column, found);
      return [];
    }
    return [{ name: column.name, step, fit: fitOf(plan, column, step, facts, found) }];
  });
  const key = keyOfProgram(plan);
  if (key.kind === "none") found.problem(key.why, key.cure);
  else if (key.note !== undefined) found.notes.push(key.note);
  checkFilter(plan, found);
  const { problems, notes, doubts } = found;
  if (problems.length > 0 || key.kind === "none") {
    return { program: undefined, problems, notes, doubts };
  }
  const program: RowProgram = {
    source: plan.source,
    target: plan.target,
    columns: written.map(({ name, step }) => ({ name, step })),
    key: key.parts,
    isPlain: written.every(({ step, fit }) => step.kind === "copy" && fit?.isSilent !== true),
    filter: plan.filter,
    overridesIdentity: written.some(({ name }) =>
      plan.target.columns.some((column) => column.name === name && column.identity === "a"),
    ),
    emptied: plan.emptied,
    fits: written.map(({ fit }) => fit),
    bind: (relation) => bindProgram(program, relation),
  };
  return { program, problems, notes, doubts };
}

function checkUnwritten(plan: ProgramPlan, column: ColumnShape, found: Findings): void {
  if (column.nullable || column.hasDefault || column.identity !== "") return;
  const table = tableKey(plan.target);
  found.problem(
    `column "${column.name}" of ${table} must not be NULL, has no default, and nothing fills it`,
    `ALTER TABLE ${quoteTable(plan.target)} ALTER COLUMN ${quoteIdent(column.name)} DROP NOT NULL; or give it a default, or a value under constants`,
  );
}

/** A row that is changed or deleted is chosen by what the log says of it before. */
function checkFilter(plan: ProgramPlan, found: Findings): void {
  const { source } = plan;
  for (let filter = plan.filter; filter !== undefined; filter = filter.and) {
    const name = filter.source;
    if (source.identityKind === "full" || source.identity.includes(name)) continue;
    found.problem(
      `rows of ${tableKey(source)} are chosen by "${name}", which the log does not carry for rows before they are changed or deleted`,
      `ALTER TABLE ${quoteTable(source)} REPLICA IDENTITY FULL;`,
    );
  }
}
