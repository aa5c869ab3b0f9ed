import type { Finding, IncomparableReason, Verdict } from "../compare/verdict.ts";
import type { RecordedExchange } from "../divergence/recorded-exchange.ts";
import type { Statement } from "../sql/statement.ts";
import { conclude } from "./conclude.ts";
import type { Confirmation, Judged } from "./conclude.ts";
import type { JudgeDeps } from "./judge-deps.ts";
import type { Pair } from "./pair.ts";
import type { Settled } from "./recheck/settled.ts";
import { recordExchange } from "./recheck/repeatable.ts";

/** A difference, and what excuses it unless asking again says more. */
export type Difference = {
  readonly finding: Finding;
  readonly excuse: IncomparableReason | undefined;
};

/** The difference that a verdict is about, unless it is excused for good. */
export function differenceIn(verdict: Verdict): Difference | undefined {
  if (verdict.kind === "divergent") return { finding: verdict.finding, excuse: undefined };
  if (verdict.kind !== "incomparable" || verdict.finding === undefined) return undefined;
  return { finding: verdict.finding, excuse: verdict.reason };
}

/** A difference seen once is none yet: it may be late, or by chance. */
export function doubt(deps: JudgeDeps, pair: Pair, judged: Judged, difference: Difference): void {
  const { finding, excuse } = difference;
  const statement = judged.statements[finding.statement] ?? judged.prepared;
  if (statement === undefined) {
    return conclude(deps, judged, { kind: "incomparable", reason: excuse ?? "unsettled" });
  }
  const atMs = deps.clock.nowMs();
  const { doubts } = deps;
  const question = recordExchange(pair, deps.positions());
  const exchange = question.kind === "repeatable" ? question.exchange : undefined;
  if (doubts === undefined || isOfWrite(pair)) {
    return concludeUnasked(deps, judged, difference, { exchange, atMs });
  }
  const isConfirmed = excuse === undefined && deps.recorder.isConfirmed(statement, finding);
  const believe = (): void =>
    conclude(deps, judged, { kind: "divergent", finding }, { exchange, settled: "", atMs });
  if (isConfirmed && isFresh(deps, statement)) return believe();
  const refused =
    question.kind === "not"
      ? `it cannot be repeated: ${question.why}`
      : doubts.raise({
          exchange: question.exchange,
          finding,
          fingerprint: statement.fingerprint,
          credentials: pair.asker.credentials,
          varies: deps.recorder.coverage(statement).varies.size > 0,
          settle: (settled) => {
            const doubted = { statement, finding, excuse, exchange: question.exchange, atMs };
            settle(deps, judged, doubted, settled);
          },
        });
  if (refused === undefined) return;
  if (isConfirmed) return believe();
  if (excuse === undefined) {
    const settled = `It was not asked again: ${refused}.`;
    deps.recorder.unsettled({ statement, finding, atMs, exchange, settled });
  }
  conclude(deps, judged, { kind: "incomparable", reason: excuse ?? "unsettled" });
}

/** Where nothing is asked again, what was seen is what counts. */
function concludeUnasked(
  deps: JudgeDeps,
  judged: Judged,
  { finding, excuse }: Difference,
  asked: Pick<Confirmation, "exchange" | "atMs">,
): void {
  if (excuse !== undefined) {
    return conclude(deps, judged, { kind: "incomparable", reason: excuse });
  }
  const settled = "It was seen once.";
  conclude(deps, judged, { kind: "divergent", finding }, { ...asked, settled });
}

/** So long a confirmed difference is believed to be one when it is seen again. */
const BELIEVED_MS = 60_000;

/** @returns whether the statement was asked about lately; if not, it is now */
function isFresh({ clock, facts, believed }: JudgeDeps, statement: Statement): boolean {
  const { coverage } = facts.of(statement);
  const nowMs = clock.monotonicMs();
  const sinceMs = believed.get(coverage);
  if (sinceMs !== undefined && nowMs - sinceMs < BELIEVED_MS) return true;
  believed.set(coverage, nowMs);
  return false;
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
