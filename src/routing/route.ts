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
  | { readonly kind: "skip"; readonly reason: SkipReason };
