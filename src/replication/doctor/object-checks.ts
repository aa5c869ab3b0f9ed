import { quoteIdent, quoteLiteral } from "../table-shape.ts";
import type { Check } from "./exam.ts";
import { oidsOf, texts } from "./exam.ts";
import type { Finding } from "./finding.ts";
import { about } from "./finding.ts";

/** `needed`: a column of the tables that are moved is of one of its types. */
const EXTENSIONS = `
  SELECT e.extname, e.extversion, n.nspname, EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_type AS t ON d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid
    JOIN pg_catalog.pg_attribute AS a ON a.atttypid IN (t.oid, t.typarray) AND a.attnum > 0
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
      AND a.attrelid = ANY ($1::pg_catalog.oid[]))
  FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
  ORDER BY e.extname`;

const AVAILABLE = `
  SELECT a.name, COALESCE(a.installed_version, ''), COALESCE(a.default_version, '')
  FROM pg_catalog.pg_available_extensions AS a`;

export const extensions: Check = async (exam) => {
  const available = new Map(
    (await exam.new(AVAILABLE)).map((row) => {
      const [name = "", installed = "", newest = ""] = texts(row, 3);
      return [name, { installed, newest }];
    }),
  );
  return (await exam.old(EXTENSIONS, [oidsOf(exam, "old")])).flatMap((row): Finding[] => {
    const [name = "", version = "", schema = "", needed] = texts(row, 4);
    const there = available.get(name);
    const severity = needed === "t" ? "blocker" : "warning";
    if (there === undefined) {
      return [
        {
          ...about("extension", severity, "new", name),
          sentence: `the extension ${name} ${version} of OLD is not installed on NEW's server`,
          cure: {
            at: "shell",
            lines: [`# on NEW's server: install the package with ${name} for its PostgreSQL`],
          },
        },
      ];
    }
    if (there.installed === "") {
      const where = schema === "pg_catalog" ? "" : ` SCHEMA ${quoteIdent(schema)}`;
      const create = `CREATE EXTENSION ${quoteIdent(name)}${where}`;
      const isOther = !["public", "pg_catalog"].includes(schema);
      return [
        {
          ...about("extension", severity, "new", name),
          sentence: `the extension ${name} of OLD is not in NEW's database (version ${version}; NEW would have ${there.newest})`,
          cure: {
            at: "new",
            lines: isOther
              ? [`CREATE SCHEMA IF NOT EXISTS ${quoteIdent(schema)}`, create]
              : [create],
          },
        },
      ];
    }
    if (there.installed === version) return [];
    const isBehind = there.installed !== there.newest;
    return [
      {
        ...about("extension_version", "note", "new", name),
        sentence: `the extension ${name} is ${version} on OLD and ${there.installed} on NEW`,
        cure: isBehind
          ? { at: "new", lines: [`ALTER EXTENSION ${quoteIdent(name)} UPDATE`] }
          : undefined,
      },
    ];
  });
};

/** Types of users that the moved tables' columns are of, arrays by their elements. Extensions' are another check's. */
const TYPES = `
  SELECT DISTINCT n.nspname, t.typname, t.typtype,
    CASE t.typtype
      WHEN 'e' THEN (SELECT pg_catalog.json_agg(l.enumlabel ORDER BY l.enumsortorder)::pg_catalog.text
        FROM pg_catalog.pg_enum AS l WHERE l.enumtypid = t.oid)
      WHEN 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod)
        || CASE WHEN t.typdefault IS NULL THEN '' ELSE ' DEFAULT ' || t.typdefault END
        || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
        || COALESCE((SELECT pg_catalog.string_agg(' CONSTRAINT ' || pg_catalog.quote_ident(k.conname) || ' '
             || pg_catalog.pg_get_constraintdef(k.oid), '' ORDER BY k.conname)
           FROM pg_catalog.pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c'), '')
      WHEN 'c' THEN (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(f.attname) || ' '
          || pg_catalog.format_type(f.atttypid, f.atttypmod), ', ' ORDER BY f.attnum)
        FROM pg_catalog.pg_attribute AS f WHERE f.attrelid = t.typrelid AND f.attnum > 0 AND NOT f.attisdropped)
    END
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_type AS u ON u.oid = a.atttypid
  JOIN pg_catalog.pg_type AS t ON t.oid = CASE WHEN u.typelem <> 0 AND u.typlen = -1 THEN u.typelem ELSE u.oid END
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
  WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND t.typtype IN ('e', 'd', 'c')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_type'::regclass
      AND d.objid = t.oid AND d.deptype = 'e')
  ORDER BY 1, 2`;

const TYPE_THERE = `
  SELECT t.typtype, CASE t.typtype WHEN 'e' THEN
    (SELECT pg_catalog.json_agg(l.enumlabel ORDER BY l.enumsortorder)::pg_catalog.text
     FROM pg_catalog.pg_enum AS l WHERE l.enumtypid = t.oid) END
  FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
  WHERE n.nspname = $1 AND t.typname = $2`;

/** Enums, domains and composite types of OLD that NEW's tables will need. Copying the schema brings those that are missing. */
export const types: Check = async (exam) => {
  const copies = exam.present.new.length === 0;
  const findings: Finding[] = [];
  for (const row of await exam.old(TYPES, [oidsOf(exam, "old")])) {
    const [schema = "", name = "", kind = "", definition = ""] = texts(row, 4);
    const [there] = await exam.new(TYPE_THERE, [schema, name]);
    const sql = `${quoteIdent(schema)}.${quoteIdent(name)}`;
    if (there === undefined) {
      if (copies) continue;
      findings.push({
        ...about("type", "warning", "new", `${schema}.${name}`),
        sentence: `the type ${schema}.${name} of OLD does not exist on NEW`,
        cure: { at: "new", lines: [createType(sql, kind, definition)] },
      });
    } else if (kind === "e" && there[0] === "e") {
      const lines = missingLabels(sql, labels(definition), labels(there[1] ?? "[]"));
      if (lines.length === 0) continue;
      findings.push({
        ...about("enum_labels", "blocker", "new", `${schema}.${name}`),
        sentence: `the type ${schema}.${name} lacks ${lines.length === 1 ? "a label" : `${lines.length} labels`} on NEW that OLD's has`,
        cure: { at: "new", lines },
      });
    }
  }
  return findings;
};

function createType(sql: string, kind: string, definition: string): string {
  switch (kind) {
    case "e":
      return `CREATE TYPE ${sql} AS ENUM (${labels(definition).map(quoteLiteral).join(", ")})`;
    case "d":
      return `CREATE DOMAIN ${sql} AS ${definition}`;
    default:
      return `CREATE TYPE ${sql} AS (${definition})`;
  }
}

function labels(json: string): readonly string[] {
  return JSON.parse(json === "" ? "[]" : json) as string[];
}

/** In OLD's order: each after the one before it. */
function missingLabels(sql: string, wanted: readonly string[], there: readonly string[]): string[] {
  const known = new Set(there);
  return wanted.flatMap((label, index) => {
    if (known.has(label)) return [];
    const before = wanted[index - 1];
    const first = there[0];
    const place =
      before !== undefined
        ? ` AFTER ${quoteLiteral(before)}`
        : first === undefined
          ? ""
          : ` BEFORE ${quoteLiteral(first)}`;
    return [`ALTER TYPE ${sql} ADD VALUE ${quoteLiteral(label)}${place}`];
  });
}
