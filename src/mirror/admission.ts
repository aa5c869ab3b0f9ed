import type { SkipReason } from "../routing/skip-reason.ts";
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
