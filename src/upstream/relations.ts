import { createHash } from "node:crypto";
import type { AdminClient } from "./admin-client.ts";

/** The relations of users in one database. */
export type Relations = {
  /** By name without schema: one of the name in each schema that has it. */
  readonly byName: ReadonlyMap<string, readonly Relation[]>;
  /** Another one when anything has changed. */
  readonly digest: string;
};

export type Relation =
  /** Columns of each unique key that holds at every moment and for all rows. */
  | { readonly kind: "table"; readonly keys: readonly (readonly string[])[] }
  /** Also a materialized one. */
  | { readonly kind: "view"; readonly definition: string }
  | { readonly kind: "sequence" };

/**
 * Since PostgreSQL 9.5. Columns that an index only includes are no part of its key, since PostgreSQL 11; through JSON, for before there
 * is no such number. A key of a table that others inherit from does not hold for their rows.
 */
const RELATIONS = `
  SELECT c.relname, c.relkind,
    CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END,
    CASE WHEN c.relkind = 'p' OR (c.relkind = 'r' AND NOT c.relhassubclass) THEN (
      SELECT pg_catalog.json_agg(k.columns) FROM (
        SELECT pg_catalog.json_agg(a.attname ORDER BY a.attname) AS columns
        FROM pg_catalog.pg_index AS i
        CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS p(attnum, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = p.attnum
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
          AND i.indpred IS NULL AND i.indexprs IS NULL
          AND p.place <= COALESCE((pg_catalog.to_jsonb(i) ->> 'indnkeyatts')::pg_catalog.int4, i.indnatts)
        GROUP BY i.indexrelid
      ) AS k) END
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
  ORDER BY c.oid`;

/** @throws CodedError */
export async function readRelations(client: AdminClient): Promise<Relations> {
  const byName = new Map<string, Relation[]>();
  const hash = createHash("sha256");
  for (const row of await client.query(RELATIONS)) {
    hash.update(JSON.stringify(row));
    const [name, kind, definition, keys] = row;
    const relation = relationOf(kind ?? "", definition ?? "", keys ?? "[]");
    const others = byName.get(name ?? "");
    if (others === undefined) byName.set(name ?? "", [relation]);
    else others.push(relation);
  }
  return { byName, digest: hash.digest("hex") };
}

function relationOf(kind: string, definition: string, keys: string): Relation {
  if (kind === "S") return { kind: "sequence" };
  if (kind === "v" || kind === "m") return { kind: "view", definition };
  return { kind: "table", keys: JSON.parse(keys) as string[][] };
}
