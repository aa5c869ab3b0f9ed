import { WorkError } from "../../upstream/work-error.ts";
import { tableKey } from "../table-shape.ts";
import { ApplyIncident } from "./row-writer.ts";
import type { RowChange } from "./row-writer.ts";
import { UNCHANGED } from "../source/source-transaction.ts";

/**
 * Classes of SQLSTATE that say nothing about the row: lost or refused connections, wrong state of the transaction,
 * deadlocks and serialization failures, resources, operator intervention, system and internal errors.
 */
const NOT_THE_ROW = ["08", "25", "26", "40", "53", "57", "58", "XX", "3B"];
const LOCK_NOT_AVAILABLE = "55P03";

/** The target refused a row for what it is, and will again. */
export function refusesRow(error: unknown): error is WorkError {
  if (!(error instanceof WorkError)) return false;
  const { sqlstate } = error;
  return sqlstate !== LOCK_NOT_AVAILABLE && !NOT_THE_ROW.includes(sqlstate.slice(0, 2));
}

/** The same transaction may succeed from the start: another try from the last committed position is right. */
export function mayPass(error: unknown): boolean {
  if (!(error instanceof WorkError)) return false;
  const { sqlstate } = error;
  return ["40", "53", "57"].includes(sqlstate.slice(0, 2)) || sqlstate === LOCK_NOT_AVAILABLE;
}

/** @param found rows that the statement changed; undefined when it was refused with `error` */
export function incidentOf(
  change: RowChange,
  found: number | undefined,
  error?: WorkError,
): ApplyIncident {
  const table = tableKey(change.program.target);
  const why =
    error === undefined
      ? `${found} rows instead of one have its key`
      : `SQLSTATE ${error.sqlstate}${error.constraint === undefined ? "" : `, constraint "${error.constraint}"`}${error.column === undefined ? "" : `, column "${error.column}"`}`;
  return new ApplyIncident({
    message: `${article(change.kind)} of a row of ${table} cannot be applied: ${why}`,
    table,
    operation: change.kind,
    key: keyOf(change),
    sqlstate: error?.sqlstate,
  });
}

function article(kind: RowChange["kind"]): string {
  return kind === "delete" ? "a delete" : `an ${kind}`;
}

/** Of a table without a key: what all its columns were. */
function keyOf(change: RowChange): Readonly<Record<string, string | null>> {
  const { key, columns } = change.program;
  const names =
    key.length === 0 ? columns.map(({ name }) => name) : key.map(({ target }) => target);
  const values =
    change.kind === "insert"
      ? names.map((name) => change.values[columns.findIndex((column) => column.name === name)])
      : names.map((_, index) => change.key[index]);
  return Object.fromEntries(
    names.map((name, index) => {
      const value = values[index];
      return [
        name,
        value === undefined || value === null || value === UNCHANGED
          ? null
          : value.toString("utf8"),
      ];
    }),
  );
}
