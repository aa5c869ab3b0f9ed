import { quoteLiteral, tableKey } from "../table-shape.ts";
import type { ColumnShape } from "../table-shape.ts";
import { castOf } from "./cast.ts";
import type { Findings, ProgramPlan, SideFacts } from "./program-plan.ts";
import type { ColumnStep, ValueFit } from "./row-program.ts";
import { factOfColumn } from "./type-facts.ts";

/** What the target's column can hold of what comes, where that is not everything. */
export function fitOf(
  plan: ProgramPlan,
  column: ColumnShape,
  step: ColumnStep,
  facts: SideFacts,
  found: Findings,
): ValueFit | undefined {
  if (step.kind === "constant") {
    if (step.value !== null || column.nullable) return undefined;
    const what = `column "${column.name}" of ${tableKey(plan.target)} must not be NULL, and its constant is`;
    found.problem(what, "give another value under constants");
    return undefined;
  }
  const source = plan.source.columns.find(({ name }) => name === step.source);
  if (source === undefined) return undefined;
  if (source.generated) {
    const what = `column "${source.name}" of ${tableKey(plan.source)} is computed there, and the log does not carry it`;
    found.problem(
      what,
      `compute "${column.name}" of ${tableKey(plan.target)} as well, or drop the column from the mapping`,
    );
    return undefined;
  }
  const nulls = nullFit(source, column);
  const values =
    step.kind === "convert"
      ? convertFit(plan, source, column, step, found)
      : castFit(plan, source, column, facts, found);
  return both(values, nulls);
}

/** What is NULL where it must not be is refused by the database. */
function nullFit(source: ColumnShape, target: ColumnShape): boolean {
  return source.nullable && !target.nullable;
}

/** NULL is no value: a fit of values says nothing of it, so it is told by its words alone. */
function both(values: ValueFit | undefined, refusesNull: boolean): ValueFit | undefined {
  if (!refusesNull) return values;
  if (values === undefined) return NOT_NULL;
  const misfit = values.misfit;
  return {
    ...values,
    words: `${values.words}, or NULL`,
    misfit: (column, serverVersion) => {
      const more = misfit?.(column, serverVersion);
      return more === undefined ? `${column} IS NULL` : `${column} IS NULL OR (${more})`;
    },
  };
}

const NOT_NULL: ValueFit = {
  words: "NULL",
  isSilent: false,
  test: undefined,
  misfit: (column) => `${column} IS NULL`,
};

function castFit(
  plan: ProgramPlan,
  source: ColumnShape,
  target: ColumnShape,
  facts: SideFacts,
  found: Findings,
): ValueFit | undefined {
  const from = factOfColumn(facts.source, source);
  const to = factOfColumn(facts.target, target);
  const cast = castOf(from, to);
  const where = `column "${source.name}" of ${tableKey(plan.source)}`;
  switch (cast.kind) {
    case "fits":
      if (cast.note !== undefined)
        found.notes.push(`${where} becomes ${target.type}: ${cast.note}`);
      return undefined;
    case "some":
      if (cast.note !== undefined)
        found.notes.push(`${where} becomes ${target.type}: ${cast.note}`);
      checkLabels(plan, { source, from, to }, found);
      return cast.fit;
    case "never":
      found.problem(
        `${where} cannot become "${target.name}" of ${tableKey(plan.target)}: ${cast.why}`,
        cast.cure ??
          `change the type of "${target.name}" in ${tableKey(plan.target)} to ${source.type}, or drop the column from the mapping`,
      );
      return undefined;
    case "unknown":
      found.doubts.push({ source: plan.source, column: source.name, type: target.type });
      return undefined;
  }
}

type Pair = {
  readonly source: ColumnShape;
  readonly from: { readonly labels?: readonly string[] | undefined };
  readonly to: { readonly labels?: readonly string[] | undefined; readonly typeName: string };
};

/** An enum's label that is not there will be wanted some day. */
function checkLabels(plan: ProgramPlan, { source, from, to }: Pair, found: Findings): void {
  if (from.labels === undefined || to.labels === undefined) return;
  const missing = from.labels.filter((label) => !to.labels?.includes(label));
  if (missing.length === 0) return;
  const sql = missing.map((label) => `ALTER TYPE ${to.typeName} ADD VALUE ${quoteLiteral(label)};`);
  const labels = missing.map((label) => `'${label}'`).join(", ");
  const message = `column "${source.name}" of ${tableKey(plan.source)} may hold ${labels}, which ${to.typeName} has not`;
  if (plan.isStrict) found.problem(message, sql.join(" "));
  else found.notes.push(message);
}

function convertFit(
  plan: ProgramPlan,
  source: ColumnShape,
  target: ColumnShape,
  step: Extract<ColumnStep, { kind: "convert" }>,
  found: Findings,
): ValueFit | undefined {
  const [from, to] =
    step.with === "boolean_to_integer"
      ? [isBoolean(source), isInteger(target)]
      : [isInteger(source), isBoolean(target)];
  if (!from || !to) {
    const what = `${step.with} cannot make "${target.name}" (${target.type}) of ${tableKey(plan.target)} from "${source.name}" (${source.type})`;
    found.problem(what, "take convert away, or change the type");
    return undefined;
  }
  return step.with === "boolean_to_integer" ? undefined : ZERO_OR_ONE;
}

const ZERO_OR_ONE: ValueFit = {
  words: "that are neither 0 nor 1",
  isSilent: true,
  test: (value) => value.length === 1 && (value[0] === 0x30 || value[0] === 0x31),
  misfit: (column) => `${column} NOT IN (0, 1)`,
};

function isBoolean({ typeName }: ColumnShape): boolean {
  return typeName === "boolean";
}

function isInteger({ typeName }: ColumnShape): boolean {
  return /^(smallint|integer|bigint|numeric)$/.test(typeName);
}
