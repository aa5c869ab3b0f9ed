import type { Finding, IncomparableReason } from "../compare/verdict.ts";
import type { Advice } from "../sql/relation-catalogue.ts";
import type { Statement } from "../sql/statement.ts";
import type { RecordedExchange } from "./recorded-exchange.ts";

/** Where verdicts go. Called on the hot path: counters in memory, written to the store now and then. */
export type Recorder = {
  /** The counters of a fingerprint; the same object for the same fingerprint, so callers may keep it. */
  coverage(statement: Statement): Coverage;
  /** A difference that asking again has confirmed. */
  divergent(occurrence: Occurrence): void;
  /** A difference that asking again could neither confirm nor dispel. */
  unsettled(occurrence: Occurrence): void;
  /** Whether occurrences of this difference have been confirmed, so that more of them need no recheck. */
  isConfirmed(statement: Statement, finding: Finding): boolean;
  /** Whether the plans of a statement are worth asking for: it is slower on NEW, and they were not asked for lately. */
  wantsPlans(statement: Statement, atMs: number): boolean;
  plans(statement: Statement, plans: Plans): void;
};

/** Mutable counters of one fingerprint. */
export type Coverage = {
  seen: number;
  compared: number;
  match: number;
  tolerated: number;
  divergent: number;
  readonly skipped: Map<string, number>;
  readonly incomparable: Map<IncomparableReason, number>;
  readonly toleratedReasons: Map<string, number>;
  /** What its text leaves open, whether or not the sides have differed because of it. */
  readonly advice: Set<Advice>;
  /** How often the primary was asked twice in one snapshot. */
  askedTwice: number;
  /** Output columns in which the primary then disagreed with itself, and how often; `` for whole rows. */
  readonly varies: Map<string, number>;
  /** Of how many answers of each side the latency is known. */
  readonly timed: number;
  /** Latency in milliseconds as seen at the server's answer. */
  recordLatency(side: "old" | "new", elapsedMs: number): void;
};

/** One difference between two answers, and what asking again has said of it. */
export type Occurrence = {
  readonly statement: Statement;
  readonly finding: Finding;
  readonly atMs: number;
  /** What is needed to ask again, if it can be repeated at all. */
  readonly exchange: RecordedExchange | undefined;
  /** In words: how it was confirmed, or why it could not be. Holds no customer value. */
  readonly settled: string;
};

/** EXPLAIN of a statement on both sides, without expressions, as they hold values. */
export type Plans = {
  readonly atMs: number;
  readonly old: string;
  readonly new: string;
};
