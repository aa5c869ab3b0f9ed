import { newFinding } from "../compare/explanation.ts";
import type { Finding, Verdict } from "../compare/verdict.ts";
import type { Statement } from "../sql/statement.ts";
import { errorFields } from "../wire/postgres/error-response.ts";
import type { Pair } from "./pair.ts";
import type { RehearsalTables } from "./rehearsal-tables.ts";
import { firstError } from "./rehearsed-answer.ts";

/**
 * What a verdict about a rehearsed exchange is worth. A rehearsal runs beside whoever replicates the
 * same rows, and cannot be repeated to make sure. So a difference stands only if no row of anybody can
 * have made it: by its kind, or because its tables were left alone; otherwise it is `raced`.
 */
export function rehearsalVerdict(tables: RehearsalTables, pair: Pair, verdict: Verdict): Verdict {
  const errors = { primary: errorOf(pair, "primary"), shadow: errorOf(pair, "shadow") };
  if (verdict.kind === "incomparable") {
    const waited = verdict.reason === "transient_error" && errors.shadow.sqlstate !== undefined;
    return waited ? RACED : verdict;
  }
  if (verdict.kind !== "divergent") return verdict;
  if (errors.primary.sqlstate === READ_ONLY) return { kind: "incomparable", reason: "read_only" };
  const { finding } = verdict;
  const statement = pair.statements[finding.statement];
  if (statement === undefined) return verdict;
  const behind = sequenceBehind(tables, statement, errors, finding);
  if (behind !== undefined) return { kind: "divergent", finding: behind };
  const isReal = standsAlone(tables, { pair, statement, finding, errors }) ?? isUndisturbed(pair);
  return isReal ? verdict : RACED;
}

type Difference = {
  readonly pair: Pair;
  readonly statement: Statement;
  readonly finding: Finding;
  readonly errors: { readonly primary: ReportedError; readonly shadow: ReportedError };
};

/** Whether a difference is real or is not by its kind; undefined when the rows have to be known for it. */
function standsAlone(
  tables: RehearsalTables,
  { pair, statement, finding, errors }: Difference,
): boolean | undefined {
  const codes = [errors.primary.sqlstate, errors.shadow.sqlstate].filter(
    (sqlstate) => sqlstate !== undefined,
  );
  if (SHAPES.has(finding.reason)) return true;
  if (codes.some((code) => isOfSchema(tables, statement, code))) return true;
  if (codes.length === 0 && isVague(tables, pair.statements, finding)) return false;
  const isOfValues = codes.every((code) => OF_THE_VALUES.test(code));
  return isOfValues && tables.isRowless(statement) ? true : undefined;
}

/** Nobody else can have changed the rows that it saw, nor its own commit. */
function isUndisturbed({ rehearsal, primaryFailed }: Pair): boolean {
  if (rehearsal === undefined) return true;
  // What failed on the primary by itself has committed nothing that could have come over.
  const early = rehearsal.early || (rehearsal.as !== "inside" && primaryFailed);
  return early && rehearsal.isQuiet();
}

type ReportedError = { readonly sqlstate: string | undefined; readonly constraint: string };

const RACED: Verdict = { kind: "incomparable", reason: "raced" };
const READ_ONLY = "25006";
const INSUFFICIENT_PRIVILEGE = "42501";
const UNIQUE_VIOLATION = "23505";
const SHAPES: ReadonlySet<string> = new Set(["column_count", "column_name", "column_type"]);
/** Syntax, missing objects, rights, what a version cannot do: no row has a say in it. */
const OF_THE_SCHEMA = /^(?:42|0A)/;
/** What the values of a new row break by themselves: data exceptions, NOT NULL, CHECK. */
const OF_THE_VALUES = /^(?:22|23502|23514)/;

function isOfSchema(tables: RehearsalTables, statement: Statement, sqlstate: string): boolean {
  if (sqlstate === INSUFFICIENT_PRIVILEGE && tables.guardsRows(statement)) return false;
  return OF_THE_SCHEMA.test(sqlstate);
}

/** Values that could not be told from those that each side makes for itself. */
function isVague(
  tables: RehearsalTables,
  statements: readonly Statement[],
  { reason }: Finding,
): boolean {
  if (reason === "large_result") return true;
  const isCount = reason === "command_tag" || reason === "row_count";
  return !isCount && (!tables.knowsWritten(statements) || tables.triggersOnBoth(statements));
}

function sequenceBehind(
  tables: RehearsalTables,
  statement: Statement,
  errors: { readonly primary: ReportedError; readonly shadow: ReportedError },
  { statement: index }: Finding,
): Finding | undefined {
  const { primary, shadow } = errors;
  if (primary.sqlstate !== undefined || shadow.sqlstate !== UNIQUE_VIOLATION) return undefined;
  if (!tables.isDrawnKey(statement, shadow.constraint)) return undefined;
  const detail = `the unique index is "${shadow.constraint}"`;
  return newFinding("sequence_behind", { statement: index, detail }, { shadow: UNIQUE_VIOLATION });
}

function errorOf(pair: Pair, side: "primary" | "shadow"): ReportedError {
  const error = firstError(pair[side]);
  if (error === undefined) return { sqlstate: undefined, constraint: "" };
  const fields = errorFields(error);
  return { sqlstate: fields.get("C"), constraint: fields.get("n") ?? "" };
}
