import type { Finding, Verdict } from "../compare/verdict.ts";
import type { Occurrence } from "../divergence/recorder.ts";
import type { Statement } from "../sql/statement.ts";
import type { JudgeDeps, VerdictCounters } from "./judge-deps.ts";

/** What a verdict is about; of a pair nothing else is kept while it is in doubt. */
export type Judged = {
  readonly statements: readonly Statement[];
  /** Of an exchange that executes nothing: what it prepared. */
  readonly prepared: Statement | undefined;
};

/** Counts a verdict and writes it down. @param more what a divergence rests on */
export function conclude(
  deps: JudgeDeps,
  judged: Judged,
  verdict: Verdict,
  more?: Confirmation,
): void {
  count(deps.counters, verdict);
  recordVerdict(deps, judged, verdict, more);
}

export type Confirmation = Pick<Occurrence, "exchange" | "settled" | "atMs">;

function count(counters: VerdictCounters, verdict: Verdict): void {
  if (verdict.kind === "incomparable") {
    const before = counters.incomparable.get(verdict.reason) ?? 0;
    counters.incomparable.set(verdict.reason, before + 1);
  } else {
    counters[verdict.kind]++;
  }
}

/** A finding counts for its own statement; the other statements of the exchange matched. */
function recordVerdict(
  deps: JudgeDeps,
  { statements, prepared }: Judged,
  verdict: Verdict,
  confirmation: Confirmation | undefined,
): void {
  if (prepared !== undefined && verdict.kind === "divergent") {
    // Nothing was executed: the difference is in what was prepared and described.
    recordDivergence(deps, prepared, verdict.finding, confirmation);
  }
  statements.forEach((statement, index) => {
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
    recordDivergence(deps, statement, finding, confirmation);
  });
}

function recordDivergence(
  { recorder }: JudgeDeps,
  statement: Statement,
  finding: Finding,
  confirmation: Confirmation | undefined,
): void {
  if (confirmation !== undefined) recorder.divergent({ statement, finding, ...confirmation });
}
