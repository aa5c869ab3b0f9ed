import type { ResultDigest } from "./result-digest.ts";

/**
 * What one side did with an exchange. A failure is an observation too: it is returned, never thrown.
 * Times run from the last byte of the request sent to the last byte of the answer read.
 */
export type Observation =
  /** The whole answer, as backend frames up to and with ReadyForQuery. */
  | { readonly kind: "answered"; readonly elapsedMs: number; readonly frames: Uint8Array }
  /** Too large to keep: digests of the rows and the first of them. */
  | {
      readonly kind: "digested";
      readonly elapsedMs: number;
      readonly bytes: number;
      readonly results: readonly ResultDigest[];
    }
  | { readonly kind: "lost"; readonly elapsedMs: number; readonly reason: LostReason };

export type LostReason =
  | "timeout"
  | "disconnected"
  | "overflow"
  | "cancelled"
  | "malformed"
  /** The shadow had not applied in time what the session wrote before. */
  | "lag"
  /** Not asked any more, after an earlier exchange of its transaction ended differently. */
  | "failed_transaction";
