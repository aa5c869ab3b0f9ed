import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { MigrationConfig } from "../config/config.ts";
import { examine } from "../replication/doctor/examine.ts";
import type { ReplicationLogin } from "../replication/doctor/exam.ts";
import type { DoctorReport, Finding } from "../replication/doctor/finding.ts";
import { mappingFindings } from "../replication/doctor/mapping-findings.ts";
import { targetNameOf } from "../replication/mapping/mapping-input.ts";
import { expandTables } from "../replication/table-patterns.ts";
import type { TableName } from "../replication/table-shape.ts";
import { findPgDumps } from "../replication/schema/find-pg-dump.ts";
import type { AdminTarget } from "../upstream/admin-client.ts";
import { dial } from "../upstream/dial.ts";
import { openWorkSession } from "../upstream/work-session.ts";
import { errorFields } from "../wire/postgres/error-response.ts";
import { printJson } from "./command.ts";
import { EXIT } from "./exit.ts";
import { withDatabases } from "./standalone.ts";
import type { Databases } from "./standalone.ts";
import { wrap } from "./table.ts";
import type { Terminal } from "./terminal.ts";

const ALL_TABLES = ["*.*"];
const LOGIN_TIMEOUT_MS = 10_000;

/** Examines both databases of a migration. @returns 0 when nothing blocks it, 3 otherwise */
export async function doctor(
  terminal: Terminal,
  options: { readonly config: string; readonly migration?: string; readonly json?: boolean },
): Promise<number> {
  const report = await withDatabases(terminal, options, (databases) => look(terminal, databases));
  if (options.json === true) printJson(terminal, report);
  else printReport(terminal, report);
  return report.counts.blocker > 0 ? EXIT.refused : EXIT.fine;
}

async function look(terminal: Terminal, databases: Databases): Promise<DoctorReport> {
  const { config, targets } = databases;
  const { replication } = config;
  // Where someone else replicates, the doctor says what it would be for Twinwire to do so.
  const patterns = replication.tables.length > 0 ? replication.tables : ALL_TABLES;
  const sources = await expandTables(databases.old, patterns);
  const dumps = await findPgDumps(terminal.env);
  return examine({
    migration: config.name,
    old: databases.old,
    new: databases.new,
    replicationLogin: (side) => tryReplication(targets[side]),
    tables: sources.map((source) => ({
      source,
      target: targetNameOf(replication.mapping, source),
    })),
    applicationRoles: applicationRoles(config),
    mappingFindings: await findingsOfMapping(databases, sources),
    walBudgetBytes: replication.walBudgetBytes,
    sleep: (ms) => delay(ms),
    pgDumpMajor: dumps.at(-1)?.major,
  });
}

async function findingsOfMapping(
  { config, targets }: Databases,
  sources: readonly TableName[],
): Promise<Finding[]> {
  const options = { connectTimeoutMs: LOGIN_TIMEOUT_MS, applicationName: "twinwire" };
  const deps = { random: randomBytes };
  const old = await openWorkSession(targets.old, options, deps);
  try {
    const fresh = await openWorkSession(targets.new, options, deps);
    try {
      return await mappingFindings(old, fresh, config.replication.mapping, sources);
    } finally {
      await fresh.close();
    }
  } finally {
    await old.close();
  }
}

function applicationRoles(config: MigrationConfig): string[] {
  const roles = [config.old.url.user, ...config.auth.users.map(({ name }) => name)];
  return [...new Set(roles)];
}

/** Logs in as a reader of the log would, and goes. @throws CodedError when the server cannot be reached */
async function tryReplication(target: AdminTarget): Promise<ReplicationLogin> {
  const { user, password, database } = target;
  const outcome = await dial(
    {
      address: target,
      parameters: [
        ["user", user],
        ["database", database],
        ["application_name", "twinwire"],
        ["replication", "database"],
      ],
      credentials: password === undefined ? { kind: "none" } : { kind: "password", password },
      timeoutMs: LOGIN_TIMEOUT_MS,
    },
    { random: randomBytes },
  );
  switch (outcome.kind) {
    case "ready":
      outcome.server.socket.destroy();
      return { kind: "in" };
    case "refused": {
      const message = errorFields(outcome.errorFrame).get("M") ?? "";
      return { kind: "refused", sqlstate: outcome.sqlstate, message };
    }
    case "failed":
      throw outcome.error;
  }
}

function printReport(terminal: Terminal, report: DoctorReport): void {
  const { servers, findings, counts } = report;
  for (const side of ["old", "new"] as const) {
    const { version, database, role } = servers[side];
    const major = `${Math.floor(version / 10_000)}.${version % 10_000}`;
    terminal.out(`${side.toUpperCase()}  PostgreSQL ${major}, database ${database}, as ${role}\n`);
  }
  terminal.out(`${report.tables} tables are moved.\n`);
  for (const finding of findings) terminal.out(`\n${paragraph(terminal, finding)}`);
  terminal.out(
    counts.blocker + counts.warning + counts.note === 0
      ? "\nNothing was found.\n"
      : `\n${counts.blocker} blockers, ${counts.warning} warnings, ${counts.note} notes.\n`,
  );
}

const INDENT = " ".repeat(9);

/** SQL is never cut: it is there to be copied. */
function paragraph({ colors, columns }: Terminal, finding: Finding): string {
  const paint = { blocker: colors.red, warning: colors.yellow, note: colors.dim }[finding.severity];
  const label = paint(finding.severity.padEnd(INDENT.length));
  const text = `${finding.sentence} [${finding.check}]`;
  const lines = wrap(text, columns - INDENT.length, 20).join(`\n${INDENT}`);
  return `${label}${lines}\n${cureText(finding)}`;
}

function cureText({ cure }: Finding): string {
  if (cure === undefined) return "";
  const isSql = cure.at === "old" || cure.at === "new";
  const where = {
    old: "on OLD",
    new: "on NEW",
    configuration: "in the configuration",
    "pg_hba.conf": "in pg_hba.conf, before the line that refuses it",
    shell: "in a shell",
  }[cure.at];
  const lines = cure.lines.map((line) => `${INDENT}  ${line}${isSql ? ";" : ""}\n`).join("");
  const then = cure.afterwards === undefined ? "" : `${INDENT}then ${cure.afterwards} the server\n`;
  return `${INDENT}${where}:\n${lines}${then}`;
}
