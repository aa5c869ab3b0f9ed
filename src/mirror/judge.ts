import type { RememberedShape } from "../compare/context.ts";
import type { Observation } from "../compare/observation.ts";
import type { Finding, Verdict } from "../compare/verdict.ts";
import type { Statement } from "../sql/statement.ts";
import { conclude } from "./conclude.ts";
import { differenceIn, doubt } from "./doubt.ts";
import type { JudgeDeps } from "./judge-deps.ts";
import type { Pair } from "./pair.ts";
import { recordExchange } from "./recheck/repeatable.ts";

/**
 * Compares the two observations of a pair and has the verdict written down: at once, or once a difference
 * has been asked about again.
 */
export function judgePair(deps: JudgeDeps, pair: Pair): void {
  const { primary, shadow } = pair;
  if (primary === undefined || shadow === undefined) {
    throw new Error("a pair is judged once both sides have been observed");
  }
  deps.described.learn(pair);
  recordLatencies(deps, pair, primary, shadow);
  const verdict = withoutVarying(deps, pair, verdictOf(deps, pair, primary, shadow));
  const judged = { statements: pair.statements, prepared: preparedIn(pair) };
  const difference = differenceIn(verdict);
  if (difference === undefined) conclude(deps, judged, verdict);
  else doubt(deps, pair, judged, difference);
  lookAtPlans(deps, pair);
}

/** From this share on of the times it was asked twice, and not before so many, a column is known to vary. */
const VARYING_SHARE = 0.2;
const ASKED_ENOUGH = 3;
/** Every so often it is asked again all the same: what varies may have stopped to. */
const ASKED_AGAIN = 64;

/** Leaves out of a difference the columns in which the primary is known to disagree with itself. */
function withoutVarying(deps: JudgeDeps, pair: Pair, verdict: Verdict): Verdict {
  const difference = differenceIn(verdict);
  const { primary, shadow } = pair;
  if (difference === undefined || primary === undefined || shadow === undefined) return verdict;
  const statement = pair.statements[difference.finding.statement];
  if (statement === undefined) return verdict;
  const { askedTwice, varies, incomparable } = deps.facts.of(statement).coverage;
  const reason = difference.excuse ?? "nondeterministic";
  if (askedTwice < ASKED_ENOUGH || !isOfRows(difference.finding)) return verdict;
  if ((incomparable.get(reason) ?? 0) % ASKED_AGAIN === 0) return verdict;
  const varying = [...varies].filter(([, times]) => times >= askedTwice * VARYING_SHARE);
  if (varying.length === 0) return verdict;
  const columns = varying.map(([column]) => column);
  const known = { kind: "incomparable", reason } as const;
  if (columns.includes("")) return known;
  const rest = compareOf(deps, pair, primary, shadow, columns);
  return rest.kind === "divergent" || differenceIn(rest) !== undefined ? rest : known;
}

/** Chance shows in rows and values, neither in errors nor in what columns there are. */
function isOfRows({ reason }: Finding): boolean {
  return !/^(?:error_|column_|command_tag|statement_count|transaction_status)/.test(reason);
}

/** Every so many answers it is looked whether a statement has become slower on the other side. */
const PLANS_LOOKED_AT = 64;

function lookAtPlans(deps: JudgeDeps, pair: Pair): void {
  const [statement] = pair.statements;
  if (statement === undefined || pair.statements.length !== 1 || pair.kind !== "mirror") return;
  const { compared } = deps.facts.of(statement).coverage;
  if (compared === 0 || compared % PLANS_LOOKED_AT !== 0) return;
  if (!deps.recorder.wantsPlans(statement, deps.clock.nowMs())) return;
  const repeatable = recordExchange(pair, deps.positions());
  if (repeatable.kind === "repeatable") {
    deps.askPlans(repeatable.exchange, pair.asker.credentials, statement);
  }
}

function preparedIn(pair: Pair): Statement | undefined {
  if (pair.statements.length > 0) return undefined;
  const [described] = pair.bound;
  for (const change of pair.changes) {
    if (change.type === "parse") return change.statement.statements[0];
  }
  return described?.statements[0];
}

function verdictOf(
  deps: JudgeDeps,
  pair: Pair,
  primary: Observation,
  shadow: Observation,
): Verdict {
  if (pair.cancelled) return { kind: "incomparable", reason: "cancelled" };
  if (shadow.kind === "lost") return { kind: "incomparable", reason: shadow.reason };
  if (primary.kind === "lost" && primary.reason === "overflow") {
    return { kind: "incomparable", reason: "overflow" };
  }
  if (deps.drifted(pair.statements)) return { kind: "incomparable", reason: "drifted" };
  const verdict = compareOf(deps, pair, primary, shadow, []);
  return pair.rehearsal === undefined ? verdict : deps.rehearsed(pair, verdict);
}

function compareOf(
  { compare, described }: JudgeDeps,
  pair: Pair,
  primary: Observation,
  shadow: Observation,
  ignored: readonly string[],
): Verdict {
  const { statements, rehearsal } = pair;
  const shape = (): RememberedShape | undefined => described.shapeOf(pair);
  const how = { generated: rehearsal?.generated, ignored };
  return compare(primary, shadow, statements, shape, how);
}

function recordLatencies(
  deps: JudgeDeps,
  pair: Pair,
  primary: Observation,
  shadow: Observation,
): void {
  // Behind others in one write, the time that an answer takes is theirs as well.
  if (!pair.timed) return;
  if (shadow.kind !== "lost") deps.shadowAnswered(shadow.elapsedMs);
  // What is rehearsed in place of a commit takes another time than one.
  if (pair.rehearsal !== undefined && pair.rehearsal.as !== "inside") return;
  const [statement] = pair.statements;
  if (pair.statements.length !== 1 || statement === undefined || shadow.kind === "lost") return;
  const side = deps.primarySide();
  const { coverage } = deps.facts.of(statement);
  coverage.recordLatency(side, primary.elapsedMs);
  coverage.recordLatency(side === "old" ? "new" : "old", shadow.elapsedMs);
}
