import type {
  AttemptItem,
  CoverageTotals,
  MigrationPort,
  Recheck,
  RecheckReply,
  VerbOutcome,
} from "../../admin/ports.ts";
import type { Clock } from "../../base/clock.ts";
import type { VerbOutcome as ConductorOutcome } from "../../cutover/conductor.ts";
import type { DifferenceReason } from "../../compare/verdict.ts";
import type { DivergenceStore } from "../../divergence/divergence-store.ts";
import { readiness } from "../../cutover/readiness.ts";
import { migrationReport } from "./migration-report.ts";
import { readinessFacts, shadowState, statusOf } from "./migration-status.ts";
import type { Migration } from "./open-migration.ts";
import { verificationItem, verify } from "./verification-port.ts";
import { replicationItem, startReplication, stopReplication } from "./replication-port.ts";

/** One migration as the admin API sees it. */
export function migrationPort(migration: Migration, clock: Clock): MigrationPort {
  const { name, conductor, record, rules, settings } = migration;
  return {
    name,
    status: () => statusOf(migration),
    switchTo: async (primary, verb) => inApiShape(await conductor.switchTo(primary, verb)),
    abort: async () => inApiShape(await conductor.abort()),
    setShadow(change) {
      settings.setShadow(change);
      const { enabled, sample } = settings.shadow();
      const status = { enabled, sample, state: shadowState(migration) };
      record.publish({
        at: new Date(clock.nowMs()).toISOString(),
        type: "shadow",
        detail: status,
      });
      return status;
    },
    divergences: (page, state) => record.verdicts.divergences(page, state),
    divergence: (id) => record.verdicts.divergence(id),
    recheck: async (id) => noted(record.verdicts, id, await recheck(migration, id)),
    closeDivergence: (id) => record.verdicts.closeDivergence(id),
    rules: () => rules.list(),
    addRule: (request) => rules.add(request),
    removeRule: (rule) => rules.remove(rule),
    fingerprints: (page) => record.verdicts.fingerprints(page),
    totals: () => coverageTotals(record.verdicts),
    readiness: () => readiness(readinessFacts(migration)),
    attempts: () => conductor.attempts(),
    attempt: (id): AttemptItem | undefined => conductor.attempt(id),
    report: (format) => migrationReport(migration, clock, format),
    replication: () => replicationItem(migration.replicator),
    startReplication: () => startReplication(migration.replicator, conductor.route().primary),
    stopReplication: () => stopReplication(migration.replicator),
    verification: () => verificationItem(migration.replicator),
    verify: (what) => verify(migration.replicator, what),
    watch: (listener, signal) => record.watch(listener, signal),
  };
}

function coverageTotals({ totals }: DivergenceStore): CoverageTotals {
  const { seen, compared, match, tolerated, divergent, skipped, incomparable } = totals();
  const undecided = Object.values(incomparable).reduce((sum, count) => sum + count, 0);
  return {
    seen,
    compared,
    comparedShare: seen === 0 ? null : compared / seen,
    skipped,
    incomparable,
    verdicts: { match, tolerated, divergent, incomparable: undecided },
  };
}

/** Asks both sides again the last request in which the difference was seen. */
async function recheck({ record, rechecks }: Migration, id: string): Promise<RecheckReply> {
  const item = record.verdicts.divergence(id);
  if (item === undefined) return { kind: "not_found" };
  const exchange = record.verdicts.exchangeOf(id);
  if (exchange === undefined) {
    return { kind: "impossible", reason: sentence(item.repeatable.reason) };
  }
  const reason = item.reason as DifferenceReason;
  const suspected = { reason, explanation: item.explanation, statement: 0 };
  const settled = await rechecks.ask(exchange, suspected);
  const { outcome, detail, attempts, tookMs } = settled;
  const column =
    settled.outcome === "divergent"
      ? settled.finding.column
      : settled.outcome === "nondeterministic"
        ? settled.varied[0]
        : undefined;
  const where = column === undefined ? {} : { column };
  return { kind: "done", outcome, detail, ...where, attempts, tookMs };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** What was found by asking on demand is written on the divergence. */
function noted(verdicts: DivergenceStore, id: string, reply: RecheckReply): RecheckReply {
  if (reply.kind === "done") {
    const said = `Asked again on demand, ${OUTCOMES[reply.outcome]}: ${reply.detail}`;
    verdicts.askedAgain(id, reply.outcome === "divergent", said);
  }
  return reply;
}

const OUTCOMES: Readonly<Record<Recheck["outcome"], string>> = {
  divergent: "the sides still differed",
  transient: "the sides agreed, so it may be closed",
  nondeterministic: "the primary disagreed with itself",
  unsettled: "nothing could be told",
};

function inApiShape(outcome: ConductorOutcome): VerbOutcome {
  return outcome;
}
