import type { Check } from "./exam.ts";
import { oidsOf, onBothSides, sideName, texts } from "./exam.ts";
import { FAMILY } from "./family.ts";
import type { Finding, Severity } from "./finding.ts";
import { about } from "./finding.ts";

/**
 * Rows that hold no name in the log. Columns: name, quoted name, identity, has a usable primary key, has a usable index of
 * the identity, the best other index (quoted), a primary key that is checked at COMMIT.
 */
const NAMELESS = `${FAMILY}
  SELECT f.name, f.sql, f.relreplident,
    EXISTS (SELECT FROM pg_catalog.pg_index AS i
      WHERE i.indrelid = f.oid AND i.indisprimary AND i.indimmediate AND i.indisvalid),
    EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = f.oid AND i.indisreplident AND i.indimmediate AND i.indisvalid),
    (SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_index AS i
      JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
      WHERE i.indrelid = f.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND NOT i.indisprimary
        AND i.indpred IS NULL AND i.indexprs IS NULL
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = f.oid AND a.attnum = ANY (i.indkey::pg_catalog.int2[]) AND NOT a.attnotnull)
      ORDER BY i.indnkeyatts, c.relname LIMIT 1)
  FROM family AS f WHERE f.relkind IN ('r', 'p') ORDER BY f.name`;

/** A table that is published and whose rows have no name refuses the application's UPDATE and DELETE. */
export const replicaIdentity: Check = (exam) =>
  onBothSides(async (side) => {
    const rows = await exam[side](NAMELESS, [oidsOf(exam, side)]);
    const severity: Severity = side === "old" ? "blocker" : "warning";
    return rows.flatMap((row): Finding[] => {
      const [name = "", sql = "", identity = "", key = "", index = "", other = ""] = texts(row, 6);
      const head = (check: string, level: Severity = severity) => about(check, level, side, name);
      const set = (how: string): Finding["cure"] => ({
        at: side,
        lines: [`ALTER TABLE ${sql} REPLICA IDENTITY ${how}`],
      });
      const best = key === "t" ? "DEFAULT" : other === "" ? "FULL" : `USING INDEX ${other}`;
      const effect = `once it is published, ${sideName(side)} refuses the application's UPDATE and DELETE of it`;
      if (identity === "n") {
        const sentence = `${name} has the replica identity nothing: ${effect}`;
        return [{ ...head("identity_nothing"), sentence, cure: set(best) }];
      }
      if (identity === "f") {
        if (key === "t") {
          const sentence = `${name} writes whole rows to the log (replica identity full) although it has a primary key`;
          return [{ ...head("identity_full", "note"), sentence, cure: set("DEFAULT") }];
        }
        const sentence = `${name} has no key: its rows are found by all their values, which is slow for large tables`;
        return [{ ...head("identity_full", "note"), sentence }];
      }
      if (identity === "d" ? key === "t" : index === "t") return [];
      const sentence = `${name} has no key that names its rows: ${effect}`;
      return [{ ...head("no_key"), sentence, cure: set(best) }];
    });
  });

/** A key without overlaps, since PostgreSQL 18, is an exclusion by another name. */
const DEFERRABLE = `${FAMILY}
  SELECT f.name, f.sql, c.conname, pg_catalog.quote_ident(c.conname),
    c.contype = 'x' OR pg_catalog.to_jsonb(c) ->> 'conperiod' IS NOT DISTINCT FROM 'true',
    pg_catalog.pg_get_constraintdef(c.oid)
  FROM family AS f JOIN pg_catalog.pg_constraint AS c ON c.conrelid = f.oid
  WHERE c.condeferrable AND c.contype IN ('p', 'u', 'x') AND pg_catalog.to_jsonb(c) ->> 'conparentid' = '0'
  ORDER BY f.name, c.conname`;

/**
 * What may be checked at COMMIT only is not checked at all by a server for a session in the replica role. The applier looks
 * unique keys up by itself, exclusions it does not.
 */
export const deferrableConstraints: Check = (exam) =>
  onBothSides(async (side) => {
    const rows = await exam[side](DEFERRABLE, [oidsOf(exam, side)]);
    return rows.map((row): Finding => {
      const [name = "", sql = "", constraint = "", quoted = "", excludes, definition = ""] = texts(
        row,
        6,
      );
      const immediate = definition.replace(/ DEFERRABLE( INITIALLY DEFERRED)?$/, "");
      const drop = `DROP CONSTRAINT ${quoted}, ADD CONSTRAINT ${quoted} ${immediate}`;
      const cure = { at: side, lines: [`ALTER TABLE ${sql} ${drop}`] };
      const late = `${constraint} of ${name} may be checked at COMMIT only`;
      if (excludes === "t") {
        const sentence = `${late}, and ${sideName(side)} does not check it for what is applied: rows that exclude one another would stay there without a word; have it checked at once while the migration runs`;
        return { ...about("deferrable_exclusion", "warning", side, name), sentence, cure };
      }
      const sentence = `${late}: it cannot name rows, and what is applied has to be looked up for it, which is slow`;
      return { ...about("deferrable", "warning", side, name), sentence, cure };
    });
  });

const UNIQUE_INDEXES = `
  SELECT i.indrelid, n.nspname || '.' || t.relname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname),
    pg_catalog.pg_get_indexdef(i.indexrelid), EXISTS (SELECT FROM pg_catalog.pg_constraint AS o WHERE o.conindid = i.indexrelid
      AND o.conrelid = i.indrelid), pg_catalog.format('%I.%I', n.nspname, t.relname), pg_catalog.quote_ident(c.relname)
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
  WHERE i.indrelid = ANY ($1::pg_catalog.oid[]) AND i.indisunique AND NOT i.indisprimary ORDER BY 2, 3`;

/** A NEW that is stricter than OLD refuses rows which the application got written. */
export const uniqueIndexes: Check = async (exam) => {
  const sources = new Map<string, Set<string>>();
  for (const row of await exam.old(UNIQUE_INDEXES, [oidsOf(exam, "old")])) {
    const [, name = "", , , definition = ""] = texts(row, 5);
    const known = sources.get(name) ?? new Set();
    sources.set(name, known.add(shapeOf(definition)));
  }
  const rows = await exam.new(UNIQUE_INDEXES, [oidsOf(exam, "new")]);
  return rows.flatMap((row): Finding[] => {
    const [
      ,
      name = "",
      index = "",
      sql = "",
      definition = "",
      isConstraint,
      table = "",
      quoted = "",
    ] = texts(row, 8);
    const pair = exam.tables.find(({ target }) => `${target.schema}.${target.name}` === name);
    const source = pair === undefined ? name : `${pair.source.schema}.${pair.source.name}`;
    if (sources.get(source)?.has(shapeOf(definition)) === true) return [];
    const drop =
      isConstraint === "t" ? `ALTER TABLE ${table} DROP CONSTRAINT ${quoted}` : `DROP INDEX ${sql}`;
    return [
      {
        ...about("stricter_unique", "warning", "new", name),
        sentence: `${index} makes ${name} on NEW unique where OLD is not: rows that OLD takes are refused on NEW`,
        cure: { at: "new", lines: [drop] },
      },
    ];
  });
};

/** What an index is on, without its own name and that of its table. */
function shapeOf(definition: string): string {
  return definition.slice(definition.indexOf(" USING "));
}
