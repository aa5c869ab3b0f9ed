import type { AdminRows } from "../../upstream/admin-client.ts";
import type { Ask } from "../read-shapes.ts";
import type { TableName } from "../table-shape.ts";
import type { DoctorSide, Finding, ServerFacts } from "./finding.ts";

/** How a login for replication ended; none stays open. */
export type ReplicationLogin =
  | { readonly kind: "in" }
  | { readonly kind: "refused"; readonly sqlstate: string; readonly message: string };

export type ExamineDeps = {
  readonly migration: string;
  /** As the admin roles, with the settings that these roles have: `AdminClient.query`. */
  readonly old: Ask;
  readonly new: Ask;
  /** Opens a replication connection to this side as the admin role and closes it. @throws when the server cannot be reached */
  readonly replicationLogin: (side: DoctorSide) => Promise<ReplicationLogin>;
  /** What is moved, by the names on OLD and on NEW. */
  readonly tables: readonly { readonly source: TableName; readonly target: TableName }[];
  /** Roles the application logs in as. */
  readonly applicationRoles: readonly string[];
  /** What compiling the mapping found, reported as it is. */
  readonly mappingFindings: readonly Finding[];
  /** How much WAL the migration may hold on a source. */
  readonly walBudgetBytes: number;
  /** Older transactions are reported; a minute unless given. */
  readonly longTransactionMs?: number | undefined;
  readonly sleep: (ms: number) => Promise<void>;
  /** The major version of the newest `pg_dump` at hand, for copying the schema; undefined without one. */
  readonly pgDumpMajor: number | undefined;
};

/** A table that exists on the side in question. */
export type ExaminedTable = TableName & { readonly oid: string };

/** What the checks of one examination share. */
export type Exam = ExamineDeps & {
  readonly servers: Readonly<Record<DoctorSide, ServerFacts>>;
  /** The tables that are moved, as far as they exist on the side. */
  readonly present: Readonly<Record<DoctorSide, readonly ExaminedTable[]>>;
};

/** A check looks, changes nothing, and says what it found. */
export type Check = (exam: Exam) => Promise<readonly Finding[]>;

/** `OLD`. */
export function sideName(side: DoctorSide): string {
  return side.toUpperCase();
}

/** Runs a check for both sides, one after the other. */
export async function onBothSides(
  look: (side: DoctorSide) => Promise<readonly Finding[]>,
): Promise<Finding[]> {
  return [...(await look("old")), ...(await look("new"))];
}

/** Oids of what is moved on a side, as the text of an array. */
export function oidsOf(exam: Exam, side: DoctorSide): string {
  return `{${exam.present[side].map(({ oid }) => oid).join(",")}}`;
}

/** A row's values; NULL and what is not there become the empty text. */
export function texts(row: AdminRows[number], count: number): string[] {
  return Array.from({ length: count }, (_unused, index) => row[index] ?? "");
}
