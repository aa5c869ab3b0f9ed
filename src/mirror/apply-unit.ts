import type { SkipReason } from "../routing/skip-reason.ts";
import type { Turn } from "./apply-order.ts";
import type { Pair } from "./pair.ts";

/** One transaction of the primary that dual writing repeats on the shadow. */
export type ApplyUnit = {
  readonly pairs: Pair[];
  /** Its place among the transactions of all sessions; undefined until it is asked to commit. */
  turn: Turn | undefined;
  /** Pairs that have not been settled yet, once it has a turn. */
  open: number;
  /** It does more than read, so it runs alone, and not at all when the primary rolled it back. */
  writes: boolean;
  /** Tables that drift when it is not repeated. */
  readonly owed: Set<string>;
  /** Of its exchanges, so many were expected to write. */
  expected: number;
  /** Why part of it was not queued, so that none of it may run. */
  broken: SkipReason | undefined;
  failed: boolean;
  /** Even a ROLLBACK at its end leaves something behind. */
  partlyCommitted: boolean;
};

export function newApplyUnit(): ApplyUnit {
  return {
    pairs: [],
    turn: undefined,
    open: 0,
    writes: false,
    owed: new Set(),
    expected: 0,
    broken: undefined,
    failed: false,
    partlyCommitted: false,
  };
}
