import type { AdminClient, AdminRows } from "./admin-client.ts";

/** A relation that statements can name, as far as what a write to it may do is concerned. */
export type TableEntry = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** As in `pg_class.relkind`: `r` table, `p` partitioned, `v` view, `m` materialized view, `f` foreign. */
  readonly kind: string;
  /** Reading or writing it means other relations too: partitions, children, rules. */
  readonly spread: boolean;
  readonly rowSecurity: boolean;
  /** It has enabled triggers of users. */
  readonly triggers: boolean;
  /** A foreign key's action may write other tables when it is written. */
  readonly cascades: boolean;
  /** Oids of the tables that its foreign keys refer to, and of those that refer to it. */
  readonly neighbours: readonly number[];
  /** Columns that get a value by themselves, generated expressions aside. */
  readonly defaults: readonly ColumnDefault[];
  readonly uniqueKeys: readonly UniqueKey[];
};

export type ColumnDefault = {
  readonly attribute: number;
  readonly column: string;
  /** As SQL; undefined for an identity column. */
  readonly expression: string | undefined;
  /** The sequence it draws from, quoted with its schema. */
  readonly sequence: string | undefined;
};

export type UniqueKey = { readonly name: string; readonly attributes: readonly number[] };

/** What writes to a database's tables involve, at the moment it was read. */
export type TableCatalogue = {
  readonly tables: readonly TableEntry[];
  /** Some constraint may be checked at COMMIT only. */
  readonly defers: boolean;
  /** Functions with a body of statements, which may read tables: lower case, without schema. */
  readonly scriptedFunctions: ReadonlySet<string>;
};

/** Since PostgreSQL 9.5. */
const TABLES = `
  SELECT c.oid, n.nspname, c.relname, c.relkind,
    c.relkind <> 'r' OR c.relhassubclass OR c.relhasrules
      OR EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid),
    c.relrowsecurity,
    EXISTS (SELECT FROM pg_catalog.pg_trigger AS t
            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A'))
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'`;

/**
 * Since PostgreSQL 9.5; columns of the catalogue that came later are read by way of JSON. A default's
 * sequence is what its expression depends on, an identity column's is what depends on the column.
 */
const DEFAULTS = `
  SELECT a.attrelid, a.attnum, a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid),
    (SELECT pg_catalog.format('%I.%I', n.nspname, s.relname)
     FROM pg_catalog.pg_depend AS p
     JOIN pg_catalog.pg_class AS s ON s.relkind = 'S' AND s.oid =
       CASE WHEN p.classid = 'pg_catalog.pg_class'::regclass THEN p.objid ELSE p.refobjid END
     JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
     WHERE (p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
            AND p.refclassid = 'pg_catalog.pg_class'::regclass)
        OR (p.classid = 'pg_catalog.pg_class'::regclass AND p.deptype = 'i'
            AND p.refclassid = 'pg_catalog.pg_class'::regclass
            AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum)
     LIMIT 1)
  FROM pg_catalog.pg_attribute AS a
  LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped
    AND (d.oid IS NOT NULL OR pg_catalog.to_jsonb(a) ->> 'attidentity' <> '')
    AND COALESCE(pg_catalog.to_jsonb(a) ->> 'attgenerated', '') = ''`;

/** Since PostgreSQL 9.0. */
const UNIQUE_KEYS = `
  SELECT i.indrelid, c.relname, i.indkey
  FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  WHERE i.indisunique`;

/** Since PostgreSQL 9.0. Actions: a no action, r restrict, c cascade, n set null, d set default. */
const FOREIGN_KEYS = `
  SELECT f.conrelid, f.confrelid,
    f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd')
  FROM pg_catalog.pg_constraint AS f WHERE f.contype = 'f'`;

/** Since PostgreSQL 9.0; constraint triggers are among them. */
const DEFERS = "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint AS c WHERE c.condeferrable)";

/** Since PostgreSQL 9.5. Those written in C read no tables, or are known by name. */
const SCRIPTED_FUNCTIONS = `
  SELECT DISTINCT pg_catalog.lower(p.proname)
  FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
  WHERE l.lanname NOT IN ('internal', 'c') AND p.pronamespace <> 'pg_catalog'::regnamespace`;

/** Reads what is known of the tables anew. @throws CodedError */
export async function readTables(client: AdminClient): Promise<TableCatalogue> {
  const tables = await client.query(TABLES);
  const defaults = byTable(await client.query(DEFAULTS));
  const keys = byTable(await client.query(UNIQUE_KEYS));
  const links = await client.query(FOREIGN_KEYS);
  const [defers] = await client.query(DEFERS);
  const scripted = await client.query(SCRIPTED_FUNCTIONS);
  const referring = byTable(links);
  const referred = byTable(
    links.map(([from, to, acts]) => [to ?? null, from ?? null, acts ?? null]),
  );
  return {
    defers: defers?.[0] === "t",
    scriptedFunctions: new Set(scripted.map(([name]) => name ?? "")),
    tables: tables.map(([oid, schema, name, kind, spread, rowSecurity, triggers]) => {
      const key = oid ?? "";
      const from = referring.get(key) ?? [];
      const to = referred.get(key) ?? [];
      return {
        oid: Number(oid),
        schema: schema ?? "",
        name: name ?? "",
        kind: kind ?? "",
        spread: spread === "t",
        rowSecurity: rowSecurity === "t",
        triggers: triggers === "t",
        cascades: to.some(([, , acts]) => acts === "t"),
        neighbours: [...from, ...to].map(([, other]) => Number(other)),
        defaults: (defaults.get(key) ?? []).map(([, attribute, column, expression, sequence]) => ({
          attribute: Number(attribute),
          column: column ?? "",
          expression: expression ?? undefined,
          sequence: sequence ?? undefined,
        })),
        uniqueKeys: (keys.get(key) ?? []).map(([, index, attributes]) => ({
          name: index ?? "",
          attributes: (attributes ?? "").split(" ").map(Number),
        })),
      };
    }),
  };
}

function byTable(rows: AdminRows): ReadonlyMap<string, AdminRows> {
  const tables = new Map<string, (readonly (string | null)[])[]>();
  for (const row of rows) {
    const key = row[0] ?? "";
    const known = tables.get(key);
    if (known === undefined) tables.set(key, [row]);
    else known.push(row);
  }
  return tables;
}
