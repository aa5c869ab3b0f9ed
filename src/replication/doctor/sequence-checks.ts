import type { Check } from "./exam.ts";
import { oidsOf, texts } from "./exam.ts";
import type { Finding } from "./finding.ts";
import { about } from "./finding.ts";
import { unreadable } from "./unreadable.ts";

const SEQUENCES = `
  SELECT s.schemaname || '.' || s.sequencename, pg_catalog.format('%I.%I', s.schemaname, s.sequencename),
    s.last_value, s.min_value, s.max_value, s.increment_by, s.data_type::pg_catalog.text,
    o.sql, o.attname, o.type
  FROM pg_catalog.pg_sequences AS s
  LEFT JOIN LATERAL (
    SELECT pg_catalog.format('%I.%I', tn.nspname, t.relname) AS sql, pg_catalog.quote_ident(a.attname) AS attname,
      pg_catalog.format_type(a.atttypid, NULL) AS type
    FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_class AS t ON t.oid = d.refobjid JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
      AND d.deptype IN ('a', 'i') AND d.objid = pg_catalog.format('%I.%I', s.schemaname, s.sequencename)::regclass
    LIMIT 1) AS o ON true
  WHERE s.last_value IS NOT NULL AND s.schemaname <> 'twinwire' ORDER BY 1`;

const COLUMN_END: Readonly<Record<string, number>> = { smallint: 32_767, integer: 2_147_483_647 };
const NEARLY = 0.8;

/** Sequences of OLD that have used most of their values, or of those that their column takes. */
export const sequences: Check = async (exam) =>
  (await exam.old(SEQUENCES)).flatMap((row): Finding[] => {
    const [
      name = "",
      sql = "",
      last,
      least,
      most,
      step,
      type = "",
      table = "",
      column = "",
      columnType = "",
    ] = texts(row, 10);
    const up = Number(step) > 0;
    const end = up
      ? Math.min(Number(most), COLUMN_END[columnType] ?? Infinity)
      : Math.max(Number(least), -(COLUMN_END[columnType] ?? Infinity) - 1);
    const used = Number(last) / end;
    if (!(used >= NEARLY)) return [];
    const lines: string[] = [];
    if (columnType in COLUMN_END)
      lines.push(`ALTER TABLE ${table} ALTER COLUMN ${column} TYPE bigint`);
    // An identity column takes its sequence along.
    if (type !== "bigint") lines.push(`ALTER SEQUENCE ${sql} AS bigint`);
    lines.push(`ALTER SEQUENCE ${sql} ${up ? "NO MAXVALUE" : "NO MINVALUE"}`);
    const where = table === "" ? "" : ` of ${table}.${column}`;
    return [
      {
        ...about("sequence", "warning", "old", name),
        sentence: `the sequence ${name}${where} has used ${Math.floor(used * 100)} % of its values up to ${end}; the switch takes some more`,
        cure: { at: "old", lines },
      },
    ];
  });

const SMALL_KEYS = `
  SELECT n.nspname || '.' || c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.quote_ident(a.attname),
    pg_catalog.format_type(a.atttypid, NULL)
  FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
  WHERE i.indisprimary AND i.indrelid = ANY ($1::pg_catalog.oid[])
    AND a.atttypid IN ('int2'::regtype, 'int4'::regtype) AND c.relkind = 'r' ORDER BY 1`;

/** Keys whose type is nearly used up, wherever their values come from; each is one look at an index's end. */
export const smallKeys: Check = async (exam) => {
  const findings: Finding[] = [];
  for (const row of await exam.old(SMALL_KEYS, [oidsOf(exam, "old")])) {
    const [name = "", sql = "", column = "", type = ""] = texts(row, 4);
    const end = COLUMN_END[type] ?? Infinity;
    const [found] = await exam
      .old(`SELECT pg_catalog.max(${column}) FROM ${sql}`)
      .catch(unreadable);
    const used = Number(found?.[0] ?? 0) / end;
    if (used < NEARLY) continue;
    findings.push({
      ...about("small_key", "warning", "old", name),
      sentence: `${name}.${column} is ${type} and has used ${Math.floor(used * 100)} % of its values`,
      cure: { at: "old", lines: [`ALTER TABLE ${sql} ALTER COLUMN ${column} TYPE bigint`] },
    });
  }
  return findings;
};
