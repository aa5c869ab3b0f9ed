import type { Clock } from "../base/clock.ts";
import type { CompareContext, RememberedShape } from "../compare/context.ts";
import type { Observation } from "../compare/observation.ts";
import type { Finding, Verdict } from "../compare/verdict.ts";
import type { Recorder } from "../divergence/recorder.ts";
import type { Side } from "../routing/side.ts";
import type { Statement } from "../sql/statement.ts";
import type { DescribedStatements } from "./described-statements.ts";
import type { Pair } from "./pair.ts";
import type { FactsTable } from "./statement-facts.ts";

export type JudgeDeps = {
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly facts: FactsTable;
  readonly counters: VerdictCounters;
  readonly described: DescribedStatements;
  readonly compare: (
    primary: Observation,
    shadow: Observation,
    statements: readonly Statement[],
    remembered: () => RememberedShape | undefined,
    generated: CompareContext["generated"],
  ) => Verdict;
  /** What a verdict about a rehearsed pair is worth. */
  readonly rehearsed: (pair: Pair, verdict: Verdict) => Verdict;
  /** The shadow has answered; the primary's answers are counted where they arrive. */
  readonly shadowAnswered: (elapsedMs: number) => void;
  /** They read or write a table in which a write was lost on the shadow. */
  readonly drifted: (statements: readonly Statement[]) => boolean;
  readonly primarySide: () => Side;
};

/** Verdicts by exchange; the per-fingerprint ones are the recorder's. */
export type VerdictCounters = {
  match: number;
  tolerated: number;
  divergent: number;
  incomparable: Map<string, number>;
};

/** Compares the two observations of a pair and writes the verdict down. */
export function judgePair(deps: JudgeDeps, pair: Pair): Verdict {
  const { primary, shadow } = pair;
  if (primary === undefined || shadow === undefined) {
    throw new Error("a pair is judged once both sides have been observed");
  }
  deps.described.learn(pair);
  const verdict = verdictOf(deps, pair, primary, shadow);
  count(deps.counters, verdict);
  recordVerdict(deps, pair, verdict);
  recordLatencies(deps, pair, primary, shadow);
  return verdict;
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
  const { statements, rehearsal } = pair;
  const shape = (): RememberedShape | undefined => deps.described.shapeOf(pair);
  const verdict = deps.compare(primary, shadow, statements, shape, rehearsal?.generated);
  return rehearsal === undefined ? verdict : deps.rehearsed(pair, verdict);
}

function count(counters: VerdictCounters, verdict: Verdict): void {
  if (verdict.kind === "incomparable") {
    const before = counters.incomparable.get(verdict.reason) ?? 0;
    counters.incomparable.set(verdict.reason, before + 1);
  } else {
    counters[verdict.kind]++;
  }
}

/** A finding counts for its own statement; the other statements of the exchange matched. */
function recordVerdict(deps: JudgeDeps, pair: Pair, verdict: Verdict): void {
  if (pair.statements.length === 0 && verdict.kind === "divergent") {
    // Nothing was executed: the difference is in what was prepared and described.
    const [prepared] = pair.changes.flatMap((change) =>
      change.type === "parse" ? change.statement.statements : [],
    );
    if (prepared !== undefined) recordDivergence(deps, pair, prepared, verdict.finding);
  }
  pair.statements.forEach((statement, index) => {
    const { coverage } = deps.facts.of(statement);
    if (verdict.kind === "incomparable") {
      const before = coverage.incomparable.get(verdict.reason) ?? 0;
      coverage.incomparable.set(verdict.reason, before + 1);
      return;
    }
    coverage.compared++;
    if (verdict.kind === "match" || verdict.finding.statement !== index) {
      coverage.match++;
      return;
    }
    coverage[verdict.kind]++;
    const { finding } = verdict;
    if (verdict.kind === "tolerated") {
      const before = coverage.toleratedReasons.get(finding.reason) ?? 0;
      coverage.toleratedReasons.set(finding.reason, before + 1);
      return;
    }
    recordDivergence(deps, pair, statement, finding);
  });
}

function recordDivergence(
  { clock, recorder }: JudgeDeps,
  _pair: Pair,
  statement: Statement,
  finding: Finding,
): void {
  const exchange = undefined;
  recorder.divergent({ statement, finding, atMs: clock.nowMs(), exchange, settled: "" });
}

function recordLatencies(
  deps: JudgeDeps,
  pair: Pair,
  primary: Observation,
  shadow: Observation,
): void {
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
