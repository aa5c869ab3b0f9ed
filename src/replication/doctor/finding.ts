/** `blocker`: the migration would fail. `warning`: it would surprise. `note`: worth knowing. */
export type Severity = "blocker" | "warning" | "note";

export type DoctorSide = "old" | "new";

/** What makes a finding vanish, to be copied as it stands. */
export type Cure = {
  /** Where: as SQL in one of the databases, by somebody who may; a line of a file; a command of a shell. */
  readonly at: DoctorSide | "configuration" | "pg_hba.conf" | "shell";
  /** Statements without a semicolon, to be run one by one, outside of a transaction; or lines. */
  readonly lines: readonly string[];
  /** What the server needs afterwards. */
  readonly afterwards?: "restart" | "reload" | undefined;
};

/** One reason why a migration would fail or surprise. */
export type Finding = {
  /** Name of the check, as in `wal_level`. */
  readonly check: string;
  readonly severity: Severity;
  readonly side: DoctorSide;
  /** The table, role, setting, … it is about; undefined for the server or database as a whole. */
  readonly subject: string | undefined;
  readonly sentence: string;
  readonly cure: Cure | undefined;
};

/** What was looked at and what was found, the worst first. */
export type DoctorReport = {
  readonly migration: string;
  readonly servers: Readonly<Record<DoctorSide, ServerFacts>>;
  readonly tables: number;
  readonly findings: readonly Finding[];
  readonly counts: Readonly<Record<Severity, number>>;
};

export type ServerFacts = {
  /** As in `server_version_num`. */
  readonly version: number;
  readonly database: string;
  /** The admin role. */
  readonly role: string;
  readonly superuser: boolean;
  readonly databaseBytes: number;
};

const RANK: Readonly<Record<Severity, number>> = { blocker: 0, warning: 1, note: 2 };

/** The worst first, else in the order of the checks. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => RANK[a.severity] - RANK[b.severity]);
}

export function countFindings(findings: readonly Finding[]): DoctorReport["counts"] {
  const of = (severity: Severity): number =>
    findings.filter((finding) => finding.severity === severity).length;
  return { blocker: of("blocker"), warning: of("warning"), note: of("note") };
}

/** The fixed part of a finding: check, severity, side and subject, without a cure. */
export function about(
  check: string,
  severity: Severity,
  side: DoctorSide,
  subject?: string,
): Pick<Finding, "check" | "severity" | "side" | "subject" | "cure"> {
  return { check, severity, side, subject, cure: undefined };
}
