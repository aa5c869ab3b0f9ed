import type { Finding } from "../../compare/verdict.ts";

/** What became of a difference that was asked about again. */
export type Outcome =
  | { readonly outcome: "divergent"; readonly finding: Finding }
  | { readonly outcome: "nondeterministic" | "transient" | "unsettled" };

/** What asking again has said of a difference. */
export type Settled = Outcome & {
  /** A sentence without customer values. */
  readonly detail: string;
  /** How often the shadow was asked. */
  readonly attempts: number;
  readonly tookMs: number;
  /** The primary was asked twice in one snapshot. */
  readonly askedTwice: boolean;
  /** Columns in which it disagreed with itself then; `` for whole rows. They were left out of what came after. */
  readonly varied: readonly string[];
};

/** Sentences of `detail`. */
export const DETAILS = {
  disagrees: "Asked twice in one snapshot, the primary disagrees with itself",
  agreedNow: "Asked again, both sides gave the same answer.",
  confirmed: "Asked again, the primary agreed with itself and the shadow still differed.",
  noPosition: "Nothing tells how far the shadow is; the difference lasted.",
  late: "The shadow had not caught up with the primary within",
  positionLost: "It was not known any more how far the shadow is.",
  tooLong: "Asking again took too long.",
  atBarrier:
    "The shadow was held right after everything that a snapshot of the primary sees, and still differed.",
  neverStill: "The data changed on the primary each time it was asked again.",
} as const;
