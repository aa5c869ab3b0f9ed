import type { Mirroring, Route } from "./route.ts";
import type { Side } from "./side.ts";
import type { SkipReason } from "./skip-reason.ts";

/** Which side answers, and what the operator wants of the other. */
export type MirrorPolicy = {
  readonly primary: Side;
  readonly enabled: boolean;
  readonly writes: "skip" | "apply";
};

/** How the open transaction is treated on the shadow; `none` outside one. */
export type TransactionMirroring =
  | { readonly kind: "none" }
  | { readonly kind: "mirrored" }
  | { readonly kind: "skipped"; readonly reason: SkipReason };

/** What a request is, as far as mirroring goes. */
export type RequestFacts = {
  /** Why it may not run on a read-only shadow. */
  readonly obstacle: SkipReason | undefined;
  /** Skipping it leaves the shadow without rows that later statements of the transaction may read. */
  readonly taints: boolean;
  /** It may run on a shadow that takes writes. */
  readonly applicable: boolean;
};

export type Decision = {
  readonly route: Route;
  readonly transaction: TransactionMirroring;
};

const MIRROR: Mirroring = { kind: "mirror" };
const APPLY: Mirroring = { kind: "apply" };
const MIRRORED: TransactionMirroring = { kind: "mirrored" };
const NONE: TransactionMirroring = { kind: "none" };

/**
 * Decides about one request. Transactions are sampled as a whole; one that writes is followed up to
 * its first write and no further, since from there on the two sides see different rows.
 * @param transaction the open transaction's treatment, `none` when the request begins one
 * @param refused why the shadow can take no new transaction, if it cannot
 * @param drawn whether the sample takes a transaction that begins now
 */
export function decide(
  policy: MirrorPolicy,
  transaction: TransactionMirroring,
  facts: RequestFacts,
  refused: SkipReason | undefined,
  drawn: boolean,
): Decision {
  const { primary } = policy;
  if (transaction.kind === "skipped") return skip(primary, transaction.reason, transaction);
  if (transaction.kind === "none") {
    const reason = policy.enabled ? (refused ?? (drawn ? undefined : "sampled_out")) : "disabled";
    if (reason !== undefined) return skip(primary, reason, { kind: "skipped", reason });
  }
  if (policy.writes === "apply") {
    if (facts.applicable) return { route: { primary, mirror: APPLY }, transaction: MIRRORED };
    const next = transaction.kind === "none" ? NONE : transaction;
    return skip(primary, facts.obstacle ?? "utility", next);
  }
  if (facts.obstacle === undefined) {
    return { route: { primary, mirror: MIRROR }, transaction: MIRRORED };
  }
  return skip(primary, facts.obstacle, afterObstacle(transaction, facts));
}

function afterObstacle(
  transaction: TransactionMirroring,
  facts: RequestFacts,
): TransactionMirroring {
  if (facts.taints) return { kind: "skipped", reason: "after_write" };
  return transaction.kind === "none" ? MIRRORED : transaction;
}

function skip(primary: Side, reason: SkipReason, transaction: TransactionMirroring): Decision {
  return { route: { primary, mirror: { kind: "skip", reason } }, transaction };
}
