import type { Clock } from "../../base/clock.ts";
import type { RememberedShape } from "../../compare/context.ts";
import type { Observation } from "../../compare/observation.ts";
import type { Verdict } from "../../compare/verdict.ts";
import type { RecordedExchange } from "../../divergence/recorded-exchange.ts";
import type { Statement } from "../../sql/statement.ts";
import type { Lsn } from "../../wire/position.ts";
import type { Reached } from "../shadow-position.ts";
import type { Barrier } from "./barrier.ts";
import type { RecheckSession } from "./recheck-session.ts";

/** What a recheck takes: sessions on both sides, a comparison, and where the shadow is. */
export type RecheckDeps = {
  readonly clock: Clock;
  readonly sleep: (ms: number) => Promise<void>;
  readonly openSession: (
    role: "primary" | "shadow",
    exchange: RecordedExchange,
  ) => Promise<RecheckSession>;
  readonly compare: (
    primary: Observation,
    shadow: Observation,
    statements: readonly Statement[],
    shape: RememberedShape | undefined,
    how: {
      /** Both come from the primary. */
      readonly bothPrimary: boolean;
      /** Columns that are left out. */
      readonly ignored: readonly string[];
    },
  ) => Verdict;
  readonly position: {
    here(): Promise<Lsn | undefined>;
    reached(lsn: Lsn, timeoutMs: number): Promise<Reached>;
  };
  /** For data that never stands still, where whoever fills the shadow offers one. */
  readonly barrier: Barrier | undefined;
  /** How long a difference must last where nothing tells how far the shadow is, and how long a shadow is waited for. */
  readonly patienceMs: number;
};
