import { quoteIdent, quoteTable, tableKey } from "../table-shape.ts";
import type { Check, Exam } from "./exam.ts";
import { texts } from "./exam.ts";
import type { Finding } from "./finding.ts";
import { about } from "./finding.ts";

const ROLE = "SELECT r.rolcanlogin, r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = $1";

/** Roles that the application's role is a member of, and so works through. */
const MEMBERSHIPS = `
  SELECT g.rolname FROM pg_catalog.pg_auth_members AS m
  JOIN pg_catalog.pg_roles AS g ON g.oid = m.roleid JOIN pg_catalog.pg_roles AS r ON r.oid = m.member
  WHERE r.rolname = $1 AND g.rolname !~ '^pg_' ORDER BY 1`;

/** `$1` the role, `$2` the tables' oids, in their order. */
const RIGHTS = `
  SELECT (SELECT pg_catalog.string_agg(p.name, ', ' ORDER BY p.place)
    FROM pg_catalog.unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::pg_catalog.text[]) WITH ORDINALITY AS p(name, place)
    WHERE pg_catalog.has_table_privilege($1::pg_catalog.name, o.oid, p.name)),
    pg_catalog.has_schema_privilege($1::pg_catalog.name, c.relnamespace, 'USAGE')
  FROM pg_catalog.unnest($2::pg_catalog.oid[]) WITH ORDINALITY AS o(oid, place)
  JOIN pg_catalog.pg_class AS c ON c.oid = o.oid ORDER BY o.place`;

const CONNECT =
  "SELECT pg_catalog.has_database_privilege($1::pg_catalog.name, pg_catalog.current_database(), 'CONNECT')";

/** Sequences that the role may draw from, by name. */
const SEQUENCES = `
  SELECT n.nspname || '.' || c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname)
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND n.nspname <> 'twinwire'
    AND CASE WHEN c.relkind = 'S' THEN pg_catalog.has_sequence_privilege($1::pg_catalog.name, c.oid, 'USAGE') END
      = $2::pg_catalog.bool ORDER BY 1`;

/** The application's roles exist on NEW and may do there what they may do on OLD. */
export const applicationRoles: Check = async (exam) => {
  const findings: Finding[] = [];
  for (const role of exam.applicationRoles) {
    const [onOld] = await exam.old(ROLE, [role]);
    const [onNew] = await exam.new(ROLE, [role]);
    if (onNew === undefined) {
      findings.push({
        ...about("role", "blocker", "new", role),
        sentence: `the application's role ${role} does not exist on NEW; give it its password there, too`,
        cure: { at: "new", lines: [`CREATE ROLE ${quoteIdent(role)} LOGIN`] },
      });
      continue;
    }
    if (onNew[0] !== "t") {
      findings.push({
        ...about("role", "blocker", "new", role),
        sentence: `the application's role ${role} may not log in on NEW`,
        cure: { at: "new", lines: [`ALTER ROLE ${quoteIdent(role)} LOGIN`] },
      });
    }
    if (onOld === undefined) continue;
    findings.push(...(await memberships(exam, role)), ...(await rights(exam, role)));
  }
  return findings;
};

async function memberships(exam: Exam, role: string): Promise<Finding[]> {
  const there = new Set((await exam.new(MEMBERSHIPS, [role])).map(([group]) => group));
  const missing = (await exam.old(MEMBERSHIPS, [role])).filter(
    ([group]) => !there.has(group ?? ""),
  );
  const findings: Finding[] = [];
  for (const [group] of missing) {
    const name = group ?? "";
    const [exists] = await exam.new(ROLE, [name]);
    const lines = [`GRANT ${quoteIdent(name)} TO ${quoteIdent(role)}`];
    findings.push({
      ...about("role_membership", "warning", "new", role),
      sentence: `${role} is a member of ${name} on OLD, and not on NEW`,
      cure: {
        at: "new",
        lines: exists === undefined ? [`CREATE ROLE ${quoteIdent(name)}`, ...lines] : lines,
      },
    });
  }
  return findings;
}

async function rights(exam: Exam, role: string): Promise<Finding[]> {
  const to = quoteIdent(role);
  const findings: Finding[] = [];
  const [connects] = await exam.new(CONNECT, [role]);
  if (connects?.[0] !== "t") {
    const database = quoteIdent(exam.servers.new.database);
    findings.push({
      ...about("role_rights", "blocker", "new", `${role}: database`),
      sentence: `${role} may not connect to the database on NEW`,
      cure: { at: "new", lines: [`GRANT CONNECT ON DATABASE ${database} TO ${to}`] },
    });
  }
  const pairs = exam.tables.flatMap(({ source, target }) => {
    const from = exam.present.old.find((each) => tableKey(each) === tableKey(source));
    const there = exam.present.new.find((each) => tableKey(each) === tableKey(target));
    return from === undefined || there === undefined ? [] : [{ from, there }];
  });
  const may = async (side: "old" | "new", oids: readonly string[]): Promise<string[][]> =>
    (await exam[side](RIGHTS, [role, `{${oids.join(",")}}`])).map((row) => texts(row, 2));
  const before = await may(
    "old",
    pairs.map(({ from }) => from.oid),
  );
  const after = await may(
    "new",
    pairs.map(({ there }) => there.oid),
  );
  for (const [index, { there }] of pairs.entries()) {
    const has = (after[index]?.[0] ?? "").split(", ");
    const lacks = (before[index]?.[0] ?? "")
      .split(", ")
      .filter((right) => right !== "" && !has.includes(right));
    const lines: string[] = [];
    if (lacks.length > 0) lines.push(`GRANT ${lacks.join(", ")} ON ${quoteTable(there)} TO ${to}`);
    if (before[index]?.[1] === "t" && after[index]?.[1] !== "t")
      lines.unshift(`GRANT USAGE ON SCHEMA ${quoteIdent(there.schema)} TO ${to}`);
    if (lines.length === 0) continue;
    findings.push({
      ...about("role_rights", "warning", "new", `${role}: ${tableKey(there)}`),
      sentence: `${role} may ${lacks.join(", ") || "use the schema of"} ${tableKey(there)} on OLD, and not on NEW`,
      cure: { at: "new", lines },
    });
  }
  return [...findings, ...(await sequenceRights(exam, role))];
}

async function sequenceRights(exam: Exam, role: string): Promise<Finding[]> {
  const before = new Set((await exam.old(SEQUENCES, [role, "true"])).map(([name]) => name));
  const lacking = (await exam.new(SEQUENCES, [role, "false"])).filter(([name]) =>
    before.has(name ?? ""),
  );
  return lacking.map(([name, sql]) => ({
    ...about("role_rights", "warning", "new", `${role}: ${name ?? ""}`),
    sentence: `${role} may draw from the sequence ${name ?? ""} on OLD, and not on NEW`,
    cure: { at: "new", lines: [`GRANT USAGE ON SEQUENCE ${sql ?? ""} TO ${quoteIdent(role)}`] },
  }));
}
