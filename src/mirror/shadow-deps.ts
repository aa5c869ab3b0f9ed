import type { Clock } from "../base/clock.ts";
import type { Dialled, DialOutcome } from "../upstream/dial.ts";
import type { AnswerCapture } from "./answer-capture.ts";
import type { Gathering } from "./gathering.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import type { Pair } from "./pair.ts";
import type { ShadowHealth } from "./shadow-health.ts";
import type { ShadowSession } from "./shadow-session.ts";
import type { RehearsalHooks } from "./standing-rehearsals.ts";

export type ShadowLimits = {
  readonly exchanges: number;
  readonly bytes: number;
  readonly timeoutMs: number;
  /** A session's reads wait so long for the shadow to have what it wrote. */
  readonly lagWaitMs: number;
};

/** What a shadow session shares with others, and where it tells what came of its pairs. */
export type ShadowDeps = {
  readonly clock: Clock;
  readonly health: ShadowHealth;
  readonly budget: MemoryBudget;
  readonly limits: () => ShadowLimits;
  readonly dial: () => Promise<DialOutcome>;
  /** All shadow sessions of the migration that are not closed. */
  readonly live: Set<ShadowSession>;
  readonly gathering: Gathering;
  /** Ends a statement that outlived its time, since the server does not notice a closed connection. */
  readonly cancel: (server: Dialled) => void;
  readonly newCapture: () => AnswerCapture;
  /** The shadow refused the session's login. */
  readonly refused: (sqlstate: string) => void;
  /** The pair has its observation of the shadow. */
  readonly settled: (pair: Pair) => void;
  readonly rehearsing: RehearsalHooks;
};
