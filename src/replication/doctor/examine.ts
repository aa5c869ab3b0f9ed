import { AdminQueryError } from "../../upstream/admin-client.ts";
import type { Ask } from "../read-shapes.ts";
import type { TableName } from "../table-shape.ts";
import type { Check, Exam, ExamineDeps, ExaminedTable } from "./exam.ts";
import { texts } from "./exam.ts";
import { locales, openTransactions, settings } from "./environment-checks.ts";
import type { DoctorReport, Finding, ServerFacts } from "./finding.ts";
import { about, countFindings, sortFindings } from "./finding.ts";
import { deferrableConstraints, replicaIdentity, uniqueIndexes } from "./identity-checks.ts";
import { idleSlots, leftPublications, otherWriters } from "./neighbour-checks.ts";
import { extensions, types } from "./object-checks.ts";
import {
  ownObjects,
  replicationLogin,
  sequenceRights,
  substitutable,
  tableRights,
} from "./privilege-checks.ts";
import { applicationRoles } from "./role-checks.ts";
import { logicalDecoding, serverVersions, slotLimits, walRate } from "./server-checks.ts";
import { tableProperties, whatStays } from "./table-checks.ts";
import { sequences, smallKeys } from "./sequence-checks.ts";
import { emptyTargets, foreignKeys, missingTargets } from "./target-checks.ts";

/** In the order of the report, severities aside. */
const CHECKS: Readonly<Record<string, Check>> = {
  serverVersions,
  logicalDecoding,
  slotLimits,
  replicationLogin,
  ownObjects,
  tableRights,
  sequenceRights,
  substitutable,
  replicaIdentity,
  deferrableConstraints,
  uniqueIndexes,
  tableProperties,
  whatStays,
  missingTargets,
  emptyTargets,
  foreignKeys,
  extensions,
  types,
  locales,
  settings,
  applicationRoles,
  sequences,
  smallKeys,
  openTransactions,
  otherWriters,
  idleSlots,
  leftPublications,
  walRate,
};

const SERVER = `
  SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_database(), CURRENT_USER,
    pg_catalog.current_setting('is_superuser'), pg_catalog.pg_database_size(pg_catalog.current_database())`;

const PRESENT = `
  SELECT n.nspname, c.relname, c.oid
  FROM pg_catalog.json_to_recordset($1::pg_catalog.json) AS w(schema text, name text)
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
  WHERE c.relkind IN ('r', 'p') ORDER BY 1, 2`;

/**
 * Looks for every reason why the migration would fail or surprise. Changes nothing: what can only be told by trying is
 * tried in a statement that the server takes back.
 * @throws CodedError when a database cannot be asked
 */
export async function examine(deps: ExamineDeps): Promise<DoctorReport> {
  const servers = { old: await serverFacts(deps.old), new: await serverFacts(deps.new) };
  const { tables } = deps;
  const exam: Exam = {
    ...deps,
    servers,
    present: {
      old: await existing(
        deps.old,
        tables.map(({ source }) => source),
      ),
      new: await existing(
        deps.new,
        tables.map(({ target }) => target),
      ),
    },
  };
  const findings: Finding[] = [...deps.mappingFindings];
  if (tables.length === 0) {
    findings.push({
      ...about("tables", "blocker", "old"),
      sentence: "no table is chosen to be moved",
      cure: {
        at: "configuration",
        lines: [`replication: { managed: true, tables: ["public.*"] }`],
      },
    });
  }
  for (const [name, check] of Object.entries(CHECKS))
    findings.push(...(await run(name, check, exam)));
  return {
    migration: deps.migration,
    servers,
    tables: exam.present.old.length,
    findings: sortFindings(findings),
    counts: countFindings(findings),
  };
}

/** A look that the server refuses is itself found: nobody may take silence for health. */
async function run(name: string, check: Check, exam: Exam): Promise<readonly Finding[]> {
  try {
    return await check(exam);
  } catch (error) {
    if (!(error instanceof AdminQueryError)) throw error;
    const sentence = `this could not be looked at (${name}): ${error.message}`;
    return [{ ...about("not_examined", "warning", "old", name), sentence }];
  }
}

async function serverFacts(ask: Ask): Promise<ServerFacts> {
  const [row] = await ask(SERVER);
  const [version, database = "", role = "", superuser, bytes] = texts(row ?? [], 5);
  return {
    version: Number(version),
    database,
    role,
    superuser: superuser === "on",
    databaseBytes: Number(bytes),
  };
}

async function existing(ask: Ask, names: readonly TableName[]): Promise<ExaminedTable[]> {
  const rows = await ask(PRESENT, [JSON.stringify(names)]);
  return rows.map((row) => {
    const [schema = "", name = "", oid = ""] = texts(row, 3);
    return { schema, name, oid };
  });
}
