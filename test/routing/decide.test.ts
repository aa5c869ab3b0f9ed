import fc from "fast-check";
import t from "tap";
import type { MirrorPolicy, RequestFacts, TransactionMirroring } from "../../src/routing/decide.ts";
import { decide } from "../../src/routing/decide.ts";
import type { SkipReason } from "../../src/routing/skip-reason.ts";

const SKIP: MirrorPolicy = { primary: "old", enabled: true, writes: "skip" };
const APPLY: MirrorPolicy = { primary: "old", enabled: true, writes: "apply" };
const OFF: MirrorPolicy = { primary: "old", enabled: false, writes: "skip" };
const NONE: TransactionMirroring = { kind: "none" };
const MIRRORED: TransactionMirroring = { kind: "mirrored" };
const READ: RequestFacts = { obstacle: undefined, taints: false, applicable: true };
const WRITE: RequestFacts = { obstacle: "write", taints: true, applicable: true };
const LOCK: RequestFacts = { obstacle: "side_effect", taints: false, applicable: true };
const NOTIFY: RequestFacts = { obstacle: "notify", taints: false, applicable: false };

const ROWS: {
  readonly why: string;
  readonly policy: MirrorPolicy;
  readonly transaction: TransactionMirroring;
  readonly facts: RequestFacts;
  readonly refused?: SkipReason;
  readonly drawn?: boolean;
  readonly mirroring: string;
  readonly next: string;
}[] = [
  {
    why: "a read is mirrored",
    policy: SKIP,
    transaction: NONE,
    facts: READ,
    mirroring: "mirror",
    next: "mirrored",
  },
  {
    why: "mirroring is off",
    policy: OFF,
    transaction: NONE,
    facts: READ,
    mirroring: "disabled",
    next: "skipped disabled",
  },
  {
    why: "a transaction begun with mirroring on ends with it",
    policy: OFF,
    transaction: MIRRORED,
    facts: READ,
    mirroring: "mirror",
    next: "mirrored",
  },
  {
    why: "the sample leaves out whole transactions",
    policy: SKIP,
    transaction: NONE,
    facts: READ,
    drawn: false,
    mirroring: "sampled_out",
    next: "skipped sampled_out",
  },
  {
    why: "a shadow that is down takes no new transaction",
    policy: SKIP,
    transaction: NONE,
    facts: READ,
    refused: "shadow_down",
    mirroring: "shadow_down",
    next: "skipped shadow_down",
  },
  {
    why: "the first write ends what can be compared",
    policy: SKIP,
    transaction: MIRRORED,
    facts: WRITE,
    mirroring: "write",
    next: "skipped after_write",
  },
  {
    why: "what comes after a write is not compared",
    policy: SKIP,
    transaction: { kind: "skipped", reason: "after_write" },
    facts: READ,
    mirroring: "after_write",
    next: "skipped after_write",
  },
  {
    why: "a lock leaves no rows behind, so the transaction goes on",
    policy: SKIP,
    transaction: MIRRORED,
    facts: LOCK,
    mirroring: "side_effect",
    next: "mirrored",
  },
  {
    why: "dual writing repeats writes",
    policy: APPLY,
    transaction: NONE,
    facts: WRITE,
    mirroring: "apply",
    next: "mirrored",
  },
  {
    why: "dual writing repeats no notification",
    policy: APPLY,
    transaction: MIRRORED,
    facts: NOTIFY,
    mirroring: "notify",
    next: "mirrored",
  },
];

await t.test("each request is routed by policy, transaction and what it is", async (test) => {
  for (const row of ROWS) {
    const decision = decide(row.policy, row.transaction, row.facts, row.refused, row.drawn ?? true);
    const { route, transaction } = decision;
    const { mirror } = route;
    test.equal(route.primary, "old");
    test.equal(mirror.kind === "skip" ? mirror.reason : mirror.kind, row.mirroring, row.why);
    const next =
      transaction.kind === "skipped" ? `skipped ${transaction.reason}` : transaction.kind;
    test.equal(next, row.next, row.why);
  }
});

await t.test("nothing that writes ever runs on a shadow whose writes are skipped", async (test) => {
  const facts = fc.constantFrom(READ, WRITE, LOCK, NOTIFY);
  fc.assert(
    fc.property(fc.array(fc.tuple(facts, fc.boolean())), (requests) => {
      let transaction: TransactionMirroring = NONE;
      let tainted = false;
      for (const [request, drawn] of requests) {
        const decision = decide(SKIP, transaction, request, undefined, drawn);
        const runs = decision.route.mirror.kind !== "skip";
        test.notOk(runs && request.obstacle !== undefined);
        test.notOk(runs && tainted, "no read after a write of the same transaction");
        tainted ||= request.taints;
        transaction = decision.transaction;
      }
    }),
  );
});
