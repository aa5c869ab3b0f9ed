import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { CompareContext } from "../../compare/context.ts";
import type { Observation } from "../../compare/observation.ts";
import { ignoringColumns } from "../../compare/rule.ts";
import type { Verdict } from "../../compare/verdict.ts";
import type { ShadowConfig } from "../../config/config.ts";
import type { Recorder } from "../../divergence/recorder.ts";
import type { Digester } from "../../mirror/answer-capture.ts";
import { AnswerCapture } from "../../mirror/answer-capture.ts";
import { ApplyOrder } from "../../mirror/apply-order.ts";
import { DescribedStatements } from "../../mirror/described-statements.ts";
import type { DriftedTables } from "../../mirror/drifted-tables.ts";
import { Gathering } from "../../mirror/gathering.ts";
import type { JudgeDeps, VerdictCounters } from "../../mirror/judge-deps.ts";
import { judgePair } from "../../mirror/judge.ts";
import { MemoryBudget } from "../../mirror/memory-budget.ts";
import type { MigrationMirror } from "../../mirror/migration-mirror.ts";
import { newMirrorCounters } from "../../mirror/migration-mirror.ts";
import { KeptSequences } from "../../mirror/kept-sequences.ts";
import { RehearsalTables } from "../../mirror/rehearsal-tables.ts";
import { rehearsalVerdict } from "../../mirror/rehearsal-verdict.ts";
import type { Rehearsals } from "../../mirror/rehearsals.ts";
import { TableActivity } from "../../mirror/table-activity.ts";
import { ShadowHealth } from "../../mirror/shadow-health.ts";
import type { ShadowPosition } from "../../mirror/shadow-position.ts";
import { FactsTable } from "../../mirror/statement-facts.ts";
import type { Side } from "../../routing/side.ts";
import { otherSide } from "../../routing/side.ts";
import type { AdminRows } from "../../upstream/admin-client.ts";
import type { RelationCatalogue } from "../../sql/relation-catalogue.ts";
import type { Catalogues } from "./catalogues.ts";
import type { MigrationSettings } from "./migration-settings.ts";
import { positionTexts } from "./open-position.ts";
import type { Rechecks } from "./rechecks.ts";

type MirrorParts = {
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: MigrationSettings;
  readonly position: ShadowPosition;
  readonly rechecks: Rechecks;
  readonly catalogues: Catalogues;
  readonly relations: RelationCatalogue;
  readonly recorder: Recorder;
  readonly drifted: DriftedTables;
  readonly noteOwed: MigrationMirror["noteOwed"];
  readonly primary: () => Side;
  readonly compare: (primary: Observation, shadow: Observation, context: CompareContext) => Verdict;
  readonly newDigester: () => Digester;
  readonly dial: MigrationMirror["dial"];
  readonly cancel: MigrationMirror["cancel"];
  readonly refused: MigrationMirror["refused"];
  readonly shadowAnswered: (elapsedMs: number) => void;
  readonly log: Logger;
  /** Asks a side something on Twinwire's own connection. */
  readonly ask: (side: Side, sql: string, values: readonly string[]) => Promise<AdminRows>;
  readonly sequenceNotKept: (error: unknown) => void;
  readonly ruleApplied: CompareContext["applied"];
};

/** Puts together what the sessions of one migration share for mirroring. */
export function openMirrorParts(parts: MirrorParts): MigrationMirror {
  const { clock, settings, catalogues, recorder, drifted, primary, position } = parts;
  const { shadow } = settings;
  const counters = newMirrorCounters();
  const facts = new FactsTable({
    recorder,
    catalogue: { ...catalogues.functions, ...parts.relations },
    safeFunctions: () => new Set(settings.config().compare.safeFunctions),
  });
  const rehearsals = openRehearsals(parts);
  const judging = judgingOf(parts, facts, counters.verdicts, rehearsals.tables);
  return {
    clock,
    health: new ShadowHealth(clock, parts.random),
    budget: new MemoryBudget(shadow().queue.totalBytes),
    order: new ApplyOrder(),
    gathering: new Gathering((ms, then) => void setTimeout(then, ms)),
    position,
    live: new Set(),
    facts,
    drifted,
    rehearsals,
    noteOwed: parts.noteOwed,
    counters,
    policy: () => ({ primary: primary(), enabled: shadow().enabled, writes: shadow().writes }),
    limits: () => ({
      exchanges: shadow().queue.exchanges,
      bytes: shadow().queue.bytes,
      timeoutMs: shadow().timeoutMs,
      lagWaitMs: shadow().lagWaitMs,
    }),
    draw: () => isDrawn(shadow(), parts.random),
    excluded: settings.excluded,
    newCapture: () => new AnswerCapture(settings.config().compare.keepBytes, parts.newDigester),
    shadowSide: () => otherSide(primary()),
    dial: parts.dial,
    cancel: parts.cancel,
    refused: parts.refused,
    judge: (pair) => {
      try {
        judgePair(judging, pair);
      } catch (error) {
        // A mistake of ours in reading what a server said must not cost the clients their sessions.
        parts.log.error(faultOf(error), "comparing two answers failed by a fault of Twinwire");
        const { incomparable } = counters.verdicts;
        incomparable.set("malformed", (incomparable.get("malformed") ?? 0) + 1);
      }
    },
  };
}

function openRehearsals(parts: MirrorParts): Rehearsals {
  const { clock, catalogues, primary } = parts;
  const shadow = (): Side => otherSide(primary());
  return {
    tables: new RehearsalTables({
      primary: () => catalogues.tablesOf(primary()),
      shadow: () => catalogues.tablesOf(shadow()),
      functions: catalogues.functions,
    }),
    activity: new TableActivity(clock.monotonicMs()),
    sequences: new KeptSequences({
      clock,
      query: (sql, values) => parts.ask(shadow(), sql, values),
      failed: parts.sequenceNotKept,
    }),
    limits: () => {
      const limits = parts.settings.shadow().rehearsal;
      // Where it is known how far the shadow lags, that counts as well.
      const lagMs = parts.position.lag.ms ?? 0;
      return { ...limits, quietMs: Math.max(limits.quietMs, 2 * lagMs) };
    },
  };
}

/** A shadow that takes writes takes all of them: with a sample of them its tables would drift. */
function isDrawn({ writes, sample }: ShadowConfig, random: () => number): boolean {
  return writes === "apply" || sample >= 1 || random() < sample;
}

/** Where a fault is, without its message, which may hold values. */
function faultOf(error: unknown): { readonly fault: string; readonly at: readonly string[] } {
  if (!(error instanceof Error)) return { fault: typeof error, at: [] };
  const at = error.stack?.split("\n").filter((line) => line.startsWith("    at ")) ?? [];
  return { fault: error.name, at: at.slice(0, 5) };
}

/** What judging a pair takes. */
function judgingOf(
  parts: MirrorParts,
  facts: FactsTable,
  counters: VerdictCounters,
  tables: RehearsalTables,
): JudgeDeps {
  const { clock, settings, catalogues, recorder, drifted, primary, position, rechecks } = parts;
  const compare: JudgeDeps["compare"] = (ofPrimary, ofShadow, statements, remembered, how) =>
    parts.compare(ofPrimary, ofShadow, {
      statements,
      remembered,
      generated: how.generated,
      rules:
        how.ignored.length === 0
          ? settings.rules()
          : [...settings.rules(), ...ignoringColumns(how.ignored)],
      applied: parts.ruleApplied,
      ...catalogues.typesWith(primary()),
    });
  return {
    clock,
    recorder,
    facts,
    counters,
    compare,
    rehearsed: (pair, verdict) => rehearsalVerdict(tables, pair, verdict),
    described: new DescribedStatements(),
    shadowAnswered: parts.shadowAnswered,
    drifted: drifted.touchedBy,
    primarySide: primary,
    get doubts() {
      return settings.config().compare.recheck.enabled ? rechecks.doubts : undefined;
    },
    believed: new WeakMap(),
    positions: () => positionTexts(position),
    settled: rechecks.count,
    askPlans: rechecks.askPlans,
  };
}
