import type { Clock } from "../../base/clock.ts";
import type { CompareContext } from "../../compare/context.ts";
import type { Observation } from "../../compare/observation.ts";
import type { Verdict } from "../../compare/verdict.ts";
import type { Recorder } from "../../divergence/recorder.ts";
import type { Digester } from "../../mirror/answer-capture.ts";
import { AnswerCapture } from "../../mirror/answer-capture.ts";
import { ApplyOrder } from "../../mirror/apply-order.ts";
import { DescribedStatements } from "../../mirror/described-statements.ts";
import type { DriftedTables } from "../../mirror/drifted-tables.ts";
import type { JudgeDeps } from "../../mirror/judge.ts";
import { judgePair } from "../../mirror/judge.ts";
import { MemoryBudget } from "../../mirror/memory-budget.ts";
import type { MigrationMirror } from "../../mirror/migration-mirror.ts";
import { newMirrorCounters } from "../../mirror/migration-mirror.ts";
import type { Pair } from "../../mirror/pair.ts";
import { KeptSequences } from "../../mirror/kept-sequences.ts";
import { RehearsalTables } from "../../mirror/rehearsal-tables.ts";
import { rehearsalVerdict } from "../../mirror/rehearsal-verdict.ts";
import type { Rehearsals } from "../../mirror/rehearsals.ts";
import { TableActivity } from "../../mirror/table-activity.ts";
import { ShadowHealth } from "../../mirror/shadow-health.ts";
import { FactsTable } from "../../mirror/statement-facts.ts";
import type { Side } from "../../routing/side.ts";
import { otherSide } from "../../routing/side.ts";
import type { AdminRows } from "../../upstream/admin-client.ts";
import type { Catalogues } from "./catalogues.ts";
import type { MigrationSettings } from "./migration-settings.ts";

type MirrorParts = {
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: MigrationSettings;
  readonly catalogues: Catalogues;
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
  /** Asks a side something on Twinwire's own connection. */
  readonly ask: (side: Side, sql: string, values: readonly string[]) => Promise<AdminRows>;
  readonly sequenceNotKept: (error: unknown) => void;
};

/** Puts together what the sessions of one migration share for mirroring. */
export function openMirrorParts(parts: MirrorParts): MigrationMirror {
  const { clock, settings, catalogues, recorder, drifted, primary } = parts;
  const { shadow } = settings;
  const counters = newMirrorCounters();
  const facts = new FactsTable({
    recorder,
    catalogue: catalogues.functions,
    safeFunctions: () => new Set(settings.config().compare.safeFunctions),
  });
  const rehearsals = openRehearsals(parts);
  const judging = {
    clock,
    recorder,
    facts,
    counters: counters.verdicts,
    compare: comparing(parts),
    rehearsed: (pair: Pair, verdict: Verdict) => rehearsalVerdict(rehearsals.tables, pair, verdict),
    described: new DescribedStatements(),
    shadowAnswered: parts.shadowAnswered,
    drifted: drifted.touchedBy,
    primarySide: primary,
  };
  return {
    clock,
    health: new ShadowHealth(clock, parts.random),
    budget: new MemoryBudget(shadow().queue.totalBytes),
    order: new ApplyOrder(),
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
    }),
    // A shadow that takes writes takes all of them: with a sample of them its tables would drift.
    draw: () =>
      shadow().writes === "apply" || shadow().sample >= 1 || parts.random() < shadow().sample,
    excluded: settings.excluded,
    newCapture: () => new AnswerCapture(settings.config().compare.keepBytes, parts.newDigester),
    shadowSide: () => otherSide(primary()),
    dial: parts.dial,
    cancel: parts.cancel,
    refused: parts.refused,
    judge: (pair) => judgePair(judging, pair),
  };
}

/** Compares by the rules and the types as they are then. */
function comparing(parts: MirrorParts): JudgeDeps["compare"] {
  const { settings, catalogues, primary } = parts;
  return (ofPrimary, ofShadow, statements, remembered, generated) =>
    parts.compare(ofPrimary, ofShadow, {
      statements,
      remembered,
      generated,
      rules: settings.rules(),
      primaryTypes: catalogues.typesOf(primary()),
      shadowTypes: catalogues.typesOf(otherSide(primary())),
    });
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
    limits: () => parts.settings.shadow().rehearsal,
  };
}
