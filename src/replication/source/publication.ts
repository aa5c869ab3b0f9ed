import type { WorkSession } from "../../upstream/work-session.ts";
import type { StreamNames } from "../names.ts";
import { OWN_SCHEMA } from "../names.ts";
import { quoteIdent, quoteTable, tableKey } from "../table-shape.ts";
import type { TableName } from "../table-shape.ts";

export type PublicationChange = {
  readonly created: boolean;
  /** Somebody has changed what kinds of changes it publishes, or how. */
  readonly optionsDiffer: boolean;
  readonly added: readonly TableName[];
  readonly removed: readonly TableName[];
};

/** Every publication has them: the mark of transactions that Twinwire applied, and the sign of life. */
const OWN_TABLES: readonly TableName[] = [
  { schema: OWN_SCHEMA, name: "progress" },
  { schema: OWN_SCHEMA, name: "canary" },
];

/** Since PostgreSQL 13. */
const PUBLICATION_SQL = `
  SELECT pubviaroot AND pubinsert AND pubupdate AND pubdelete AND pubtruncate
    FROM pg_catalog.pg_publication WHERE pubname = $1`;

/** Tables, and whether all their rows and columns are published; parts can be chosen since PostgreSQL 15. */
function membersSql(serverVersion: number): string {
  const whole = serverVersion >= 150_000 ? "r.prqual IS NULL AND r.prattrs IS NULL" : "true";
  return `
    SELECT n.nspname, c.relname, ${whole} FROM pg_catalog.pg_publication p
      JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
      JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE p.pubname = $1`;
}

const OPTIONS = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true";

/**
 * What `ensurePublication` would change. Once changes are being read anything here means that some may have been left out
 * of the log for good.
 */
export async function publicationDrift(
  session: WorkSession,
  names: Pick<StreamNames, "publication">,
  tables: readonly TableName[],
): Promise<PublicationChange> {
  const values = [names.publication];
  const [found, members] = await session.pipeline([
    { sql: PUBLICATION_SQL, values },
    { sql: membersSql(session.serverVersion), values },
  ]);
  const wanted = byKey([...tables, ...OWN_TABLES]);
  const all = (members?.rows ?? []).map(([schema, name, whole]) => ({
    table: { schema: schema ?? "", name: name ?? "" },
    isWhole: whole === "t",
  }));
  const right = byKey(all.flatMap(({ table, isWhole }) => (isWhole ? [table] : [])));
  const [options] = found?.rows ?? [];
  return {
    created: options === undefined,
    optionsDiffer: options !== undefined && options[0] !== "t",
    added: [...wanted].filter(([key]) => !right.has(key)).map(([, table]) => table),
    removed: all
      .filter(({ table, isWhole }) => !isWhole || !wanted.has(tableKey(table)))
      .map(({ table }) => table),
  };
}

/**
 * Makes the stream's publication in its source, or makes it what it should be: these tables and Twinwire's own. Rows of
 * partitions travel as rows of their root. In one transaction.
 * @throws WorkError
 */
export async function ensurePublication(
  session: WorkSession,
  names: Pick<StreamNames, "publication">,
  tables: readonly TableName[],
): Promise<PublicationChange> {
  const drift = await publicationDrift(session, names, tables);
  const publication = quoteIdent(names.publication);
  if (drift.created) {
    const list = listOf(drift.added);
    await session.execute(`CREATE PUBLICATION ${publication} FOR TABLE ${list} WITH (${OPTIONS})`);
    return drift;
  }
  const statements = [`ALTER PUBLICATION ${publication} SET (${OPTIONS})`];
  if (drift.removed.length > 0) {
    statements.push(`ALTER PUBLICATION ${publication} DROP TABLE ${listOf(drift.removed)}`);
  }
  if (drift.added.length > 0) {
    statements.push(`ALTER PUBLICATION ${publication} ADD TABLE ${listOf(drift.added)}`);
  }
  await session.execute(statements.join("; "));
  return drift;
}

/** Without the tables that inherit from them, which are listed themselves; partitions are meant all the same. */
function listOf(tables: readonly TableName[]): string {
  return tables.map((table) => `ONLY ${quoteTable(table)}`).join(", ");
}

function byKey(tables: readonly TableName[]): Map<string, TableName> {
  return new Map(tables.map((table) => [tableKey(table), table]));
}
