import type { WorkError } from "../../upstream/work-error.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import type { RowFilter, RowProgram } from "../mapping/row-program.ts";
import { quoteIdent, quoteTable, tableKey } from "../table-shape.ts";
import { refusesRow } from "./apply-failure.ts";
import { ApplyIncident } from "./row-writer.ts";

/**
 * Empties tables as the source did. It names all tables that it truncated, so nothing cascades here; sequences are not
 * begun anew. Where the target holds other rows too, those of the source are deleted.
 * @throws ApplyIncident, WorkError
 */
export async function truncateTables(
  session: WorkSession,
  programs: readonly RowProgram[],
): Promise<void> {
  const whole = programs.filter(({ emptied = [] }) => emptied.length === 0);
  try {
    if (whole.length > 0) await session.execute(`TRUNCATE ${tableList(whole)}`);
    for (const { target, emptied = [] } of programs) {
      if (emptied.length === 0) continue;
      const { where, values } = conditions(emptied);
      await session.query({ sql: `DELETE FROM ${quoteTable(target)} WHERE ${where}`, values });
    }
  } catch (error) {
    throw refusesRow(error) ? refusal(programs, error) : error;
  }
}

function tableList(programs: readonly RowProgram[]): string {
  const names = programs.map(({ target }) =>
    target.kind === "p" ? quoteTable(target) : `ONLY ${quoteTable(target)}`,
  );
  return [...new Set(names)].join(", ");
}

function conditions(filters: readonly RowFilter[]): {
  readonly where: string;
  readonly values: readonly string[];
} {
  const values: string[] = [];
  const parts: string[] = [];
  for (const first of filters) {
    for (let filter: RowFilter | undefined = first; filter !== undefined; filter = filter.and) {
      const column = quoteIdent(filter.source);
      const texts = filter.oneOf.filter((value) => value !== null);
      const choices = texts.map((text) => {
        values.push(text);
        return `${column} = $${values.length}`;
      });
      if (texts.length < filter.oneOf.length) choices.push(`${column} IS NULL`);
      parts.push(choices.length === 0 ? "false" : `(${choices.join(" OR ")})`);
    }
  }
  return { where: parts.join(" AND "), values };
}

function refusal(programs: readonly RowProgram[], error: WorkError): ApplyIncident {
  const tables = programs.map(({ target }) => tableKey(target));
  return new ApplyIncident({
    message: `a TRUNCATE of ${tables.join(", ")} cannot be applied: ${error.message}`,
    table: tables[0] ?? "",
    operation: "truncate",
    key: {},
    sqlstate: error.sqlstate,
  });
}
