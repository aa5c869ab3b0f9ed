import type { Side } from "./side.ts";
import type { SkipReason } from "./skip-reason.ts";

/** The decision for one exchange, made once. Everything after it is mechanical. */
export type Route = {
  readonly primary: Side;
  readonly mirror: Mirroring;
};

export type Mirroring =
  /** Run it on the shadow, read-only, and compare. */
  | { readonly kind: "mirror" }
  /** Dual writing: run it on the shadow once its transaction has committed on the primary. */
  | { readonly kind: "apply" }
  /** Run it on the shadow in a transaction that is rolled back, and compare. */
  | { readonly kind: "rehearse"; readonly as: RehearsedAs }
  | { readonly kind: "skip"; readonly reason: SkipReason };

/**
 * How it is rehearsed: within the client's open transaction or one that it begins, in a transaction of
 * ours, or as the COMMIT, in whose place the shadow checks its constraints and rolls back.
 */
export type RehearsedAs = "inside" | "alone" | "commit";
