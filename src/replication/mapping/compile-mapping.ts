import { quoteIdent, quoteTable, tableKey } from "../table-shape.ts";
import type { TableShape } from "../table-shape.ts";
import { compileProgram } from "./compile-program.ts";
import type { MappedTable, MappingInput } from "./mapping-input.ts";
import { entryOf, targetNameOf } from "./mapping-input.ts";
import { Findings } from "./program-plan.ts";
import type { CastDoubt, MappingProblem, ProgramPlan, SideFacts } from "./program-plan.ts";
import { reversePlan } from "./reverse-plan.ts";
import type { ColumnStep, RowFilter, TableMapping } from "./row-program.ts";

export type CompiledMapping = {
  /** Those without problems, in the order of the source's shapes. */
  readonly tables: readonly TableMapping[];
  /** Each has to be cured before anything is moved. */
  readonly problems: readonly MappingProblem[];
  /** What is worth knowing and stops nothing. */
  readonly notes: readonly { readonly table: string; readonly note: string }[];
  /** What only a try can tell, forward; `probeCasts` makes problems of it. */
  readonly doubts: readonly CastDoubt[];
};

/**
 * What becomes of each table, and how it comes back.
 * @param sources the tables that travel
 * @param targets those of the other side that are there; others may be among them
 * @param facts without them types are known by their names only
 */
export function compileMapping(
  input: MappingInput,
  sources: readonly TableShape[],
  targets: readonly TableShape[],
  facts: SideFacts = { source: undefined, target: undefined },
): CompiledMapping {
  const byName = new Map(targets.map((target) => [tableKey(target), target] as const));
  const tables: TableMapping[] = [];
  const problems = [...strayEntries(input, sources), ...merged(input, sources)];
  const notes: { table: string; note: string }[] = [];
  const doubts: CastDoubt[] = [];
  for (const source of sources) {
    const name = targetNameOf(input, source);
    const target = byName.get(tableKey(name));
    if (target === undefined) {
      problems.push(noTarget(source, tableKey(name)));
      continue;
    }
    const compiled = compileTable(entryOf(input, source), source, target, facts);
    problems.push(...compiled.problems);
    notes.push(...compiled.notes.map((note) => ({ table: tableKey(source), note })));
    doubts.push(...compiled.doubts);
    if (compiled.mapping !== undefined) tables.push(compiled.mapping);
  }
  return { tables, problems, notes, doubts };
}

type CompiledTable = {
  readonly mapping: TableMapping | undefined;
  readonly problems: readonly MappingProblem[];
  readonly notes: readonly string[];
  readonly doubts: readonly CastDoubt[];
};

function compileTable(
  entry: MappedTable | undefined,
  source: TableShape,
  target: TableShape,
  facts: SideFacts,
): CompiledTable {
  const { plan, problems } = forwardPlan(entry, source, target);
  const forward = compileProgram(plan, facts);
  const all = [...problems, ...forward.problems];
  if (all.length > 0 || forward.program === undefined) {
    return { mapping: undefined, problems: all, notes: [], doubts: forward.doubts };
  }
  const back = reversePlan(plan, forward.program);
  const reverse = compileProgram(back.plan, { source: facts.target, target: facts.source });
  const reasons = [...back.problems, ...reverse.problems].map(({ message }) => message);
  // The way back is never tried on values that nobody has written yet.
  reasons.push(
    ...reverse.doubts.map(
      ({ column, type }) => `nothing tells whether ${type} reads what "${column}" holds`,
    ),
  );
  const isBack = reasons.length === 0;
  return {
    mapping: {
      source: { schema: source.schema, name: source.name },
      target: { schema: target.schema, name: target.name },
      forward: forward.program,
      reverse: isBack ? reverse.program : undefined,
      whyNoInverse: isBack
        ? undefined
        : `${tableKey(target)} has no way back to ${tableKey(source)}: ${reasons.join("; ")}`,
    },
    problems: [],
    notes: [...forward.notes, ...(isBack ? [...back.notes, ...reverse.notes] : [])],
    doubts: forward.doubts,
  };
}

function forwardPlan(
  entry: MappedTable | undefined,
  source: TableShape,
  target: TableShape,
): { readonly plan: ProgramPlan; readonly problems: readonly MappingProblem[] } {
  const steps = new Map<string, ColumnStep>();
  const filter = filterOf(entry);
  const constants = Object.entries(entry?.constants ?? {});
  const plan: ProgramPlan = {
    source,
    target,
    steps,
    filter,
    // Rows with other constants came from elsewhere.
    emptied: constants.map(([name, value]) => ({ source: name, oneOf: [value] })),
    isStrict: true,
  };
  const found = new Findings(plan);
  if (source.persistence === "u") {
    const what = `${tableKey(source)} is unlogged: no log carries its rows`;
    found.problem(what, `ALTER TABLE ${quoteTable(source)} SET LOGGED;`);
  }
  for (const column of source.columns) {
    const to = entry?.columns[column.name];
    if (to === null) continue;
    const name = to ?? column.name;
    if (Object.hasOwn(entry?.constants ?? {}, name)) {
      found.problem(
        `column "${column.name}" of ${tableKey(source)} would become "${name}" of ${tableKey(target)}, which is a constant`,
        `columns: { ${column.name}: null } leaves it behind`,
      );
    } else if (target.columns.some((each) => each.name === name)) {
      const convert = entry?.convert[column.name];
      steps.set(
        name,
        convert === undefined
          ? { kind: "copy", source: column.name }
          : { kind: "convert", source: column.name, with: convert },
      );
    } else {
      found.problem(
        `${tableKey(target)} has no column "${name}" for "${column.name}" of ${tableKey(source)}`,
        `ALTER TABLE ${quoteTable(target)} ADD COLUMN ${quoteIdent(name)} ${column.type}; or columns: { ${column.name}: null } leaves it behind`,
      );
    }
  }
  for (const [name, value] of constants) addConstant(plan, steps, { name, value }, found);
  checkNames(entry, source, found);
  return { plan, problems: found.problems };
}

function addConstant(
  { target }: ProgramPlan,
  steps: Map<string, ColumnStep>,
  { name, value }: { readonly name: string; readonly value: string | null },
  found: Findings,
): void {
  const column = target.columns.find((each) => each.name === name);
  if (column !== undefined && !column.generated) {
    if (!steps.has(name)) steps.set(name, { kind: "constant", value });
    return;
  }
  const what = column === undefined ? `has no column "${name}"` : `computes "${name}" itself`;
  found.problem(`${tableKey(target)} ${what}, which is to be a constant`, "mend constants");
}

function filterOf(entry: MappedTable | undefined): RowFilter | undefined {
  const where = entry?.where;
  return where === undefined ? undefined : { source: where.column, oneOf: where.in };
}

/** Names in the mapping that the source does not have. */
function checkNames(entry: MappedTable | undefined, source: TableShape, found: Findings): void {
  if (entry === undefined) return;
  const known = new Set(source.columns.map(({ name }) => name));
  const named = [
    ...Object.keys(entry.columns).map((name) => ["columns", name] as const),
    ...Object.keys(entry.convert).map((name) => ["convert", name] as const),
    ...(entry.where === undefined ? [] : [["where", entry.where.column] as const]),
  ];
  for (const [key, name] of named) {
    if (known.has(name)) continue;
    found.problem(`${tableKey(source)} has no column "${name}"`, `mend ${key} in its mapping`);
  }
}

function noTarget(source: TableShape, name: string): MappingProblem {
  return {
    table: tableKey(source),
    message: `the target has no table ${name} for ${tableKey(source)}`,
    cure: "copy the schema first, or name the table that it becomes under mapping",
  };
}

function strayEntries(input: MappingInput, sources: readonly TableShape[]): MappingProblem[] {
  const known = new Set(sources.map(tableKey));
  return input.tables
    .filter(({ table }) => !known.has(tableKey(table)))
    .map(({ table }) => ({
      table: tableKey(table),
      message: `${tableKey(table)} is mapped and is not among the tables that travel`,
      cure: "mend its name, or choose it under tables",
    }));
}

/** Rows of two tables cannot be told apart in one. */
function merged(input: MappingInput, sources: readonly TableShape[]): MappingProblem[] {
  const first = new Map<string, string>();
  return sources.flatMap((source) => {
    const target = tableKey(targetNameOf(input, source));
    const other = first.get(target);
    first.set(target, other ?? tableKey(source));
    if (other === undefined) return [];
    return [
      {
        table: tableKey(source),
        message: `${tableKey(source)} and ${other} would both become ${target}`,
        cure: "give one of them another name under mapping, or leave it out of tables",
      },
    ];
  });
}
