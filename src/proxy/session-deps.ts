import type { Clock } from "../base/clock.ts";
import type { SessionMirror } from "../mirror/session-mirror.ts";
import type { PreparedStatements } from "../routing/prepared-statements.ts";
import type { SessionState } from "../routing/session-state.ts";
import type { Analysis } from "../sql/analysis.ts";
import type { Gate } from "./gate.ts";
import type { TrafficCounters } from "./traffic-counters.ts";

/** What a session shares with the others of its migration. */
export type SessionDeps = {
  readonly clock: Clock;
  readonly gate: Gate;
  readonly analyse: (sql: Uint8Array, start: number, end: number) => Analysis;
  /** Dual writing notes what it may come to owe before the primary is asked to write. */
  readonly understandFirst: () => boolean;
  /** How many bytes of a request are worth keeping for the shadow; 0 when there is none. */
  readonly keepBytes: () => number;
  readonly openMirror: (session: {
    readonly prepared: PreparedStatements;
    readonly state: () => SessionState;
  }) => SessionMirror;
  readonly traffic: TrafficCounters;
  readonly ended: () => void;
};
