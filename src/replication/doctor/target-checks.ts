import { streamNames } from "../names.ts";
import { quoteTable, tableKey } from "../table-shape.ts";
import type { Check, Exam } from "./exam.ts";
import { oidsOf, texts } from "./exam.ts";
import type { Finding } from "./finding.ts";
import { about } from "./finding.ts";
import { unreadable } from "./unreadable.ts";

/** All targets exist, or none does and the schema is copied. */
export const missingTargets: Check = async (exam) => {
  const there = new Set(exam.present.new.map(tableKey));
  const missing = exam.tables.filter(({ target }) => !there.has(tableKey(target)));
  if (missing.length === 0) return [];
  if (there.size > 0) {
    return missing.map(({ source, target }) => ({
      ...about("missing_table", "blocker", "new", tableKey(target)),
      sentence: `${tableKey(target)} does not exist on NEW, where other tables do: only a schema that is missing as a whole is copied`,
      cure: { at: "shell", lines: [dumpLine(quoteTable(source))] },
    }));
  }
  const major = Math.floor(exam.servers.old.version / 10_000);
  const [renamed] = missing.filter(({ source, target }) => tableKey(source) !== tableKey(target));
  if (renamed !== undefined) {
    return [
      {
        ...about("missing_table", "blocker", "new", tableKey(renamed.target)),
        sentence: `the mapping renames ${tableKey(renamed.source)} to ${tableKey(renamed.target)}: create the tables on NEW, a schema is copied by the same names only`,
        cure: { at: "shell", lines: [dumpLine(quoteTable(renamed.source))] },
      },
    ];
  }
  if (exam.pgDumpMajor !== undefined && exam.pgDumpMajor >= major) {
    const sentence = "NEW has none of the tables: their schema is copied from OLD by pg_dump";
    return [{ ...about("schema_copy", "note", "new"), sentence }];
  }
  const found = exam.pgDumpMajor === undefined ? "there is none here" : `found ${exam.pgDumpMajor}`;
  return [
    {
      ...about("pg_dump", "blocker", "new"),
      sentence: `NEW has none of the tables, and copying the schema needs pg_dump ${major} or later: ${found}`,
      cure: { at: "shell", lines: [`apt-get install postgresql-client-${major}`] },
    },
  ];
};

function dumpLine(table: string): string {
  return `pg_dump -d "$OLD" --schema-only --table=${quoteShell(table)} | psql -d "$NEW"`;
}

function quoteShell(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** A target has no rows, unless this migration put them there. */
export const emptyTargets: Check = async (exam) => {
  const filled: string[] = [];
  for (const table of exam.present.new) {
    const [row] = await exam
      .new(`SELECT EXISTS (SELECT FROM ${quoteTable(table)})`)
      .catch(unreadable);
    if (row?.[0] === "t") filled.push(tableKey(table));
  }
  if (filled.length === 0) return [];
  const started = await hasBegun(exam);
  const list = filled.slice(0, 5).join(", ") + (filled.length > 5 ? ", …" : "");
  if (started) {
    const sentence = `${filled.length} tables on NEW hold rows, and this migration has begun: it goes on where it was`;
    return [{ ...about("begun", "note", "new"), sentence }];
  }
  // All at once: foreign keys between them would refuse one by one.
  const all = exam.present.new.map(quoteTable).join(", ");
  return [
    {
      ...about("not_empty", "blocker", "new", list),
      sentence: `${filled.length} tables on NEW hold rows already (${list}): copying would collide with them`,
      cure: { at: "new", lines: [`TRUNCATE ${all}`] },
    },
  ];
};

async function hasBegun(exam: Exam): Promise<boolean> {
  const [there] = await exam.new("SELECT pg_catalog.to_regclass('twinwire.progress') IS NOT NULL");
  if (there?.[0] !== "t") return false;
  const { stream } = streamNames(exam.migration, "forward");
  const [row] = await exam.new(
    "SELECT EXISTS (SELECT FROM twinwire.progress AS p WHERE p.stream = $1)",
    [stream],
  );
  return row?.[0] === "t";
}

const FOREIGN_KEYS = `
  SELECT n.nspname || '.' || t.relname, pg_catalog.format('%I.%I', n.nspname, t.relname), c.conname,
    pg_catalog.quote_ident(c.conname), pg_catalog.pg_get_constraintdef(c.oid), rn.nspname, r.relname,
    c.confrelid = ANY ($1::pg_catalog.oid[])
  FROM pg_catalog.pg_constraint AS c
  JOIN pg_catalog.pg_class AS t ON t.oid = c.conrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
  JOIN pg_catalog.pg_class AS r ON r.oid = c.confrelid JOIN pg_catalog.pg_namespace AS rn ON rn.oid = r.relnamespace
  WHERE c.contype = 'f' AND c.conrelid = ANY ($1::pg_catalog.oid[]) AND c.conparentid = 0 ORDER BY 1, 3`;

/** Foreign keys whose other end does not travel, and those that are there while NEW is filled. */
export const foreignKeys: Check = async (exam) => {
  const outside = await exam.old(FOREIGN_KEYS, [oidsOf(exam, "old")]);
  const findings = outside.flatMap((row): Finding[] => {
    const [name = "", , constraint = "", , , schema = "", table = "", inside] = texts(row, 8);
    if (
      inside === "t" ||
      exam.tables.some(({ source }) => tableKey(source) === `${schema}.${table}`)
    )
      return [];
    return [
      {
        ...about("foreign_key_outside", "warning", "old", name),
        sentence: `${constraint} of ${name} refers to ${schema}.${table}, which is not among the tables that are moved`,
        cure: {
          at: "configuration",
          lines: [`replication: { tables: […, "${schema}.${table}"] }`],
        },
      },
    ];
  });
  const kept = await exam.new(FOREIGN_KEYS, [oidsOf(exam, "new")]);
  for (const row of kept) {
    const [name = "", sql = "", constraint = "", quoted = "", definition = ""] = texts(row, 5);
    findings.push({
      ...about("foreign_key", "note", "new", name),
      sentence: `${constraint} of ${name} is on NEW already: it is not checked while rows are applied in the replica role; without that role, drop it, and add it again after the copy: ALTER TABLE ${sql} ADD CONSTRAINT ${quoted} ${definition}`,
      cure: { at: "new", lines: [`ALTER TABLE ${sql} DROP CONSTRAINT ${quoted}`] },
    });
  }
  return findings;
};
