import { quoteIdent, quoteLiteral } from "../table-shape.ts";
import type { Check, Exam } from "./exam.ts";
import { oidsOf, onBothSides, sideName, texts } from "./exam.ts";
import { FAMILY } from "./family.ts";
import type { DoctorSide, Finding } from "./finding.ts";
import { about } from "./finding.ts";
import { probe } from "./probe.ts";

/** A replication connection is opened for real: the attribute, pg_hba.conf and free senders all decide about it. */
export const replicationLogin: Check = (exam) =>
  onBothSides(async (side) => {
    const login = await exam.replicationLogin(side);
    if (login.kind === "in") return [];
    const { role } = exam.servers[side];
    const head = about("replication_login", "blocker", side, role);
    const said = `${sideName(side)} refuses a replication connection of ${role}: ${login.message} (${login.sqlstate})`;
    if (login.sqlstate === "28000" && login.message.includes("pg_hba.conf"))
      return [{ ...head, sentence: said, cure: await hbaLine(exam, side) }];
    const cure = { at: side, lines: [`ALTER ROLE ${quoteIdent(role)} REPLICATION`] };
    return [{ ...head, sentence: said, cure: login.sqlstate === "53300" ? undefined : cure }];
  });

/** A logical replication connection names its database; the word `replication` in pg_hba.conf is for physical ones. */
async function hbaLine(exam: Exam, side: DoctorSide): Promise<NonNullable<Finding["cure"]>> {
  const [row] = await exam[side](
    `SELECT pg_catalog.host(pg_catalog.inet_client_addr()), pg_catalog.family(pg_catalog.inet_client_addr()),
       (SELECT s.ssl FROM pg_catalog.pg_stat_ssl AS s WHERE s.pid = pg_catalog.pg_backend_pid())`,
  );
  const [address = "", family = "", ssl = ""] = texts(row ?? [], 3);
  const { database, role } = exam.servers[side];
  const width = family === "6" ? 128 : 32;
  const kind = ssl === "t" ? "hostssl" : "host";
  const line = `${kind} ${quoteIdent(database)} ${quoteIdent(role)} ${address}/${width} scram-sha-256`;
  return { at: "pg_hba.conf", lines: [line], afterwards: "reload" };
}

const OWN_OBJECTS = `
  SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
    (SELECT pg_catalog.pg_has_role(n.nspowner, 'USAGE') FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'twinwire')`;

/** The schema twinwire and publications. */
export const ownObjects: Check = (exam) =>
  onBothSides(async (side) => {
    const { role, database } = exam.servers[side];
    const [row] = await exam[side](OWN_OBJECTS);
    const findings: Finding[] = [];
    if (row?.[0] !== "t") {
      findings.push({
        ...about("create_in_database", "blocker", side, role),
        sentence: `${role} may not create a schema or publication in ${database} on ${sideName(side)}`,
        cure: {
          at: side,
          lines: [`GRANT CREATE ON DATABASE ${quoteIdent(database)} TO ${quoteIdent(role)}`],
        },
      });
    }
    if (row?.[1] === "f") {
      findings.push({
        ...about("own_schema", "blocker", side, role),
        sentence: `the schema twinwire on ${sideName(side)} belongs to another role than ${role}`,
        cure: { at: side, lines: [`ALTER SCHEMA twinwire OWNER TO ${quoteIdent(role)}`] },
      });
    }
    return findings;
  });

const TABLE_RIGHTS = `${FAMILY}
  SELECT f.name, f.sql, pg_catalog.pg_has_role(f.relowner, 'USAGE'),
    pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(f.relowner)),
    pg_catalog.has_table_privilege(f.oid, 'SELECT'),
    (SELECT pg_catalog.string_agg(p.name, ', ' ORDER BY p.place)
     FROM pg_catalog.unnest('{INSERT,UPDATE,DELETE,TRUNCATE}'::pg_catalog.text[]) WITH ORDINALITY AS p(name, place)
     WHERE NOT pg_catalog.has_table_privilege(f.oid, p.name)),
    pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE'), pg_catalog.quote_ident(n.nspname)
  FROM family AS f JOIN pg_catalog.pg_class AS c ON c.oid = f.oid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE f.oid = f.root ORDER BY f.name`;

/** The server's own answer to what the admin role may do with each table; either side is read and written. */
export const tableRights: Check = (exam) =>
  onBothSides(async (side) => {
    const { role } = exam.servers[side];
    const to = quoteIdent(role);
    const rows = await exam[side](TABLE_RIGHTS, [oidsOf(exam, side)]);
    const writing = side === "new" ? "blocker" : "warning";
    const back = side === "new" ? "" : ", which the way back needs";
    return rows.flatMap((row): Finding[] => {
      const [name = "", sql = "", owns, owner = "", reads, missing = "", uses, schema = ""] = texts(
        row,
        8,
      );
      const found: Finding[] = [];
      const add = (check: string, severity: Finding["severity"], sentence: string, line: string) =>
        void found.push({
          ...about(check, severity, side, name),
          sentence,
          cure: { at: side, lines: [line] },
        });
      if (owns !== "t") {
        const sentence = `only its owner ${owner} can publish ${name} on ${sideName(side)}, and ${role} is no member of it`;
        add(
          "table_owner",
          side === "old" ? "blocker" : "warning",
          sentence,
          `GRANT ${owner} TO ${to}`,
        );
      }
      if (uses !== "t") {
        const sentence = `${role} may not use the schema of ${name} on ${sideName(side)}`;
        add("schema_usage", "blocker", sentence, `GRANT USAGE ON SCHEMA ${schema} TO ${to}`);
      }
      if (reads !== "t") {
        const sentence = `${role} may not read ${name} on ${sideName(side)}`;
        add("table_select", "blocker", sentence, `GRANT SELECT ON ${sql} TO ${to}`);
      }
      if (missing !== "") {
        const sentence = `${role} may not ${missing} ${name} on ${sideName(side)}${back}`;
        add("table_write", writing, sentence, `GRANT ${missing} ON ${sql} TO ${to}`);
      }
      return found;
    });
  });

const SEQUENCE_RIGHTS = `
  SELECT n.nspname || '.' || c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname)
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> 'twinwire'
    AND CASE WHEN c.relkind = 'S' THEN NOT (pg_catalog.has_sequence_privilege(c.oid, 'UPDATE')
      AND pg_catalog.has_sequence_privilege(c.oid, 'SELECT')) END
  ORDER BY 1`;

export const sequenceRights: Check = (exam) =>
  onBothSides(async (side) => {
    const { role } = exam.servers[side];
    const rows = await exam[side](SEQUENCE_RIGHTS);
    return rows.map((row) => {
      const [name = "", sql = ""] = texts(row, 2);
      return {
        ...about("sequence_rights", "warning", side, name),
        sentence: `${role} may not read and set the sequence ${name} on ${sideName(side)}`,
        cure: {
          at: side,
          lines: [`GRANT SELECT, UPDATE ON SEQUENCE ${sql} TO ${quoteIdent(role)}`],
        },
      };
    });
  });

const ORIGIN_FUNCTIONS = [
  "pg_replication_origin_create(text)",
  "pg_replication_origin_drop(text)",
  "pg_replication_origin_oid(text)",
  "pg_replication_origin_session_setup(text)",
  "pg_replication_origin_session_reset()",
  "pg_replication_origin_xact_setup(pg_lsn, timestamp with time zone)",
];

const ORIGIN_RIGHTS = `
  SELECT f.name FROM pg_catalog.json_array_elements_text($1::pg_catalog.json) AS f(name)
  WHERE NOT pg_catalog.has_function_privilege('pg_catalog.' || f.name, 'EXECUTE')`;

/** What can be done without, at a price. */
export const substitutable: Check = (exam) =>
  onBothSides(async (side) => {
    const { role, version } = exam.servers[side];
    const to = quoteIdent(role);
    const findings: Finding[] = [];
    const replica = await probe(exam[side], ["SET LOCAL session_replication_role = replica"]);
    if (replica !== undefined) {
      const line =
        version >= 150_000
          ? `GRANT SET ON PARAMETER session_replication_role TO ${to}`
          : `ALTER ROLE ${to} SUPERUSER`;
      findings.push({
        ...about("session_replication_role", "warning", side, role),
        sentence: `${role} may not set session_replication_role on ${sideName(side)}: triggers and foreign keys work on what is applied there as on the application's own changes`,
        cure: { at: side, lines: [line] },
      });
    }
    const missing = await exam[side](ORIGIN_RIGHTS, [JSON.stringify(ORIGIN_FUNCTIONS)]);
    if (missing.length > 0) {
      findings.push({
        ...about("replication_origin", "note", side, role),
        sentence: `${role} may not use replication origins on ${sideName(side)}: what Twinwire applied is told from the rest by its row in twinwire.progress, which is read and dropped`,
        cure: {
          at: side,
          lines: missing.map(
            ([name]) => `GRANT EXECUTE ON FUNCTION pg_catalog.${name ?? ""} TO ${to}`,
          ),
        },
      });
    }
    return [...findings, ...(await ddlNotice(exam, side))];
  });

async function ddlNotice(exam: Exam, side: DoctorSide): Promise<Finding[]> {
  const { role } = exam.servers[side];
  const name = quoteIdent(`twinwire_probe_${exam.servers[side].database}`);
  const refused = await probe(exam[side], [
    `CREATE SCHEMA ${name}`,
    `CREATE FUNCTION ${name}.f() RETURNS event_trigger LANGUAGE plpgsql AS ${quoteLiteral("BEGIN END")}`,
    `CREATE EVENT TRIGGER ${name} ON ddl_command_end EXECUTE FUNCTION ${name}.f()`,
  ]);
  if (refused === undefined) return [];
  return [
    {
      ...about("event_trigger", "note", side, role),
      sentence: `${role} may not create event triggers on ${sideName(side)}: a changed table is noticed by the next change of its rows`,
      cure: { at: side, lines: [`ALTER ROLE ${quoteIdent(role)} SUPERUSER`] },
    },
  ];
}
