import type { Clock } from "../base/clock.ts";
import type { CompareContext, RememberedShape } from "../compare/context.ts";
import type { Observation } from "../compare/observation.ts";
import type { Verdict } from "../compare/verdict.ts";
import type { RecordedExchange } from "../divergence/recorded-exchange.ts";
import type { Coverage, Recorder } from "../divergence/recorder.ts";
import type { Side } from "../routing/side.ts";
import type { Statement } from "../sql/statement.ts";
import type { Credentials } from "../upstream/dial.ts";
import type { DescribedStatements } from "./described-statements.ts";
import type { Pair } from "./pair.ts";
import type { Doubts } from "./recheck/doubts.ts";
import type { Settled } from "./recheck/settled.ts";
import type { FactsTable } from "./statement-facts.ts";

/** What judging the pairs of a migration takes. */
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
  /** When statements with confirmed differences were last asked about because of one. */
  readonly believed: WeakMap<Coverage, number>;
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
