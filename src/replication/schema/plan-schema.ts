import { createHash } from "node:crypto";
import type { AdminTarget } from "../../upstream/admin-client.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import { asking } from "../read-shapes.ts";
import { tableKey } from "../table-shape.ts";
import type { TableName } from "../table-shape.ts";
import { findPgDumps, sufficient } from "./find-pg-dump.ts";
import { DUMP_ARGUMENTS, runPgDump } from "./run-pg-dump.ts";
import { splitDump } from "./split-dump.ts";
import type { DumpEntry } from "./split-dump.ts";

export type SchemaDeps = {
  /** Under which the parts that are done are recorded on NEW. */
  readonly stream: string;
  readonly source: AdminTarget;
  /** As in `server_version_num`, of the source. */
  readonly sourceVersion: number;
  /** Of the target, by the admin role; nobody else uses it meanwhile. */
  readonly session: WorkSession;
  readonly tables: readonly { readonly source: TableName; readonly target: TableName }[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
};

/** A statement of the schema, to be run once. */
export type SchemaStatement = {
  readonly sql: string;
  readonly digest: string;
  /** As `pg_dump` calls it. */
  readonly type: string;
  /** For people: `INDEX orders_total`. */
  readonly what: string;
  /** Without it the migration cannot go on. */
  readonly needed: boolean;
};

export type SchemaPlan = {
  /** Types, functions, tables, primary keys, rights: before the copy. */
  readonly tables: readonly SchemaStatement[];
  /** Indexes, unique keys, foreign keys, triggers: after it. */
  readonly rest: readonly SchemaStatement[];
};

export type SchemaOutcome =
  /** Nothing is copied: the tables are there, and the mapping decides. */
  | { readonly kind: "present" }
  | { readonly kind: "copy"; readonly plan: SchemaPlan }
  /** It cannot be copied; the sentence says why and what to do. */
  | { readonly kind: "refused"; readonly sentence: string };

/** What has been done of a schema, each part in the transaction that did it. */
export const SCHEMA_PART_SQL = `
  CREATE SCHEMA IF NOT EXISTS twinwire;
  CREATE TABLE IF NOT EXISTS twinwire.schema_part (
    stream text NOT NULL, digest text NOT NULL, what text NOT NULL, outcome text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), PRIMARY KEY (stream, digest));
`;

/** Whether the schema has to be copied, and how. May be asked again after a part was done. @throws CodedError */
export async function planSchema(deps: SchemaDeps): Promise<SchemaOutcome> {
  const ask = asking(deps.session);
  const there = await ask(
    `SELECT n.nspname, c.relname FROM pg_catalog.json_to_recordset($1::pg_catalog.json) AS w(schema text, name text)
     JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
     JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name`,
    [JSON.stringify(deps.tables.map(({ target }) => target))],
  );
  const isOurs = await hasParts(deps);
  if (!isOurs && there.length === deps.tables.length) return { kind: "present" };
  if (!isOurs && there.length > 0) {
    const known = new Set(there.map(([schema, name]) => `${schema ?? ""}.${name ?? ""}`));
    const missing = deps.tables
      .map(({ target }) => tableKey(target))
      .filter((key) => !known.has(key));
    const sentence = `NEW has some of the tables, but not ${missing.slice(0, 5).join(", ")}${missing.length > 5 ? ", …" : ""}: create them, or drop the others to have the schema copied`;
    return { kind: "refused", sentence };
  }
  const renamed = deps.tables.find(({ source, target }) => tableKey(source) !== tableKey(target));
  if (renamed !== undefined) {
    const sentence = `the mapping renames ${tableKey(renamed.source)} to ${tableKey(renamed.target)}: create the tables on NEW, a schema is copied by the same names only`;
    return { kind: "refused", sentence };
  }
  const major = Math.floor(deps.sourceVersion / 10_000);
  const dumps = await findPgDumps(deps.env);
  const dump = sufficient(dumps, major);
  if (dump === undefined)
    return { kind: "refused", sentence: withoutPgDump(major, dumps.at(-1)?.major) };
  const entries = splitDump(await runPgDump(dump, deps.source, deps.signal));
  return { kind: "copy", plan: arrange(entries) };
}

async function hasParts(deps: SchemaDeps): Promise<boolean> {
  const ask = asking(deps.session);
  const [there] = await ask("SELECT pg_catalog.to_regclass('twinwire.schema_part') IS NOT NULL");
  if (there?.[0] !== "t") return false;
  const [row] = await ask(
    "SELECT EXISTS (SELECT FROM twinwire.schema_part AS p WHERE p.stream = $1)",
    [deps.stream],
  );
  return row?.[0] === "t";
}

function withoutPgDump(major: number, found: number | undefined): string {
  const at = found === undefined ? "there is none" : `the newest found is ${found}`;
  const common = DUMP_ARGUMENTS.slice(1).join(" ");
  return [
    `NEW has none of the tables, and copying the schema of PostgreSQL ${major} needs pg_dump ${major} or later; ${at}.`,
    `Install it (apt-get install postgresql-client-${major}), name one in TWINWIRE_PG_DUMP, or copy the schema yourself:`,
    `  pg_dump -d "$OLD" --section=pre-data ${common} | psql -d "$NEW"    # now, with the primary keys, before the copy`,
    `  pg_dump -d "$OLD" --section=post-data ${common} | psql -d "$NEW"   # primary keys among them: at once, or the rest after the copy`,
  ].join("\n");
}

/** Those that follow the tables' rows. All other types come first, rights (ACL) among them, though a dump has them last. */
const AFTER_COPY = new Set([
  "CONSTRAINT",
  "CHECK CONSTRAINT",
  "FK CONSTRAINT",
  "INDEX",
  "INDEX ATTACH",
  "STATISTICS",
  "RULE",
  "TRIGGER",
  "EVENT TRIGGER",
  "POLICY",
  "ROW SECURITY",
]);

/** Not of the schema, or not ours to copy. */
const LEFT_OUT = new Set([
  "PUBLICATION",
  "PUBLICATION TABLE",
  "SUBSCRIPTION",
  "STATISTICS DATA",
  "DATABASE",
  "ENCODING",
]);

const NEEDED = new Set([
  "SCHEMA",
  "TYPE",
  "DOMAIN",
  "TABLE",
  "TABLE ATTACH",
  "SEQUENCE",
  "SEQUENCE OWNED BY",
  "DEFAULT",
]);

const NEEDED_AFTER = new Set([
  "CONSTRAINT",
  "CHECK CONSTRAINT",
  "FK CONSTRAINT",
  "INDEX",
  "INDEX ATTACH",
  "TRIGGER",
]);

/** Sorts a dump's entries into what comes before the copy and what comes after. */
export function arrange(entries: readonly DumpEntry[]): SchemaPlan {
  const tables: SchemaStatement[] = [];
  const rest: SchemaStatement[] = [];
  const keys = new Set<string>();
  for (const entry of entries) {
    if (LEFT_OUT.has(entry.type) || entry.name.startsWith("twinwire_")) continue;
    const early = !AFTER_COPY.has(entry.type) ? !commentsLate(entry) : namesRows(entry, keys);
    const list = early ? tables : rest;
    for (const sql of entry.statements) if (!isSetting(sql)) list.push(statement(entry, sql));
  }
  return { tables, rest };
}

/** Primary keys, what of them attaches to those of partitioned tables, and indexes that are a replica identity. */
function namesRows(entry: DumpEntry, keys: Set<string>): boolean {
  const [sql = ""] = entry.statements;
  const key = /\sADD CONSTRAINT ("(?:[^"]|"")+"|[^"\s]+) PRIMARY KEY/.exec(sql);
  if (entry.type === "CONSTRAINT" && key !== null) {
    keys.add(key[1] ?? "");
    return true;
  }
  const attached = /ATTACH PARTITION (.+)$/s.exec(sql)?.[1];
  if (entry.type === "INDEX ATTACH" && attached !== undefined)
    return [...keys].some((name) => attached === name || attached.endsWith(`.${name}`));
  return entry.statements.some((each) => / REPLICA IDENTITY USING INDEX /.test(each));
}

/** A comment on an index, constraint, trigger, … has to wait for it. */
function commentsLate({ type, name }: DumpEntry): boolean {
  return (
    type === "COMMENT" &&
    /^(INDEX|CONSTRAINT|TRIGGER|EVENT TRIGGER|RULE|POLICY|STATISTICS) /.test(name)
  );
}

/** Settings of the dump's session; ours are the session's own. */
function isSetting(sql: string): boolean {
  return /^(SET |SELECT pg_catalog\.set_config\()/.test(sql);
}

function statement(entry: DumpEntry, sql: string): SchemaStatement {
  const isOwner = / OWNER TO /.test(sql) && sql.startsWith("ALTER ");
  const { type, name } = entry;
  return {
    sql,
    digest: createHash("sha256").update(sql).digest("hex").slice(0, 32),
    type,
    what: `${isOwner ? "owner of " : ""}${type} ${name}`,
    needed: !isOwner && (NEEDED.has(type) || NEEDED_AFTER.has(type)),
  };
}
