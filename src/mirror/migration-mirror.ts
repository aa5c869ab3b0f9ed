import type { Clock } from "../base/clock.ts";
import type { MirrorPolicy } from "../routing/decide.ts";
import type { Side } from "../routing/side.ts";
import type { SkipReason } from "../routing/skip-reason.ts";
import type { Statement } from "../sql/statement.ts";
import type { Credentials, DialOutcome, Dialled } from "../upstream/dial.ts";
import type { AnswerCapture } from "./answer-capture.ts";
import type { ApplyOrder } from "./apply-order.ts";
import type { DriftedTables } from "./drifted-tables.ts";
import type { Gathering } from "./gathering.ts";
import type { VerdictCounters } from "./judge-deps.ts";
import type { Pair } from "./pair.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import type { Rehearsals } from "./rehearsals.ts";
import type { ShadowHealth } from "./shadow-health.ts";
import type { ShadowLimits } from "./shadow-deps.ts";
import type { ShadowSession } from "./shadow-session.ts";
import type { FactsTable } from "./statement-facts.ts";
import type { ShadowPosition } from "./shadow-position.ts";

/** What all sessions of one migration share for mirroring. */
export type MigrationMirror = {
  readonly clock: Clock;
  readonly health: ShadowHealth;
  readonly budget: MemoryBudget;
  readonly order: ApplyOrder;
  readonly gathering: Gathering;
  readonly position: Pick<ShadowPosition, "applied" | "here" | "reached" | "isWithin">;
  readonly facts: FactsTable;
  /** Shadow sessions, those included whose client is gone and who have something left to do. */
  readonly live: Set<ShadowSession>;
  readonly drifted: DriftedTables;
  readonly rehearsals: Rehearsals;
  /** Notes, so that it survives this process, that dual writing may come to owe these tables a write. */
  readonly noteOwed: (tables: readonly string[]) => void;
  readonly counters: MirrorCounters;
  readonly policy: () => MirrorPolicy;
  readonly limits: () => ShadowLimits;
  /** Draws a transaction for the sample. */
  readonly draw: () => boolean;
  /** A rule of the configuration keeps the statement from the shadow this time. */
  readonly excluded: (statement: Statement) => boolean;
  readonly newCapture: () => AnswerCapture;
  readonly shadowSide: () => Side;
  readonly dial: (
    side: Side,
    startup: SessionStartup,
    credentials: Credentials,
  ) => Promise<DialOutcome>;
  readonly cancel: (side: Side, server: Dialled) => void;
  /** The shadow refused a user's login, with this SQLSTATE. */
  readonly refused: (user: string, sqlstate: string) => void;
  readonly judge: (pair: Pair) => void;
};

/** Whatever the upstream module needs to log the session's user in on the shadow. */
export type SessionStartup = {
  readonly user: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
  /** Server-enforced: the session's transactions are read-only. */
  readonly readOnly: boolean;
  /** Settings of the session that the client's own do not replace, and that RESET returns to. */
  readonly limits: readonly (readonly [name: string, value: string])[];
};

export type MirrorCounters = {
  seen: number;
  mirrored: number;
  applied: number;
  readonly skipped: Map<SkipReason, number>;
  readonly verdicts: VerdictCounters;
};

export function newMirrorCounters(): MirrorCounters {
  return {
    seen: 0,
    mirrored: 0,
    applied: 0,
    skipped: new Map(),
    verdicts: { match: 0, tolerated: 0, divergent: 0, incomparable: new Map() },
  };
}

export function countSeen(mirror: MigrationMirror, statements: readonly Statement[]): void {
  mirror.counters.seen++;
  for (const statement of statements) mirror.facts.of(statement).coverage.seen++;
}

export function countSkipped(
  mirror: MigrationMirror,
  statements: readonly Statement[],
  reason: SkipReason,
): void {
  const { skipped } = mirror.counters;
  skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
  for (const statement of statements) {
    const { coverage } = mirror.facts.of(statement);
    coverage.skipped.set(reason, (coverage.skipped.get(reason) ?? 0) + 1);
  }
}
