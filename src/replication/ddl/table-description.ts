import type { WorkSession } from "../../upstream/work-session.ts";

/** A table's definition, as far as moving its rows depends on it. */
export type TableDescription = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  /** As in `pg_class.relpersistence`. */
  readonly persistence: string;
  /** As in `pg_class.relreplident`. */
  readonly identity: string;
  /** Columns of the index that names rows in the log. */
  readonly key: readonly string[] | null;
  readonly columns: readonly ColumnDescription[];
  /** It is in the publication; null where none was asked about. */
  readonly published: boolean | null;
};

export type ColumnDescription = {
  /** Stays the same through a rename. */
  readonly number: number;
  readonly name: string;
  readonly type: string;
  readonly typeName: string;
  readonly typeOid: number;
  readonly modifier: number;
  readonly nullable: boolean;
  readonly default: string | null;
  /** What rows have that are older than the column; null without such rows, or where it is NULL. */
  readonly missing: string | null;
  readonly generated: string;
  readonly identity: string;
  /** Of an enum. */
  readonly labels: readonly string[] | null;
};

/** SQL for the description of `c`, a row of pg_class in the namespace `n`, as JSON. Since PostgreSQL 12; with an empty search_path. */
export function describeSql(published: string): string {
  return `json_build_object('oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
    'persistence', c.relpersistence, 'identity', c.relreplident, 'published', ${published},
    'key', (SELECT json_agg(a.attname ORDER BY k.place)
      FROM pg_catalog.pg_index AS i
      CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE i.indrelid = c.oid AND i.indisvalid AND k.place <= i.indnkeyatts
        AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END),
    'columns', (SELECT coalesce(json_agg(json_build_object('number', a.attnum, 'name', a.attname,
        'type', format_type(a.atttypid, a.atttypmod), 'typeName', format_type(a.atttypid, NULL),
        'typeOid', a.atttypid::int8, 'modifier', a.atttypmod, 'nullable', NOT a.attnotnull,
        'default', pg_get_expr(d.adbin, d.adrelid),
        'missing', CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END,
        'generated', a.attgenerated, 'identity', a.attidentity,
        'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum AS e
          WHERE e.enumtypid = a.atttypid)) ORDER BY a.attnum), '[]')
      FROM pg_catalog.pg_attribute AS a
      LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))`;
}

const PUBLISHED = `CASE WHEN $2::pg_catalog.text IS NOT NULL THEN EXISTS (
    SELECT FROM pg_catalog.pg_publication AS p WHERE p.pubname = $2 AND (p.puballtables OR EXISTS (
      SELECT FROM pg_catalog.pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = c.oid))) END`;

const TABLES = `FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND c.relkind IN ('r', 'p')`;

const DESCRIBE = `SELECT ${describeSql(PUBLISHED)} ${TABLES} ORDER BY c.oid`;

const FINGERPRINT = `SELECT md5(string_agg(${describeSql(PUBLISHED)}::text, ' ' ORDER BY c.oid)) ${TABLES}`;

/** By oid; one that is gone is missing. */
export async function describeTables(
  session: WorkSession,
  oids: readonly number[],
  publication: string | undefined,
): Promise<ReadonlyMap<number, TableDescription>> {
  const values = [`{${oids.join(",")}}`, publication ?? null];
  const { rows } = await session.query({ sql: DESCRIBE, values });
  const tables = rows.map(([json]) => JSON.parse(json ?? "{}") as TableDescription);
  return new Map(tables.map((table) => [table.oid, table] as const));
}

/** Changes whenever a description does; one value for all tables. */
export async function fingerprintOf(
  session: WorkSession,
  oids: readonly number[],
  publication: string | undefined,
): Promise<string> {
  const values = [`{${oids.join(",")}}`, publication ?? null];
  const { rows } = await session.query({
    sql: FINGERPRINT,
    values,
    name: "twinwire_ddl_fingerprint",
  });
  return rows[0]?.[0] ?? "";
}
