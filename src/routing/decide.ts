import type { Mirroring, RehearsedAs, Route } from "./route.ts";
import type { Side } from "./side.ts";
import type { SkipReason } from "./skip-reason.ts";
import type { TransactionControl } from "./transaction-control.ts";

/** Which side answers, and what the operator wants of the other. */
export type MirrorPolicy = {
  readonly primary: Side;
  readonly enabled: boolean;
  readonly writes: "skip" | "rehearse" | "apply";
};

/** How the open transaction is treated on the shadow; `none` outside one. */
export type TransactionMirroring =
  | { readonly kind: "none" }
  /** `rehearses`: it has written there, so the rows it sees are its own. */
  | { readonly kind: "mirrored"; readonly rehearses: boolean }
  | { readonly kind: "skipped"; readonly reason: SkipReason };

/** What a request is, as far as mirroring goes. */
export type RequestFacts = {
  /** Why it may not run on a read-only shadow. */
  readonly obstacle: SkipReason | undefined;
  /** Skipping it leaves the shadow without rows that later statements of the transaction may read. */
  readonly taints: boolean;
  /** Rows or relations may be different after it. */
  readonly writes: boolean;
  /** It may run on a shadow that takes writes. */
  readonly applicable: boolean;
  /** Why it may not run even where all it does is rolled back. */
  readonly rehearsal: SkipReason | undefined;
  readonly control: TransactionControl;
};

export type Decision = {
  readonly route: Route;
  readonly transaction: TransactionMirroring;
};

const MIRROR: Mirroring = { kind: "mirror" };
const APPLY: Mirroring = { kind: "apply" };
const MIRRORED: TransactionMirroring = { kind: "mirrored", rehearses: false };
const REHEARSED: TransactionMirroring = { kind: "mirrored", rehearses: true };
const AFTER_WRITE: TransactionMirroring = { kind: "skipped", reason: "after_write" };
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
  if (policy.writes === "rehearse") return rehearsed(primary, transaction, facts);
  if (facts.obstacle === undefined) {
    return { route: { primary, mirror: MIRROR }, transaction: MIRRORED };
  }
  return skip(primary, facts.obstacle, afterObstacle(transaction, facts));
}

/** Nothing that commits is ever sent: in place of the COMMIT, the shadow rolls back. */
function rehearsed(
  primary: Side,
  transaction: Exclude<TransactionMirroring, { kind: "skipped" }>,
  facts: RequestFacts,
): Decision {
  const { control } = facts;
  const inside = transaction.kind === "mirrored";
  const isAstray = inside ? control === "begins" : control === "commits";
  if (control === "mixed" || isAstray) {
    return skip(primary, facts.rehearsal ?? "commits_inside", AFTER_WRITE);
  }
  if (control === "commits") return rehearse(primary, "commit", transaction);
  // Outside a transaction the shadow is read-only, so what only looks like a read may be tried.
  const isTried = !inside && facts.rehearsal === "unparsable";
  const obstacle = isTried ? facts.obstacle : facts.rehearsal;
  if (obstacle !== undefined) {
    const unknown = obstacle === "unparsable";
    return skip(primary, obstacle, unknown ? AFTER_WRITE : afterObstacle(transaction, facts));
  }
  const sees = inside && transaction.rehearses;
  if (!facts.writes && !sees) {
    return { route: { primary, mirror: MIRROR }, transaction: inside ? transaction : MIRRORED };
  }
  const as = inside || control === "begins" ? "inside" : "alone";
  return rehearse(primary, as, REHEARSED);
}

function rehearse(primary: Side, as: RehearsedAs, transaction: TransactionMirroring): Decision {
  return { route: { primary, mirror: { kind: "rehearse", as } }, transaction };
}

function afterObstacle(
  transaction: TransactionMirroring,
  facts: RequestFacts,
): TransactionMirroring {
  if (facts.taints) return AFTER_WRITE;
  return transaction.kind === "none" ? MIRRORED : transaction;
}

function skip(primary: Side, reason: SkipReason, transaction: TransactionMirroring): Decision {
  return { route: { primary, mirror: { kind: "skip", reason } }, transaction };
}
