import type { Clock } from "../../base/clock.ts";
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
import type { JudgeDeps, VerdictCounters } from "../../mirror/judge.ts";
import { judgePair } from "../../mirror/judge.ts";
import { MemoryBudget } from "../../mirror/memory-budget.ts";
import type { MigrationMirror } from "../../mirror/migration-mirror.ts";
import { newMirrorCounters } from "../../mirror/migration-mirror.ts";
import { ShadowHealth } from "../../mirror/shadow-health.ts";
import type { ShadowPosition } from "../../mirror/shadow-position.ts";
import { FactsTable } from "../../mirror/statement-facts.ts";
import type { Side } from "../../routing/side.ts";
import { otherSide } from "../../routing/side.ts";
import type { RelationCatalogue } from "../../sql/relation-catalogue.ts";
import type { Statement } from "../../sql/statement.ts";
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
  const judging = judgingOf(parts, facts, counters.verdicts);
  return {
    clock,
    health: new ShadowHealth(clock, parts.random),
    budget: new MemoryBudget(shadow().queue.totalBytes),
    order: new ApplyOrder(),
    position,
    live: new Set(),
    facts,
    drifted,
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
    judge: (pair) => judgePair(judging, pair),
  };
}

/** A shadow that takes writes takes all of them: with a sample of them its tables would drift. */
function isDrawn({ writes, sample }: ShadowConfig, random: () => number): boolean {
  return writes === "apply" || sample >= 1 || random() < sample;
}

/** What judging a pair takes. */
function judgingOf(parts: MirrorParts, facts: FactsTable, counters: VerdictCounters): JudgeDeps {
  const { clock, settings, catalogues, recorder, drifted, primary, position, rechecks } = parts;
  const compare = (
    ofPrimary: Observation,
    ofShadow: Observation,
    statements: readonly Statement[],
    remembered: CompareContext["remembered"],
    ignored: readonly string[],
  ): Verdict =>
    parts.compare(ofPrimary, ofShadow, {
      statements,
      remembered,
      rules:
        ignored.length === 0
          ? settings.rules()
          : [...settings.rules(), ...ignoringColumns(ignored)],
      applied: parts.ruleApplied,
      ...catalogues.typesWith(primary()),
    });
  return {
    clock,
    recorder,
    facts,
    counters,
    compare,
    described: new DescribedStatements(),
    shadowAnswered: parts.shadowAnswered,
    drifted: drifted.touchedBy,
    primarySide: primary,
    get doubts() {
      return settings.config().compare.recheck.enabled ? rechecks.doubts : undefined;
    },
    positions: () => positionTexts(position),
    settled: rechecks.count,
    askPlans: rechecks.askPlans,
  };
}
