import { WorkError } from "../../upstream/work-error.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import { quoteIdent, quoteTable, tableKey } from "../table-shape.ts";
import type { CastDoubt, MappingProblem } from "./program-plan.ts";

/** So many values of each doubtful column are tried. */
const SAMPLE = 20;

/** Tries on the target what the source holds, where the types' names do not tell. */
export async function probeCasts(
  source: WorkSession,
  target: WorkSession,
  doubts: readonly CastDoubt[],
): Promise<readonly MappingProblem[]> {
  const problems: MappingProblem[] = [];
  for (const doubt of doubts) {
    const problem = await probe(source, target, doubt);
    if (problem !== undefined) problems.push(problem);
  }
  return problems;
}

async function probe(
  source: WorkSession,
  target: WorkSession,
  { source: table, column, type }: CastDoubt,
): Promise<MappingProblem | undefined> {
  const name = quoteIdent(column);
  const { rows } = await source.query({
    sql: `SELECT ${name}::text FROM ${quoteTable(table)} WHERE ${name} IS NOT NULL LIMIT ${SAMPLE}`,
  });
  try {
    await target.query({
      // Read as a stored value is, with the type's modifier.
      sql: `SELECT CAST(v AS ${type})::text FROM pg_catalog.unnest($1::pg_catalog.text[]) AS v`,
      values: [arrayText(rows.map(([value]) => value ?? ""))],
    });
    return undefined;
  } catch (error) {
    if (!(error instanceof WorkError)) throw error;
    return {
      table: tableKey(table),
      message: `column "${column}" of ${tableKey(table)} cannot become ${type}: the target does not read what it holds (SQLSTATE ${error.sqlstate})`,
      cure: "change the type on the target, or drop the column from the mapping",
    };
  }
}

function arrayText(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`;
}
