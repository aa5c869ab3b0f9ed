import type { Ask } from "../read-shapes.ts";
import type { TableName } from "../table-shape.ts";
import { tableKey } from "../table-shape.ts";

/**
 * What stands on tables: its name by kind, what it is without its name, whether it is in force, and what puts it in force.
 * Names differ where people made a schema by hand, so the same thing by another name will do. A unique key is told by its
 * index, which may stand there without a constraint. Since PostgreSQL 12.
 */
const ATTACHED = `
  WITH wanted AS (
    SELECT c.oid, w.schema || '.' || w.name AS key, pg_catalog.format('%I.%I', w.schema, w.name) AS sql
    FROM pg_catalog.json_to_recordset($1::pg_catalog.json) AS w(schema text, name text)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name),
  indexes AS (
    SELECT i.*, c.relname, c.relkind, CASE WHEN i.indisunique THEN 'unique ' ELSE '' END
      || pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^.*? USING ', '') AS shape
    FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid)
  SELECT w.key, 'index ' || i.relname, i.shape, i.indisvalid, CASE WHEN i.relkind = 'i'
    THEN 'REINDEX INDEX CONCURRENTLY ' || i.indexrelid::pg_catalog.regclass::text ELSE '' END
  FROM wanted AS w JOIN indexes AS i ON i.indrelid = w.oid WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint AS o
    WHERE o.conindid = i.indexrelid AND o.conrelid = i.indrelid AND o.contype IN ('p', 'u', 'x'))
  UNION ALL
  SELECT w.key, 'constraint ' || o.conname,
    CASE WHEN o.contype IN ('p', 'u') THEN i.shape
      ELSE pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(o.oid), ' NOT VALID$', '') END,
    o.convalidated AND COALESCE(i.indisvalid, true),
    CASE WHEN o.convalidated THEN ''
      ELSE pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', w.sql, o.conname) END
  FROM wanted AS w JOIN pg_catalog.pg_constraint AS o ON o.conrelid = w.oid AND o.contype IN ('p', 'u', 'x', 'f', 'c')
    AND o.conparentid = 0
  LEFT JOIN indexes AS i ON i.indexrelid = o.conindid AND i.indrelid = w.oid
  UNION ALL
  SELECT w.key, 'trigger ' || g.tgname, pg_catalog.pg_get_triggerdef(g.oid), g.tgenabled <> 'D',
    pg_catalog.format('ALTER TABLE %s ENABLE TRIGGER %I', w.sql, g.tgname)
  FROM wanted AS w JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = w.oid AND NOT g.tgisinternal AND g.tgname NOT LIKE 'twinwire%'
  ORDER BY 1, 2`;

/** So much is told one by one. */
const MAX_SENTENCES = 20;

type Attached = {
  readonly table: string;
  readonly what: string;
  readonly shape: string;
  readonly inForce: boolean;
  readonly cure: string;
};

/**
 * Sentences on what OLD's tables have and NEW's have not, or not in force, with the cure where there is a short one; empty
 * when all is there.
 */
export async function validateSchema(
  old: Ask,
  fresh: Ask,
  tables: readonly { readonly source: TableName; readonly target: TableName }[],
): Promise<string[]> {
  const names = new Map(tables.map(({ source, target }) => [tableKey(source), tableKey(target)]));
  const wanted = await attachedTo(
    old,
    tables.map(({ source }) => source),
  );
  const there = await attachedTo(
    fresh,
    tables.map(({ target }) => target),
  );
  const byName = new Map(there.map((each) => [`${each.table} ${each.what}`, each]));
  const byShape = new Map(there.map((each) => [`${each.table} ${each.shape}`, each]));
  const sentences = wanted.flatMap(({ table, what, shape, inForce }) => {
    const target = names.get(table) ?? table;
    const found = byName.get(`${target} ${what}`) ?? byShape.get(`${target} ${shape}`);
    if (found === undefined) return [`${target} on NEW has no ${what}, which OLD has`];
    if (!inForce || found.inForce) return [];
    const cure = found.cure === "" ? "" : `: ${found.cure}`;
    return [`the ${found.what} of ${target} is not in force on NEW${cure}`];
  });
  const more = sentences.length - MAX_SENTENCES;
  return more <= 0
    ? sentences
    : [
        ...sentences.slice(0, MAX_SENTENCES),
        `${more} more that OLD's tables have and NEW's do not`,
      ];
}

async function attachedTo(ask: Ask, tables: readonly TableName[]): Promise<readonly Attached[]> {
  const names = tables.map(({ schema, name }) => ({ schema, name }));
  const rows = await ask(ATTACHED, [JSON.stringify(names)]);
  return rows.map(([table, what, shape, inForce, cure]) => ({
    table: table ?? "",
    what: what ?? "",
    shape: shape ?? "",
    inForce: inForce === "t",
    cure: cure ?? "",
  }));
}
