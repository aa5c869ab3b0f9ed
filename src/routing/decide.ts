import type { Mirroring } from "./route.ts";
import type { SkipReason } from "./skip-reason.ts";

/** What the operator wants of the shadow. */
export type MirrorPolicy = {
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
  readonly mirroring: Mirroring;
  readonly transaction: TransactionMirroring;
};

const MIRROR: Mirroring = { kind: "mirror" };
const APPLY: Mirroring = { kind: "apply" };
const MIRRORED: TransactionMirroring = { kind: "mirrored" };
const NONE: TransactionMirroring = { kind: "none" };

const MIRROR_IN_TRANSACTION: Decision = { mirroring: MIRROR, transaction: MIRRORED };
const APPLY_IN_TRANSACTION: Decision = { mirroring: APPLY, transaction: MIRRORED };

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
  if (transaction.kind === "skipped") return skip(transaction.reason, transaction);
  if (transaction.kind === "none") {
    const reason = policy.enabled ? (refused ?? (drawn ? undefined : "sampled_out")) : "disabled";
    if (reason !== undefined) return skip(reason, { kind: "skipped", reason });
  }
  if (policy.writes === "apply") {
    if (facts.applicable) return APPLY_IN_TRANSACTION;
    return skip(facts.obstacle ?? "utility", transaction.kind === "none" ? NONE : transaction);
  }
  if (facts.obstacle === undefined) return MIRROR_IN_TRANSACTION;
  return skip(facts.obstacle, afterObstacle(transaction, facts));
}

function afterObstacle(
  transaction: TransactionMirroring,
  facts: RequestFacts,
): TransactionMirroring {
  if (facts.taints) return { kind: "skipped", reason: "after_write" };
  return transaction.kind === "none" ? MIRRORED : transaction;
}

function skip(reason: SkipReason, transaction: TransactionMirroring): Decision {
  return { mirroring: { kind: "skip", reason }, transaction };
}
