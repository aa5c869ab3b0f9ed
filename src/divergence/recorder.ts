import type { Finding, IncomparableReason } from "../compare/verdict.ts";
import type { Statement } from "../sql/statement.ts";

/** Where verdicts go. Called on the hot path: counters in memory, written to the store now and then. */
export type Recorder = {
  /** The counters of a fingerprint; the same object for the same fingerprint, so callers may keep it. */
  coverage(statement: Statement): Coverage;
  divergent(occurrence: Occurrence): void;
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
  /** Latency in milliseconds as seen at the server's answer. */
  recordLatency(side: "old" | "new", elapsedMs: number): void;
};

export type Occurrence = {
  readonly statement: Statement;
  readonly finding: Finding;
  readonly atMs: number;
  /** The exchange's request frames, for a later recheck in memory; never stored as they are. */
  readonly request: Uint8Array;
};
