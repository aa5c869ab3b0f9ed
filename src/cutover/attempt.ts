import type { Side } from "../routing/side.ts";
import type { Holder } from "../routing/traffic-port.ts";

export type Verb = "route" | "verify" | "rehearse" | "cutover" | "rollback" | "abort" | "finalize";

/** One run of a verb, kept for ever: the answer of the admin API and the body of the timeline. */
export type Attempt = {
  readonly id: string;
  readonly migration: string;
  readonly verb: Verb;
  readonly to: Side;
  readonly epoch: number;
  readonly state: "running" | "succeeded" | "failed" | "aborted";
  readonly startedAt: string;
  readonly timeline: readonly AttemptStep[];
  /** How long clients' new transactions waited. */
  readonly pauseMs?: number;
  readonly outcome?: string;
  readonly holders?: readonly Holder[];
};

export type AttemptStep = {
  readonly step: string;
  /** Milliseconds since the attempt began. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly detail: string;
};
