import { CodedError } from "../base/errors.ts";
import type { AdminRows } from "../upstream/admin-client.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import { tableKey } from "./table-shape.ts";
import type { ColumnShape, TableName, TableShape } from "./table-shape.ts";

/** One statement whose values are text, as the server prints them: `query` of an admin client, or `asking` a session. */
export type Ask = (sql: string, values?: readonly (string | null)[]) => Promise<AdminRows>;

export function asking(session: WorkSession): Ask {
  return async (sql, values) => (await session.query({ sql, values })).rows;
}

/** The chosen tables with all relations that hold their rows: themselves, or their partitions of every level. */
const CHOSEN = `
  WITH chosen AS (
    SELECT w.place, c.oid, n.nspname, c.relname, c.relkind, c.relpersistence
    FROM pg_catalog.json_to_recordset($1::pg_catalog.json) AS w(place int, schema text, name text)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
    WHERE c.relkind IN ('r', 'p')),
  member AS (
    SELECT h.oid AS root, m.* FROM chosen AS h
    CROSS JOIN LATERAL (SELECT h.oid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(h.oid) AS p) AS t(oid)
    JOIN pg_catalog.pg_class AS m ON m.oid = t.oid),
  index_columns AS (
    SELECT m.root, i.*, (
      SELECT pg_catalog.json_agg(a.attname ORDER BY p.place)
      FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS p(attnum, place)
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = p.attnum
      WHERE p.place <= i.indnkeyatts) AS names
    FROM member AS m JOIN pg_catalog.pg_index AS i ON i.indrelid = m.oid)`;

/**
 * Since PostgreSQL 12. What names a row in the log is each partition's own affair, so every relation that holds rows is
 * asked. A primary key that is checked at COMMIT names no rows.
 */
const TABLES = `${CHOSEN}
  SELECT h.place, h.oid, h.nspname, h.relname, h.relkind,
    (SELECT pg_catalog.max(m.relpersistence::text) FROM member AS m WHERE m.root = h.oid),
    (SELECT x.names FROM index_columns AS x WHERE x.indrelid = h.oid AND x.indisprimary AND x.indisvalid),
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(m.relreplident,
        (SELECT x.names FROM index_columns AS x WHERE x.root = h.oid AND x.indrelid = m.oid
          AND x.indimmediate AND x.indisvalid
          AND CASE m.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN x.indisreplident ELSE false END
         LIMIT 1)))
     FROM member AS m WHERE m.root = h.oid AND (m.relkind <> 'p' OR NOT EXISTS (
       SELECT FROM member AS o WHERE o.root = h.oid AND o.relkind <> 'p'))),
    (SELECT pg_catalog.json_agg(x.names ORDER BY x.indexrelid) FROM index_columns AS x
     WHERE x.indrelid = h.oid AND x.indisunique AND NOT x.indisprimary AND x.indisvalid AND x.indimmediate
       AND x.indpred IS NULL AND x.indexprs IS NULL),
    EXISTS (SELECT FROM index_columns AS x
      WHERE x.root = h.oid AND NOT x.indisprimary AND (x.indisunique OR x.indisexclusion)),
    (SELECT pg_catalog.json_agg(DISTINCT o.conname) FROM pg_catalog.pg_constraint AS o
     JOIN member AS m ON m.oid = o.conrelid
     WHERE m.root = h.oid AND o.condeferrable AND o.contype IN ('p', 'u', 'x')),
    (SELECT COALESCE(pg_catalog.sum(CASE WHEN m.reltuples >= 0 THEN m.reltuples
       ELSE pg_catalog.pg_relation_size(m.oid) / 100 END), 0)
     FROM member AS m WHERE m.root = h.oid AND m.relkind = 'r'),
    (SELECT COALESCE(pg_catalog.sum(pg_catalog.pg_table_size(m.oid)), 0) FROM member AS m
     WHERE m.root = h.oid AND m.relkind = 'r')
  FROM chosen AS h ORDER BY h.place`;

/**
 * Since PostgreSQL 12. Bytes order texts where the collation is C, or PostgreSQL's own C.UTF-8, and the encoding numbers
 * characters as UTF-8 does; uuid, bytea, names and truth values print in their order. A domain is what it is made of.
 */
const COLUMNS = `${CHOSEN},
  base AS (
    WITH RECURSIVE down AS (
      SELECT t.oid AS named, t.oid, t.typtype, t.typbasetype FROM pg_catalog.pg_type AS t
      UNION ALL
      SELECT d.named, t.oid, t.typtype, t.typbasetype FROM down AS d
      JOIN pg_catalog.pg_type AS t ON d.typtype = 'd' AND t.oid = d.typbasetype)
    SELECT named, oid FROM down WHERE typtype <> 'd'),
  here AS (
    SELECT pg_catalog.pg_encoding_to_char(d.encoding) IN ('UTF8', 'SQL_ASCII', 'LATIN1') AS by_number,
      COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') AS provider,
      COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', '') AS locale, d.datcollate
    FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
  SELECT h.oid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid,
    pg_catalog.format_type(a.atttypid, -1), NOT a.attnotnull, a.attgenerated <> '', a.attidentity,
    a.atthasdef AND a.attgenerated = '',
    b.oid IN ('bool'::regtype, 'bytea'::regtype, 'uuid'::regtype)
      OR (b.oid IN ('text'::regtype, 'varchar'::regtype, 'name'::regtype) AND e.by_number
        AND CASE COALESCE(NULLIF(l.collprovider::text, 'd'), e.provider)
          WHEN 'c' THEN CASE l.collprovider WHEN 'd' THEN e.datcollate ELSE l.collcollate END IN ('C', 'POSIX')
          WHEN 'b' THEN CASE l.collprovider WHEN 'd' THEN e.locale
            ELSE pg_catalog.to_jsonb(l) ->> 'colllocale' END IN ('C', 'C.UTF-8')
          ELSE false END)
  FROM chosen AS h
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = h.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN base AS b ON b.named = a.atttypid
  LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
  CROSS JOIN here AS e
  ORDER BY h.place, a.attnum`;

/**
 * Tables as they stand in the catalogue, in the order they were asked for.
 * @throws CodedError `not_found` when one is not there
 */
export async function readTableShapes(
  ask: Ask,
  names: readonly TableName[],
): Promise<readonly TableShape[]> {
  if (names.length === 0) return [];
  const wanted = JSON.stringify(names.map(({ schema, name }, place) => ({ place, schema, name })));
  const tables = await ask(TABLES, [wanted]);
  const columns = columnsByTable(await ask(COLUMNS, [wanted]));
  const shapes = tables.map((row) => shapeOf(row, columns.get(row[1] ?? "") ?? []));
  const found = new Set(shapes.map(tableKey));
  const missing = names.filter((name) => !found.has(tableKey(name)));
  if (missing.length > 0)
    throw new CodedError("not_found", `no such table: ${missing.map(tableKey).join(", ")}`);
  return shapes;
}

function columnsByTable(rows: AdminRows): ReadonlyMap<string, readonly ColumnShape[]> {
  const tables = new Map<string, ColumnShape[]>();
  for (const [
    table,
    name,
    type,
    typeOid,
    typeName,
    nullable,
    generated,
    identity,
    ...more
  ] of rows) {
    const [hasDefault, bytewise] = more;
    const column: ColumnShape = {
      name: name ?? "",
      type: type ?? "",
      typeOid: Number(typeOid),
      typeName: typeName ?? "",
      bytewise: bytewise === "t",
      nullable: nullable === "t",
      generated: generated === "t",
      identity: identity === "a" || identity === "d" ? identity : "",
      hasDefault: hasDefault === "t",
    };
    const known = tables.get(table ?? "");
    if (known === undefined) tables.set(table ?? "", [column]);
    else known.push(column);
  }
  return tables;
}

function shapeOf(row: AdminRows[number], columns: readonly ColumnShape[]): TableShape {
  const [, oid, schema, name, kind, persistence, primaryKey, identities, uniqueKeys, ...more] = row;
  const [otherUnique, deferrable, rows, bytes] = more;
  const all = columns.filter((column) => !column.generated).map((column) => column.name);
  return {
    schema: schema ?? "",
    name: name ?? "",
    oid: Number(oid),
    kind: kind === "p" ? "p" : "r",
    persistence: persistence ?? "",
    columns,
    primaryKey: json<string[]>(primaryKey) ?? [],
    ...identityOf(json<[string, string[] | null][]>(identities) ?? [], all),
    uniqueKeys: json<string[][]>(uniqueKeys) ?? [],
    otherUnique: otherUnique === "t",
    deferrable: json<string[]>(deferrable) ?? [],
    estimate: { rows: Math.round(Number(rows)), bytes: Number(bytes) },
  };
}

/** From the poorest to the richest, by the letters of `pg_class.relreplident`. */
const IDENTITIES = [
  ["n", "nothing"],
  ["d", "default"],
  ["i", "index"],
  ["f", "full"],
] as const;

/** Where partitions differ, what all of them log. */
function identityOf(
  members: readonly (readonly [letter: string, names: readonly string[] | null])[],
  all: readonly string[],
): Pick<TableShape, "identity" | "identityKind"> {
  const columns = members.map(([letter, names]) => (letter === "f" ? all : (names ?? [])));
  const [first = []] = columns;
  const poorest = IDENTITIES.find(([letter]) => members.some(([other]) => other === letter));
  return {
    identity: first.filter((name) => columns.every((others) => others.includes(name))),
    identityKind: poorest?.[1] ?? "default",
  };
}

function json<T>(text: string | null | undefined): T | undefined {
  return text === null || text === undefined ? undefined : (JSON.parse(text) as T);
}
