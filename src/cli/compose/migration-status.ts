import type {
  MigrationStatus,
  ShadowState,
  StreamStatus,
  VerdictCounts,
} from "../../admin/ports.ts";
import type { ReadinessFacts } from "../../cutover/readiness.ts";
import { pinnedBy } from "../../routing/session-state.ts";
import { otherSide } from "../../routing/side.ts";
import type { SkipReason } from "../../routing/skip-reason.ts";
import type { Migration } from "./open-migration.ts";
import { positionTexts } from "./open-position.ts";

/** What is known of a migration now, in the shape of the public interface. */
export function statusOf(migration: Migration): MigrationStatus {
  const { name, conductor, mirror, record, settings, sessions, relays } = migration;
  const { phase, primary, epoch } = conductor.route();
  const { enabled, sample } = settings.shadow();
  const { counters } = mirror;
  return {
    name,
    phase,
    route: { primary, shadow: { enabled, sample, state: shadowState(migration) } },
    epoch,
    sessions: sessions.size + relays.size,
    exchanges: {
      seen: counters.seen,
      mirrored: counters.mirrored + counters.applied,
      compared: comparedOf(migration),
      skipped: Object.fromEntries(counters.skipped),
      comparedShare: counters.seen === 0 ? null : comparedOf(migration) / counters.seen,
    },
    verdicts: verdictsOf(migration),
    divergences: {
      confirmed: record.verdicts.divergenceCount("confirmed"),
      unsettled: record.verdicts.divergenceCount("unsettled"),
      ruled: record.verdicts.divergenceCount("ruled"),
      closed: record.verdicts.divergenceCount("closed"),
    },
    incomparable: Object.fromEntries(counters.verdicts.incomparable),
    drifted: record.drifted.list(),
    replication: replicationOf(migration),
    canGoBack: canGoBack(migration),
  };
}

const UNMANAGED: StreamStatus = { state: "unmanaged", position: null, lagBytes: null, lagMs: null };

/** Whoever replicates: how far the shadow is, where something tells. */
function replicationOf({
  conductor,
  position,
  replicator,
}: Migration): MigrationStatus["replication"] {
  if (replicator !== undefined) {
    const { forward, reverse } = replicator.state;
    return { forward: streamStatus(forward), reverse: streamStatus(reverse) };
  }
  const { bytes, ms } = position.lag;
  const { shadow } = positionTexts(position);
  const stream = { ...UNMANAGED, position: shadow, lagBytes: bytes, lagMs: ms };
  return conductor.route().primary === "old"
    ? { forward: stream, reverse: UNMANAGED }
    : { forward: UNMANAGED, reverse: stream };
}

function streamStatus({ state, position, lagBytes, lagMs }: StreamStatus): StreamStatus {
  return { state, position, lagBytes, lagMs };
}

export function verdictsOf({ mirror }: Migration): VerdictCounts {
  const { match, tolerated, divergent, incomparable } = mirror.counters.verdicts;
  let undecided = 0;
  for (const count of incomparable.values()) undecided += count;
  return { match, tolerated, divergent, incomparable: undecided };
}

function comparedOf(migration: Migration): number {
  const { match, tolerated, divergent } = verdictsOf(migration);
  return match + tolerated + divergent;
}

export function shadowState({ settings, mirror }: Migration): ShadowState {
  return settings.shadow().enabled ? mirror.health.state : "off";
}

/** Where someone else replicates Twinwire can vouch only for what it writes itself. */
function canGoBack(migration: Migration): { ok: boolean; reasons: string[] } {
  const { conductor, settings, record, catalogues } = migration;
  if (conductor.route().primary === "old") {
    return { ok: true, reasons: ["OLD still answers, so there is nothing to go back from"] };
  }
  if (migration.replicator !== undefined) {
    const { ok, reasons } = migration.replicator.state.canGoBack;
    return { ok, reasons: [...reasons] };
  }
  const reasons: string[] = [];
  const { reachable, detail } = catalogues.reachable("old");
  if (!reachable) reasons.push(`OLD cannot be reached: ${detail}`);
  const drifted = record.drifted.list();
  if (settings.shadow().writes !== "apply") {
    reasons.push("writes to NEW reach OLD only if someone else replicates them back");
  } else if (!settings.shadow().enabled) {
    reasons.push("the shadow is switched off, so writes to NEW are not repeated on OLD");
  } else if (drifted.length > 0) {
    reasons.push(`writes were lost on a side in: ${drifted.join(", ")}`);
  }
  if (reasons.length > 0) return { ok: false, reasons };
  return { ok: true, reasons: ["every write to NEW is repeated on OLD, and none was lost"] };
}

/** What the guards of a switch look at. */
export function readinessFacts(migration: Migration): ReadinessFacts {
  const { conductor, settings, record, catalogues, sessions, relays } = migration;
  const { seen, compared, skipped } = record.verdicts.totals();
  const pinned: Record<string, number> = {};
  for (const session of sessions) {
    const pin = pinnedBy(session.log.state);
    if (pin !== undefined) pinned[pin] = (pinned[pin] ?? 0) + 1;
  }
  if (relays.size > 0) pinned["replication"] = relays.size;
  return {
    shadow: { enabled: settings.shadow().enabled, state: shadowState(migration) },
    target: catalogues.reachable(otherSide(conductor.route().primary)),
    statements: { seen, compared, comparable: seen - notComparable(skipped) },
    openDivergences: record.verdicts.divergenceCount("confirmed"),
    unsettled: record.verdicts.divergenceCount("unsettled"),
    degraded: record.verdicts.degradedCount(),
    bars: settings.config().cutover.guards,
    driftedTables: record.drifted.list(),
    pinnedSessions: pinned,
    replicationManaged: migration.replicator !== undefined,
  };
}

/**
 * Reasons for not comparing that are the operator's choice or the shadow's doing. Everything else
 * that is skipped may not run on a shadow at all, so it says nothing about how well was compared.
 */
const AVOIDABLE: ReadonlySet<string> = new Set<SkipReason>([
  "disabled",
  "sampled_out",
  "too_large",
  "rule",
  "queue_full",
  "shadow_down",
  "resync",
  "desync",
]);

function notComparable(skipped: Readonly<Record<string, number>>): number {
  return Object.entries(skipped).reduce(
    (sum, [reason, count]) => (AVOIDABLE.has(reason) ? sum : sum + count),
    0,
  );
}
