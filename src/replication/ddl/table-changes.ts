import type { ColumnDescription, TableDescription } from "./table-description.ts";

/** What has become of a table. `column` is as it is now, `before` as it was. */
export type TableChange =
  | { readonly kind: "table_dropped" }
  | { readonly kind: "table_renamed"; readonly to: string }
  | { readonly kind: "unlogged" }
  | { readonly kind: "unpublished" }
  | { readonly kind: "identity_changed" }
  | { readonly kind: "column_added"; readonly column: ColumnDescription }
  | { readonly kind: "column_dropped"; readonly before: ColumnDescription }
  | ColumnChange;

export type ColumnChange = {
  readonly kind:
    | "column_renamed"
    | "type_changed"
    | "nullable"
    | "labels_changed"
    | "computed_changed";
  readonly column: ColumnDescription;
  readonly before: ColumnDescription;
};

/** In the order in which they matter; what does not change how rows travel (defaults, NOT NULL, indexes) is none. */
export function changesOf(
  before: TableDescription,
  after: TableDescription | undefined,
): readonly TableChange[] {
  if (after === undefined) return [{ kind: "table_dropped" }];
  const changes: TableChange[] = [];
  if (after.persistence === "u" && before.persistence !== "u") changes.push({ kind: "unlogged" });
  if (after.published === false && before.published === true) changes.push({ kind: "unpublished" });
  if (after.schema !== before.schema || after.name !== before.name) {
    changes.push({ kind: "table_renamed", to: `${after.schema}.${after.name}` });
  }
  const were = new Map(before.columns.map((column) => [column.number, column] as const));
  const are = new Set(after.columns.map(({ number }) => number));
  for (const column of before.columns) {
    if (!are.has(column.number)) changes.push({ kind: "column_dropped", before: column });
  }
  for (const column of after.columns) {
    const was = were.get(column.number);
    if (was === undefined) changes.push({ kind: "column_added", column });
    else changes.push(...columnChanges(was, column));
  }
  if (keyOf(before) !== keyOf(after)) changes.push({ kind: "identity_changed" });
  return changes;
}

function columnChanges(before: ColumnDescription, column: ColumnDescription): ColumnChange[] {
  const kinds: ColumnChange["kind"][] = [];
  if (column.name !== before.name) kinds.push("column_renamed");
  // A type that has only been renamed is the same one.
  if (column.typeOid !== before.typeOid || column.modifier !== before.modifier) {
    kinds.push("type_changed");
  }
  if (
    column.typeOid === before.typeOid &&
    JSON.stringify(column.labels) !== JSON.stringify(before.labels)
  ) {
    kinds.push("labels_changed");
  }
  if (column.generated !== before.generated) kinds.push("computed_changed");
  if (column.nullable && !before.nullable) kinds.push("nullable");
  return kinds.map((kind) => ({ kind, column, before }));
}

/** What names rows, by numbers that a column's rename does not change. */
function keyOf({ identity, key, columns }: TableDescription): string {
  const numbers = (key ?? []).map((name) => columns.find((column) => column.name === name)?.number);
  return JSON.stringify([identity, numbers.toSorted((a = 0, b = 0) => a - b)]);
}

/** As people say it. */
export function changeSentence(table: string, change: TableChange): string {
  switch (change.kind) {
    case "table_dropped":
      return `${table} was dropped`;
    case "table_renamed":
      return `${table} is now called ${change.to}`;
    case "unlogged":
      return `${table} is unlogged now: no log carries its rows`;
    case "unpublished":
      return `${table} was taken out of the publication: the log does not carry its rows to Twinwire any more`;
    case "identity_changed":
      return `rows of ${table} are named by other columns now`;
    case "column_added":
      return `${table} has a new column "${change.column.name}" (${change.column.type})`;
    case "column_dropped":
      return `column "${change.before.name}" of ${table} was dropped`;
    case "column_renamed":
      return `column "${change.before.name}" of ${table} is now called "${change.column.name}"`;
    case "type_changed":
      return `column "${change.column.name}" of ${table} is now ${change.column.type} instead of ${change.before.type}`;
    case "nullable":
      return `column "${change.column.name}" of ${table} may be NULL now`;
    case "labels_changed":
      return `the type of column "${change.column.name}" of ${table} has other labels now`;
    case "computed_changed":
      return change.column.generated === ""
        ? `column "${change.column.name}" of ${table} is not computed any more`
        : `column "${change.column.name}" of ${table} is computed now`;
  }
}

/** A row of the new shape begins with another Relation message, so the change need not be noticed before. */
export function showsInRows({ kind }: TableChange): boolean {
  return (
    kind === "column_added" ||
    kind === "column_dropped" ||
    kind === "column_renamed" ||
    kind === "type_changed" ||
    kind === "table_renamed" ||
    kind === "identity_changed"
  );
}
