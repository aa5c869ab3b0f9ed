import { ApplyIncident } from "../apply/row-writer.ts";
import type { RowChange } from "../apply/row-writer.ts";
import type { BoundProgram } from "../mapping/row-program.ts";
import { UNCHANGED } from "../source/source-transaction.ts";
import type { SourceRow } from "../source/source-transaction.ts";
import { tableKey } from "../table-shape.ts";
import type { RowEvent } from "./change-codec.ts";

/**
 * A change in the target's terms. Rows may come in and go out by the program's filter, whose column is part of what names a
 * row in the log: where the log tells no row before, it has not changed.
 */
export function rowChanges(bound: BoundProgram, change: RowEvent): readonly RowChange[] {
  switch (change.kind) {
    case "insert":
      return bound.passes(change.row) ? [insertOf(bound, change.row)] : [];
    case "delete":
      return bound.passes(change.before) ? [deleteOf(bound, change.before)] : [];
    case "update": {
      const before = change.before ?? change.row;
      const wasIn = bound.passes(before);
      const isIn = bound.passes(change.row);
      if (!wasIn && !isIn) return [];
      if (!isIn) return [deleteOf(bound, before)];
      if (!wasIn) return [insertOf(bound, withValuesOf(before, change))];
      const key = bound.keyOf(before);
      return [{ kind: "update", program: bound.program, key, values: bound.values(change.row) }];
    }
  }
}

function withValuesOf(
  before: SourceRow,
  { row, relation }: Extract<RowEvent, { kind: "update" }>,
): SourceRow {
  if (relation.identity !== "full") return row;
  return row.map((value, index) => (value === UNCHANGED ? (before[index] ?? null) : value));
}

function insertOf(bound: BoundProgram, row: SourceRow): RowChange {
  const values = bound.values(row);
  if (!values.includes(UNCHANGED)) return { kind: "insert", program: bound.program, values };
  throw new ApplyIncident({
    message:
      "the log leaves out a value of a row that comes in by the filter: REPLICA IDENTITY FULL gives it",
    table: tableKey(bound.program.target),
    operation: "insert",
    key: {},
    sqlstate: undefined,
  });
}

function deleteOf(bound: BoundProgram, row: SourceRow): RowChange {
  return { kind: "delete", program: bound.program, key: bound.keyOf(row) };
}
