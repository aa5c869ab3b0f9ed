import type { Clock } from "../base/clock.ts";
import type { CompareContext, RememberedShape } from "../compare/context.ts";
import type { Observation } from "../compare/observation.ts";
import type { Finding, IncomparableReason, Verdict } from "../compare/verdict.ts";
import type { RecordedExchange } from "../divergence/recorded-exchange.ts";
import type { Occurrence, Recorder } from "../divergence/recorder.ts";
import type { Side } from "../routing/side.ts";
import type { Statement } from "../sql/statement.ts";
import type { Credentials } from "../upstream/dial.ts";
import type { DescribedStatements } from "./described-statements.ts";
import type { Pair } from "./pair.ts";
import type { Doubts } from "./recheck/doubts.ts";
import type { Settled } from "./recheck/recheck.ts";
import { recordExchange } from "./recheck/repeatable.ts";
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
    how: {
      readonly generated: CompareContext["generated"];
      /** Columns that are left out. */
      readonly ignored: readonly string[];
    },
  ) => Verdict;
  /** What a verdict about a rehearsed pair is worth. */
  readonly rehearsed: (pair: Pair, verdict: Verdict) => Verdict;
  /** The shadow has answered; the primary's answers are counted where they arrive. */
  readonly shadowAnswered: (elapsedMs: number) => void;
  /** They read or write a table in which a write was lost on the shadow. */
  readonly drifted: (statements: readonly Statement[]) => boolean;
  readonly primarySide: () => Side;
  /** Where differences are asked about again; undefined when that is switched off. */
  readonly doubts: Pick<Doubts, "raise"> | undefined;
  /** Where the sides are now, as far as known. */
  readonly positions: () => RecordedExchange["positions"];
  /** Has both sides asked, when there is time, how they would run a statement. */
  readonly askPlans: (
    exchange: RecordedExchange,
    credentials: Credentials,
    statement: Statement,
  ) => void;
  /** A difference has been asked about again. */
  readonly settled: (settled: Settled) => void;
};

/** Verdicts by exchange; the per-fingerprint ones are the recorder's. */
export type VerdictCounters = {
  match: number;
  tolerated: number;
  divergent: number;
  incomparable: Map<string, number>;
};

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

/** A difference, and what excuses it unless asking again says more. */
type Difference = { readonly finding: Finding; readonly excuse: IncomparableReason | undefined };

function differenceIn(verdict: Verdict): Difference | undefined {
  if (verdict.kind === "divergent") return { finding: verdict.finding, excuse: undefined };
  if (verdict.kind !== "incomparable" || verdict.finding === undefined) return undefined;
  return { finding: verdict.finding, excuse: verdict.reason };
}

/** From this share on of the times it was asked twice, the primary is known to disagree with itself in a column. */
const VARYING_SHARE = 0.2;

/** Leaves out of a difference the columns in which the primary is known to disagree with itself. */
function withoutVarying(deps: JudgeDeps, pair: Pair, verdict: Verdict): Verdict {
  const difference = differenceIn(verdict);
  const { primary, shadow } = pair;
  if (difference === undefined || primary === undefined || shadow === undefined) return verdict;
  const statement = pair.statements[difference.finding.statement];
  if (statement === undefined) return verdict;
  const { askedTwice, varies } = deps.facts.of(statement).coverage;
  const varying = [...varies].filter(([, times]) => times >= askedTwice * VARYING_SHARE);
  if (varying.length === 0) return verdict;
  const columns = varying.map(([column]) => column);
  const known = { kind: "incomparable", reason: difference.excuse ?? "nondeterministic" } as const;
  if (columns.includes("")) return known;
  const rest = compareOf(deps, pair, primary, shadow, columns);
  return rest.kind === "divergent" || differenceIn(rest) !== undefined ? rest : known;
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

/** What a verdict is about; of a pair nothing else is kept while it is in doubt. */
type Judged = {
  readonly statements: readonly Statement[];
  /** Of an exchange that executes nothing: what it prepared. */
  readonly prepared: Statement | undefined;
};

function preparedIn(pair: Pair): Statement | undefined {
  if (pair.statements.length > 0) return undefined;
  for (const change of pair.changes) {
    if (change.type === "parse") return change.statement.statements[0];
  }
  return undefined;
}

function conclude(deps: JudgeDeps, judged: Judged, verdict: Verdict, more?: Confirmation): void {
  count(deps.counters, verdict);
  recordVerdict(deps, judged, verdict, more);
}

type Confirmation = Pick<Occurrence, "exchange" | "settled" | "atMs">;

/** A difference seen once is none yet: it may be late, or by chance. */
function doubt(deps: JudgeDeps, pair: Pair, judged: Judged, difference: Difference): void {
  const { finding, excuse } = difference;
  const statement = judged.statements[finding.statement] ?? judged.prepared;
  const repeatable = recordExchange(pair, deps.positions());
  const isRepeatable = repeatable.kind === "repeatable" && pair.kind !== "rehearse";
  const exchange = isRepeatable ? repeatable.exchange : undefined;
  const found = { kind: "divergent", finding } as const;
  const atMs = deps.clock.nowMs();
  const asks = deps.doubts !== undefined && !isOfWrite(pair);
  if (!asks && excuse !== undefined) {
    return conclude(deps, judged, { kind: "incomparable", reason: excuse });
  }
  if (statement === undefined || deps.doubts === undefined || isOfWrite(pair)) {
    return conclude(deps, judged, found, { exchange, settled: "It was seen once.", atMs });
  }
  if (deps.recorder.isConfirmed(statement, finding)) {
    return conclude(deps, judged, found, { exchange, settled: "", atMs });
  }
  const refused =
    exchange === undefined
      ? repeatable.kind === "not"
        ? `it cannot be repeated: ${repeatable.why}`
        : ""
      : deps.doubts.raise({
          exchange,
          finding,
          fingerprint: statement.fingerprint,
          credentials: pair.asker.credentials,
          varies: deps.recorder.coverage(statement).varies.size > 0,
          settle: (settled) =>
            settle(deps, judged, { statement, finding, excuse, exchange, atMs }, settled),
        });
  if (refused === undefined) return;
  if (excuse !== undefined) {
    return conclude(deps, judged, { kind: "incomparable", reason: excuse });
  }
  const settled = `It was not asked again: ${refused}.`;
  deps.recorder.unsettled({ statement, finding, atMs, exchange, settled });
  conclude(deps, judged, { kind: "incomparable", reason: "unsettled" });
}

/** What runs on the shadow because it writes cannot be asked again, nor what sees such writes. */
function isOfWrite({ kind, writes }: Pair): boolean {
  return kind === "rehearse" || (kind === "apply" && writes);
}

/** Asking again has said what the difference is. */
function settle(
  deps: JudgeDeps,
  judged: Judged,
  doubted: Difference & {
    readonly statement: Statement;
    readonly exchange: RecordedExchange;
    /** When it was seen, which may be a while ago. */
    readonly atMs: number;
  },
  settled: Settled,
): void {
  const { statement, exchange, excuse, atMs } = doubted;
  const coverage = deps.recorder.coverage(statement);
  if (settled.askedTwice) coverage.askedTwice++;
  for (const column of settled.varied) {
    coverage.varies.set(column, (coverage.varies.get(column) ?? 0) + 1);
  }
  deps.settled(settled);
  if (settled.outcome === "divergent") {
    const verdict = { kind: "divergent", finding: settled.finding } as const;
    return conclude(deps, judged, verdict, { exchange, settled: settled.detail, atMs });
  }
  if (settled.outcome === "unsettled" && excuse === undefined) {
    deps.recorder.unsettled({ ...doubted, settled: settled.detail });
  }
  conclude(deps, judged, { kind: "incomparable", reason: excuse ?? settled.outcome });
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
