import type { Turn } from "./apply-order.ts";
import type { Pair } from "./pair.ts";

/** One transaction of the primary that dual writing repeats on the shadow. */
export type ApplyUnit = {
  readonly pairs: Pair[];
  /** Pairs that have not been settled yet. */
  open: number;
  writes: boolean;
  readonly written: Set<string>;
  /** Part of it could not be queued, so none of it may run. */
  lost: boolean;
  failed: boolean;
  turn: Turn | undefined;
};

export function newApplyUnit(): ApplyUnit {
  return {
    pairs: [],
    open: 0,
    writes: false,
    written: new Set(),
    lost: false,
    failed: false,
    turn: undefined,
  };
}
