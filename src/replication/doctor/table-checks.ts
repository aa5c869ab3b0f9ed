import type { Check, Exam } from "./exam.ts";
import { oidsOf, sideName, texts } from "./exam.ts";
import { FAMILY } from "./family.ts";
import type { DoctorSide, Finding, Severity } from "./finding.ts";
import { about } from "./finding.ts";

/** One statement over `$1`, the oids of what is moved, and what a row of it means. */
type TableLook = {
  readonly check: string;
  readonly sides: readonly DoctorSide[];
  readonly severity: Severity | ((side: DoctorSide) => Severity);
  /** The first column is the table's name for people, the second the name quoted. */
  readonly sql: string;
  readonly say: (row: readonly string[], side: DoctorSide) => string;
  /** Statements for the same side. */
  readonly cure?: (row: readonly string[]) => readonly string[];
};

const BOTH: readonly DoctorSide[] = ["old", "new"];

const LOOKS: readonly TableLook[] = [
  {
    check: "trigger",
    sides: BOTH,
    severity: "warning",
    sql: `${FAMILY}
      SELECT f.name, f.sql, t.tgname, pg_catalog.quote_ident(t.tgname), t.tgenabled
      FROM family AS f JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = f.oid
      WHERE NOT t.tgisinternal AND t.tgenabled IN ('A', 'R') ORDER BY 1, 3`,
    say: ([name, , trigger, , mode], side) =>
      `the trigger ${trigger} of ${name} is ENABLE ${mode === "A" ? "ALWAYS" : "REPLICA"}: it fires on ${sideName(side)} for every change that is applied there, beside what it did where the change was made`,
    cure: ([, sql, , trigger]) => [`ALTER TABLE ${sql} ENABLE TRIGGER ${trigger}`],
  },
  {
    check: "rule",
    sides: BOTH,
    severity: "warning",
    sql: `${FAMILY}
      SELECT f.name, f.sql, r.rulename, pg_catalog.quote_ident(r.rulename)
      FROM family AS f JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = f.oid
      WHERE r.ev_type <> '1' AND r.ev_enabled IN ('A', 'R') ORDER BY 1, 3`,
    say: ([name, , rule], side) =>
      `the rule ${rule} of ${name} rewrites changes that are applied on ${sideName(side)}`,
    cure: ([, sql, , rule]) => [`ALTER TABLE ${sql} ENABLE RULE ${rule}`],
  },
  {
    check: "rule_of_application",
    sides: BOTH,
    severity: "note",
    sql: `${FAMILY}
      SELECT f.name, f.sql, r.rulename
      FROM family AS f JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = f.oid
      WHERE r.ev_type <> '1' AND r.ev_enabled = 'O' ORDER BY 1, 3`,
    say: ([name, , rule], side) =>
      `the rule ${rule} of ${name} would rewrite changes applied on ${sideName(side)} by a role that cannot set session_replication_role`,
  },
  {
    check: "generated",
    sides: ["old"],
    severity: "note",
    sql: `
      SELECT n.nspname || '.' || c.relname, '', a.attname
      FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND a.attgenerated <> '' AND NOT a.attisdropped ORDER BY 1, 3`,
    say: ([name, , column]) =>
      `${name}.${column} is generated: NEW computes it anew, it does not travel`,
  },
  {
    check: "identity_always",
    sides: BOTH,
    severity: "note",
    sql: `
      SELECT n.nspname || '.' || c.relname, '', a.attname
      FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND a.attidentity = 'a' AND NOT a.attisdropped ORDER BY 1, 3`,
    say: ([name, , column], side) =>
      `${name}.${column} is GENERATED ALWAYS AS IDENTITY on ${sideName(side)}: its values travel by OVERRIDING SYSTEM VALUE`,
  },
  {
    check: "unlogged",
    sides: BOTH,
    severity: "blocker",
    sql: `${FAMILY}
      SELECT f.name, f.sql FROM family AS f WHERE f.relpersistence = 'u' AND f.relkind = 'r' ORDER BY 1`,
    say: ([name], side) =>
      `${name} is unlogged on ${sideName(side)}: no log carries its changes, and a crash empties it`,
    cure: ([, sql]) => [`ALTER TABLE ${sql} SET LOGGED`],
  },
  {
    check: "foreign_partition",
    sides: BOTH,
    severity: "blocker",
    sql: `${FAMILY}
      SELECT f.name, f.sql, pg_catalog.format('%I.%I', n.nspname, p.relname)
      FROM family AS f JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = f.oid
      JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace AS n ON n.oid = p.relnamespace
      WHERE f.relkind = 'f' ORDER BY 1`,
    say: ([name], side) =>
      `${name} is a partition on another server: ${sideName(side)} has no log of it`,
    cure: ([, sql, parent]) => [`ALTER TABLE ${parent} DETACH PARTITION ${sql}`],
  },
  {
    check: "partitioned",
    sides: ["old"],
    severity: "note",
    sql: `${FAMILY}
      SELECT f.name, f.sql FROM family AS f WHERE f.relkind = 'p' AND f.oid = f.root ORDER BY 1`,
    say: ([name]) =>
      `${name} is partitioned: it travels as a whole, and NEW may be partitioned otherwise`,
  },
  {
    check: "single_partition",
    sides: BOTH,
    severity: (side) => (side === "old" ? "warning" : "note"),
    sql: `${FAMILY}
      SELECT DISTINCT r.name, r.sql FROM family AS f JOIN family AS r ON r.oid = f.root AND r.relkind = 'p'
      WHERE f.oid <> f.root ORDER BY 1`,
    say: ([name], side) => {
      const other = sideName(side === "old" ? "new" : "old");
      return `what is done to a single partition of ${name} on ${sideName(side)} is in no publication: its TRUNCATE, DETACH or DROP leaves its rows on ${other}, and rows of a table that is attached do not come there; DELETE the rows first, attach partitions empty, or wait until the migration has ended`;
    },
  },
  {
    check: "inheritance",
    sides: BOTH,
    severity: "warning",
    sql: `
      SELECT cn.nspname || '.' || c.relname, pg_catalog.format('%I.%I', cn.nspname, c.relname),
        pn.nspname || '.' || p.relname, pg_catalog.format('%I.%I', pn.nspname, p.relname)
      FROM pg_catalog.pg_inherits AS i
      JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.relnamespace
      JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
      WHERE p.relkind <> 'p' AND c.relkind = 'r'
        AND (i.inhparent = ANY ($1::pg_catalog.oid[]) OR i.inhrelid = ANY ($1::pg_catalog.oid[])) ORDER BY 1`,
    say: ([name, , parent], side) =>
      `${name} inherits from ${parent} on ${sideName(side)}: each is moved by itself, so both must be chosen, and a TRUNCATE of ${parent} empties both`,
    cure: ([, sql, , parent]) => [`ALTER TABLE ${sql} NO INHERIT ${parent}`],
  },
  {
    check: "row_security",
    sides: BOTH,
    severity: "blocker",
    sql: `${FAMILY}
      SELECT f.name, f.sql, pg_catalog.quote_ident(CURRENT_USER)
      FROM family AS f WHERE pg_catalog.row_security_active(f.oid) ORDER BY 1`,
    say: ([name], side) =>
      `row level security of ${name} hides rows on ${sideName(side)} from Twinwire's role, which would be missing on the other side`,
    cure: ([, , role]) => [`ALTER ROLE ${role} BYPASSRLS`],
  },
];

/** Everything about tables that one statement tells. */
export const tableProperties: Check = async (exam) => {
  const findings: Finding[] = [];
  for (const look of LOOKS) {
    for (const side of look.sides) findings.push(...(await lookAtTables(exam, look, side)));
  }
  return findings;
};

async function lookAtTables(exam: Exam, look: TableLook, side: DoctorSide): Promise<Finding[]> {
  const rows = await exam[side](look.sql, [oidsOf(exam, side)]);
  const severity = typeof look.severity === "function" ? look.severity(side) : look.severity;
  return rows.map((row) => {
    const values = texts(row, 5);
    const lines = look.cure?.(values);
    return {
      ...about(look.check, severity, side, values[0]),
      sentence: look.say(values, side),
      cure: lines === undefined ? undefined : { at: side, lines },
    };
  });
}

const FOREIGN_TABLES = `
  SELECT n.nspname || '.' || c.relname, n.nspname, c.relname, c.relkind
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('f', 'm') AND NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND n.nspname IN (SELECT pg_catalog.json_array_elements_text($1::pg_catalog.json))
  ORDER BY 1`;

/** What has rows and does not travel. */
export const whatStays: Check = async (exam) => {
  const schemas = [...new Set(exam.tables.map(({ source }) => source.schema))];
  const rows = await exam.old(FOREIGN_TABLES, [JSON.stringify(schemas)]);
  const findings = rows.map((row): Finding => {
    const [name = "", , , kind = ""] = texts(row, 4);
    const isView = kind === "m";
    return {
      ...about(
        isView ? "materialized_view" : "foreign_table",
        isView ? "note" : "warning",
        "old",
        name,
      ),
      sentence: isView
        ? `the materialized view ${name} does not travel: refresh it on NEW before the cutover`
        : `${name} is a foreign table: its rows are on another server, which NEW has to reach`,
    };
  });
  const [large] = await exam.old(
    "SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata",
  );
  if (Number(large?.[0] ?? 0) > 0) {
    findings.push({
      ...about("large_objects", "warning", "old"),
      sentence: `OLD has ${large?.[0] ?? ""} large objects: no log carries them; move them while the application does not write any`,
      cure: {
        at: "shell",
        lines: [
          `pg_dump -d "$OLD" -Fc --data-only --blobs --exclude-table='*.*' | pg_restore -d "$NEW"`,
        ],
      },
    });
  }
  return findings;
};
