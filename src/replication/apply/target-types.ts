import type { WorkSession } from "../../upstream/work-session.ts";

/** How values of a type are handed to the server, as its own input function reads them and without a modifier. */
export type TargetType = {
  /** Of the type beneath all domains, schema-qualified where need be: `pg_catalog.bpchar` rather than `character`, which means `character(1)`. */
  readonly name: string;
  /** An array of it exists and is not mistaken for one of more dimensions: many values travel as one parameter of that type. */
  readonly inArrays: boolean;
  /** The byte between elements. */
  readonly delimiter: number;
  /** Has an equality that is that of its indexes; other values are compared as text. */
  readonly comparable: boolean;
};

/**
 * Since PostgreSQL 10. `format_type(…, -1)` prints what means the type without any modifier: an explicit cast to
 * `varchar(50)` would cut values off, while the assignment to such a column refuses them.
 */
export const READ_TYPES = `
  WITH RECURSIVE base AS (
    SELECT oid AS asked, oid, typbasetype FROM pg_catalog.pg_type
     WHERE oid = ANY ($1::pg_catalog.oid[])
    UNION ALL
    SELECT b.asked, t.oid, t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typbasetype
     WHERE b.typbasetype <> 0)
  SELECT b.asked, pg_catalog.format_type(t.oid, -1),
         t.typarray <> 0 AND t.typelem = 0 AND t.typcategory <> 'A',
         pg_catalog.ascii(t.typdelim::text),
         t.typtype IN ('e', 'r', 'm') OR t.oid = 'pg_catalog.varchar'::pg_catalog.regtype OR EXISTS (
           SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am a ON a.oid = o.opcmethod
            WHERE o.opcintype = t.oid AND o.opcdefault AND a.amname IN ('btree', 'hash'))
    FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid
   WHERE t.typbasetype = 0`;

/** By oid. @throws WorkError */
export async function readTargetTypes(
  session: WorkSession,
  oids: readonly number[],
): Promise<ReadonlyMap<number, TargetType>> {
  const { rows } = await session.query({ sql: READ_TYPES, values: [`{${oids.join(",")}}`] });
  return new Map(
    rows.map(([oid, name, inArrays, delimiter, comparable]) => [
      Number(oid),
      {
        name: name ?? "",
        inArrays: inArrays === "t",
        delimiter: Number(delimiter),
        comparable: comparable === "t",
      },
    ]),
  );
}
