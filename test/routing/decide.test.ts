import fc from "fast-check";
import t from "tap";
import type { MirrorPolicy, RequestFacts, TransactionMirroring } from "../../src/routing/decide.ts";
import { decide } from "../../src/routing/decide.ts";
import type { Mirroring } from "../../src/routing/route.ts";
import type { SkipReason } from "../../src/routing/skip-reason.ts";

const SKIP: MirrorPolicy = { primary: "old", enabled: true, writes: "skip" };
const APPLY: MirrorPolicy = { primary: "old", enabled: true, writes: "apply" };
const REHEARSE: MirrorPolicy = { primary: "old", enabled: true, writes: "rehearse" };
const OFF: MirrorPolicy = { primary: "old", enabled: false, writes: "skip" };
const NONE: TransactionMirroring = { kind: "none" };
const MIRRORED: TransactionMirroring = { kind: "mirrored", rehearses: false };
const REHEARSED: TransactionMirroring = { kind: "mirrored", rehearses: true };
const READ: RequestFacts = {
  obstacle: undefined,
  rehearsal: undefined,
  control: "none",
  taints: false,
  writes: false,
  applicable: true,
};
const WRITE: RequestFacts = { ...READ, obstacle: "write", taints: true, writes: true };
const LOCK: RequestFacts = { ...READ, obstacle: "side_effect", rehearsal: "side_effect" };
const NOTIFY: RequestFacts = {
  ...READ,
  obstacle: "notify",
  rehearsal: "notify",
  applicable: false,
};
const BEGIN: RequestFacts = { ...READ, control: "begins" };
const COMMIT: RequestFacts = { ...READ, control: "commits" };
const MIXED: RequestFacts = { ...WRITE, control: "mixed" };
const DDL: RequestFacts = { ...WRITE, obstacle: "ddl", rehearsal: "ddl" };
const GUESS: RequestFacts = { ...READ, rehearsal: "unparsable" };

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
  {
    why: "a read outside a transaction needs no rehearsal",
    policy: REHEARSE,
    transaction: NONE,
    facts: READ,
    mirroring: "mirror",
    next: "mirrored",
  },
  {
    why: "a write by itself is rehearsed in a transaction of ours",
    policy: REHEARSE,
    transaction: NONE,
    facts: WRITE,
    mirroring: "rehearse alone",
    next: "rehearsed",
  },
  {
    why: "a transaction begins as any other",
    policy: REHEARSE,
    transaction: NONE,
    facts: BEGIN,
    mirroring: "mirror",
    next: "mirrored",
  },
  {
    why: "some drivers send BEGIN and the first write together",
    policy: REHEARSE,
    transaction: NONE,
    facts: { ...WRITE, control: "begins" },
    mirroring: "rehearse inside",
    next: "rehearsed",
  },
  {
    why: "a write within a transaction is rehearsed there",
    policy: REHEARSE,
    transaction: MIRRORED,
    facts: WRITE,
    mirroring: "rehearse inside",
    next: "rehearsed",
  },
  {
    why: "a read after a write sees what only the transaction sees",
    policy: REHEARSE,
    transaction: REHEARSED,
    facts: READ,
    mirroring: "rehearse inside",
    next: "rehearsed",
  },
  {
    why: "a COMMIT is never sent as one",
    policy: REHEARSE,
    transaction: REHEARSED,
    facts: COMMIT,
    mirroring: "rehearse commit",
    next: "rehearsed",
  },
  {
    why: "not even where there is nothing to commit",
    policy: REHEARSE,
    transaction: NONE,
    facts: COMMIT,
    mirroring: "commits_inside",
    next: "skipped after_write",
  },
  {
    why: "a COMMIT among others cannot be left out",
    policy: REHEARSE,
    transaction: REHEARSED,
    facts: MIXED,
    mirroring: "commits_inside",
    next: "skipped after_write",
  },
  {
    why: "what may not be rehearsed ends what can be compared",
    policy: REHEARSE,
    transaction: REHEARSED,
    facts: DDL,
    mirroring: "ddl",
    next: "skipped after_write",
  },
  {
    why: "a lock by itself leaves nothing behind",
    policy: REHEARSE,
    transaction: REHEARSED,
    facts: LOCK,
    mirroring: "side_effect",
    next: "rehearsed",
  },
  {
    why: "what only looks like a read may be tried where the shadow is read-only",
    policy: REHEARSE,
    transaction: NONE,
    facts: GUESS,
    mirroring: "mirror",
    next: "mirrored",
  },
  {
    why: "and not where it is not",
    policy: REHEARSE,
    transaction: MIRRORED,
    facts: GUESS,
    mirroring: "unparsable",
    next: "skipped after_write",
  },
];

function nameOf(mirror: Mirroring): string {
  if (mirror.kind === "skip") return mirror.reason;
  return mirror.kind === "rehearse" ? `rehearse ${mirror.as}` : mirror.kind;
}

await t.test("each request is routed by policy, transaction and what it is", async (test) => {
  for (const row of ROWS) {
    const decision = decide(row.policy, row.transaction, row.facts, row.refused, row.drawn ?? true);
    const { route, transaction } = decision;
    const { mirror } = route;
    test.equal(route.primary, "old");
    test.equal(nameOf(mirror), row.mirroring, row.why);
    const next =
      transaction.kind === "skipped"
        ? `skipped ${transaction.reason}`
        : transaction.kind === "mirrored" && transaction.rehearses
          ? "rehearsed"
          : transaction.kind;
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

await t.test("nothing that commits is ever sent to a shadow that rehearses", async (test) => {
  const facts = fc.constantFrom(READ, WRITE, LOCK, NOTIFY, BEGIN, COMMIT, MIXED, DDL, GUESS);
  fc.assert(
    fc.property(fc.array(facts), (requests) => {
      let transaction: TransactionMirroring = NONE;
      for (const request of requests) {
        const decision = decide(REHEARSE, transaction, request, undefined, true);
        const { mirror } = decision.route;
        if (request.control === "mixed") test.equal(mirror.kind, "skip");
        if (request.control === "commits" && mirror.kind !== "skip") {
          test.strictSame(mirror, { kind: "rehearse", as: "commit" });
        }
        if (request.writes) test.not(mirror.kind, "mirror");
        transaction = decision.transaction;
      }
    }),
  );
});
