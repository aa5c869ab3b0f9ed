import type { AdminClient } from "./admin-client.ts";

/** Names that something may be called by in a database, without their schemas. */
export type Names = {
  readonly tables: readonly string[];
  readonly columns: readonly string[];
  readonly types: readonly string[];
};

/** Since PostgreSQL 7.4. Views and foreign tables count, indexes do not. */
const KNOWN_TABLES =
  "SELECT DISTINCT c.relname FROM pg_catalog.pg_class AS c WHERE c.relname::text = ANY ($1::text[]) AND c.relkind IN ('r', 'v', 'm', 'f', 'p')";

/** Since PostgreSQL 7.4. */
const KNOWN_COLUMNS =
  "SELECT DISTINCT a.attname FROM pg_catalog.pg_attribute AS a WHERE a.attname::text = ANY ($1::text[]) AND a.attnum > 0 AND NOT a.attisdropped";

/** Since PostgreSQL 7.4. */
const KNOWN_TYPES =
  "SELECT DISTINCT t.typname FROM pg_catalog.pg_type AS t WHERE t.typname::text = ANY ($1::text[])";

/** Which of the names the database knows. @throws CodedError */
export async function readKnownNames(client: AdminClient, names: Names): Promise<Names> {
  const known = async (sql: string, asked: readonly string[]): Promise<string[]> => {
    if (asked.length === 0) return [];
    const rows = await client.query(sql, [arrayText(asked)]);
    return rows.map(([name]) => name ?? "");
  };
  return {
    tables: await known(KNOWN_TABLES, names.tables),
    columns: await known(KNOWN_COLUMNS, names.columns),
    types: await known(KNOWN_TYPES, names.types),
  };
}

/** The text form of an array of texts. */
function arrayText(items: readonly string[]): string {
  const quoted = items.map((item) => `"${item.replaceAll(/["\\]/g, String.raw`\$&`)}"`);
  return `{${quoted.join(",")}}`;
}
