import type { Ask } from "../read-shapes.ts";
import { readTableShapes } from "../read-shapes.ts";
import type { TableName, TableShape } from "../table-shape.ts";
import { tableKey } from "../table-shape.ts";

/** What the configuration says about names and forms on NEW; the rest keeps both. */
export type MappingInput = {
  readonly tables: readonly MappedTable[];
  readonly schemas: readonly { readonly schema: string; readonly to: string }[];
};

/** What a table of OLD becomes on NEW. */
export type MappedTable = {
  readonly table: TableName;
  readonly to: TableName | undefined;
  /** Names on NEW by those on OLD; null: does not travel. */
  readonly columns: Readonly<Record<string, string | null>>;
  /** Values of columns that only NEW has. */
  readonly constants: Readonly<Record<string, string | null>>;
  /** By the names on OLD. */
  readonly convert: Readonly<Record<string, "boolean_to_integer" | "integer_to_boolean">>;
  readonly where: { readonly column: string; readonly in: readonly (string | null)[] } | undefined;
};

export function entryOf(input: MappingInput, table: TableName): MappedTable | undefined {
  const key = tableKey(table);
  return input.tables.find((entry) => tableKey(entry.table) === key);
}

/** What a table of OLD is called on NEW. */
export function targetNameOf(input: MappingInput, table: TableName): TableName {
  return (
    entryOf(input, table)?.to ?? {
      schema: targetSchemaOf(input, table.schema),
      name: table.name,
    }
  );
}

export function targetSchemaOf(input: MappingInput, schema: string): string {
  return input.schemas.find((entry) => entry.schema === schema)?.to ?? schema;
}

/** Since PostgreSQL 9.4. */
const THERE = `
  SELECT w.schema, w.name
  FROM pg_catalog.json_to_recordset($1::pg_catalog.json) AS w(schema text, name text)
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
  WHERE c.relkind IN ('r', 'p')`;

/** The shapes of those tables that are there. */
export async function readShapesThere(
  ask: Ask,
  names: readonly TableName[],
): Promise<readonly TableShape[]> {
  const wanted = names.map(({ schema, name }) => ({ schema, name }));
  const rows = await ask(THERE, [JSON.stringify(wanted)]);
  return readTableShapes(
    ask,
    rows.map(([schema, name]) => ({ schema: schema ?? "", name: name ?? "" })),
  );
}
