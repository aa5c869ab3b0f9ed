import type { VerificationItem, VerificationOutcome } from "../../admin/ports.ts";
import { NOT_VERIFIED } from "../../verify/verify-state.ts";
import type { Replicator } from "../replication/supervisor.ts";

const NOT_IN_STEP =
  "Only what Twinwire replicates itself, and has in step (streaming), can be verified.";

/** What is known of the rows of both sides, in the shape of the public interface. */
export function verificationItem(replicator: Replicator | undefined): VerificationItem {
  const { startedAtMs, endedAtMs, ...state } = replicator?.verification ?? NOT_VERIFIED;
  return { ...state, startedAt: timeOf(startedAtMs), endedAt: timeOf(endedAtMs) };
}

export function verify(
  replicator: Replicator | undefined,
  what: { readonly tables: readonly string[]; readonly repair: boolean },
): VerificationOutcome {
  if (replicator?.state.phase !== "streaming") return { kind: "conflict", message: NOT_IN_STEP };
  replicator.verify(what);
  return { kind: "done", verification: verificationItem(replicator) };
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
