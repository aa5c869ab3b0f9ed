import { builtinTypeName } from "./builtin-types.ts";
import { sameType } from "./columns.ts";
import type { CompareContext } from "./context.ts";
import { compareFirstRows } from "./compare-digests.ts";
import { compareRowSets } from "./compare-rows.ts";
import { newFinding } from "./explanation.ts";
import { pairColumns } from "./pair-columns.ts";
import type { StatementPolicy } from "./policy.ts";
import type { Result } from "./reply.ts";
import { rowsOf } from "./rows.ts";
import type { RowSets } from "./rows.ts";
import type { DifferenceReason, Finding, Verdict } from "./verdict.ts";

const MATCH: Verdict = { kind: "match" };

/** Compares what the two sides answered to one statement. */
export function compareResults(
  results: readonly [primary: Result, shadow: Result],
  index: number,
  context: CompareContext,
  policy: StatementPolicy,
): Verdict {
  const [primary, shadow] = results;
  if (primary.error !== undefined || shadow.error !== undefined) {
    return compareErrors(primary, shadow, index, policy);
  }
  const parameters = parameterFinding(results, index, context);
  if (parameters !== undefined) return divergent(parameters);
  const isDescribed = (result: Result): boolean =>
    result.fields !== undefined || result.rows.length > 0;
  if (isDescribed(primary) || isDescribed(shadow)) {
    const rows = compareAnswers(results, index, context, policy);
    if (rows.kind !== "match") return rows;
  }
  return compareTags(primary, shadow, index);
}

function divergent(finding: Finding): Verdict {
  return { kind: "divergent", finding };
}

function compareErrors(
  primary: Result,
  shadow: Result,
  statement: number,
  policy: StatementPolicy,
): Verdict {
  if (primary.error?.sqlstate === shadow.error?.sqlstate) return MATCH;
  const reason: DifferenceReason =
    primary.error === undefined
      ? "error_on_shadow"
      : shadow.error === undefined
        ? "error_on_primary"
        : "error_code";
  const states = [primary.error?.sqlstate, shadow.error?.sqlstate].filter((state) => state);
  const detail = `SQLSTATE ${states.join(" on the primary, ")}`;
  const onShadow = reason === "error_code" ? " on the shadow" : "";
  const place = { statement, detail: `${detail}${onShadow}` };
  const sides = { primary: outcome(primary), shadow: outcome(shadow) };
  const codes = [primary.error?.sqlstate, shadow.error?.sqlstate] as const;
  return codes[0] !== undefined && codes[1] !== undefined && policy.isAlike(codes[0], codes[1])
    ? { kind: "tolerated", finding: newFinding("error_code_alike", place, sides) }
    : divergent(newFinding(reason, place, sides));
}

function outcome({ error, tag, rows }: Result): string {
  if (error !== undefined) return `${error.sqlstate} ${error.message}`.trim();
  return tag ?? `${rows.length} rows`;
}

function parameterFinding(
  [primary, shadow]: readonly [Result, Result],
  statement: number,
  context: CompareContext,
): Finding | undefined {
  const ours = primary.parameters;
  const theirs = shadow.parameters;
  if (ours === undefined || theirs === undefined) return undefined;
  const { primaryTypes, shadowTypes } = context;
  const name = (oid: number | undefined, types: CompareContext["primaryTypes"]): string =>
    oid === undefined ? "none" : (types(oid) ?? builtinTypeName(oid) ?? `type ${oid}`);
  for (let index = 0; index < Math.max(ours.length, theirs.length); index++) {
    const a = ours[index];
    const b = theirs[index];
    if (a !== undefined && b !== undefined) {
      if (sameType(a, b, primaryTypes, shadowTypes) !== "other") continue;
    }
    const sides = { primary: name(a, primaryTypes), shadow: name(b, shadowTypes) };
    const detail = `parameter $${index + 1} is ${sides.primary} on the primary, ${sides.shadow} on the shadow`;
    return newFinding("column_type", { statement, detail }, sides);
  }
  return undefined;
}

function compareAnswers(
  results: readonly [Result, Result],
  index: number,
  context: CompareContext,
  policy: StatementPolicy,
): Verdict {
  const [primary, shadow] = results;
  const paired = pairColumns(results, index, context, policy);
  if (paired.kind === "apart") return divergentUnlessEmpty(paired.finding, primary, shadow);
  const sets: RowSets = { pairs: paired.pairs, primary: rowsOf(primary), shadow: rowsOf(shadow) };
  const statement = context.statements[index];
  const rows =
    primary.digest !== undefined && shadow.digest !== undefined
      ? compareFirstRows(sets, [primary.digest, shadow.digest], index, statement)
      : compareRowSets(sets, { index, statement, partial: isSuspended(primary, shadow) });
  if (rows.kind === "divergent" || rows.kind === "incomparable") return rows;
  if (paired.dropped) return { kind: "incomparable", reason: "rule" };
  return paired.alias === undefined ? rows : { kind: "tolerated", finding: paired.alias };
}

/** Rows without a description on one side say nothing about columns when there are none. */
function divergentUnlessEmpty(finding: Finding, primary: Result, shadow: Result): Verdict {
  const undescribed = [primary, shadow].some(
    ({ fields, rows }) => fields === undefined && rows.length === 0,
  );
  if (finding.reason !== "column_count" || !undescribed) return divergent(finding);
  const counts = [primary.rows.length, shadow.rows.length];
  if (counts[0] === counts[1]) return divergent(finding);
  const detail = `${counts[0]} on the primary, ${counts[1]} on the shadow`;
  return divergent(newFinding("row_count", { statement: finding.statement, detail }));
}

function isSuspended(primary: Result, shadow: Result): boolean {
  return primary.ending === "suspended" || shadow.ending === "suspended";
}

function compareTags(primary: Result, shadow: Result, statement: number): Verdict {
  if (primary.ending === shadow.ending && primary.tag === shadow.tag) return MATCH;
  return divergent(
    newFinding(
      "command_tag",
      { statement },
      { primary: outcome(primary), shadow: outcome(shadow) },
    ),
  );
}
