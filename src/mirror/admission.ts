import type { SkipReason } from "../routing/skip-reason.ts";
import type { SessionState } from "../routing/session-state.ts";
import type { TransactionEnd } from "./dual-writing.ts";
import type { Pair } from "./pair.ts";

/** A request that the primary has not answered yet. */
export type Admission = {
  readonly pair: Pair | undefined;
  /** Dual writing: tables that drift when it is not repeated; undefined when it does not write. */
  readonly owes: readonly string[] | undefined;
  /** Dual writing: without it the rest of its transaction is not to be repeated either, and why. */
  readonly gap: SkipReason | undefined;
  /** Once the primary has it, something may be committed there. */
  readonly mayCommit: boolean;
  /** It writes, and somebody else brings what it writes to the shadow. */
  readonly wrote: boolean;
};

/** With no transaction to repeat, nothing is owed and nothing missing. */
export const PASSED_OVER: Admission = {
  pair: undefined,
  owes: undefined,
  gap: undefined,
  mayCommit: false,
  wrote: false,
};

/** The primary's answer to a request, as far as the shadow is concerned. */
export type PrimaryAnswer = {
  readonly elapsedMs: number;
  readonly failed: boolean;
  readonly outcome: TransactionEnd | "open";
  /** A transaction was committed, whether or not another one is open now. */
  readonly committed: boolean;
  /** The client's settings after it. */
  readonly state: SessionState;
  /** It may have changed what `state` holds. */
  readonly changesState: boolean;
};
