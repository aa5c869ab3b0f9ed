import type { Clock } from "../base/clock.ts";
import { formatPosition } from "../wire/position.ts";
import type { Applier } from "./apply/applier.ts";
import type { TableMapping } from "./mapping/row-program.ts";
import { REPLICATION_OFF, STREAM_OFF } from "./replication-state.ts";
import type {
  ReplicationPhase,
  ReplicationState,
  SchemaState,
  StreamState,
  TableState,
} from "./replication-state.ts";
import type { SourceStream } from "./source/source-transaction.ts";

/** A stream that runs, as far as it can be seen. */
export type RunningStream = {
  readonly applier: Applier;
  readonly stream: SourceStream;
  /** Source's clock less ours, in milliseconds. */
  readonly clockAheadMs: number;
  retainedBytes: number | undefined;
  /** When a beat of the source's canary was last seen to have arrived, by our monotonic clock. */
  arrivedAtMs: number | undefined;
  detail: string;
};

/** What a run has come to, written by whoever does it and read by whoever asks. */
export type ReplicationView = {
  phase: ReplicationPhase;
  detail: string;
  forward: RunningStream | undefined;
  reverse: RunningStream | undefined;
  /** Of the tables that are replicated, once that is known. */
  mappings: readonly TableMapping[];
  copy: () => ReplicationState["copy"];
  tables: () => readonly TableState[];
  /** Why there is no way back, whatever the streams do: mappings without an inverse, rows that do not fit. */
  noWayBack: readonly string[];
  /** What was noticed while it was prepared. */
  notices: readonly string[];
  /** What stands in the way of NEW's sequences. */
  sequences: readonly string[];
  /** What NEW's tables lack of OLD's indexes, constraints and triggers; undefined before every row is there. */
  missingInSchema: readonly string[] | undefined;
};

/** A way back that has shown no sign of life for so long is not proven any more. */
const CANARY_FRESH_MS = 15_000;

export function emptyView(): ReplicationView {
  return {
    phase: "preparing",
    detail: "Both databases are being looked at.",
    forward: undefined,
    reverse: undefined,
    mappings: [],
    copy: () => REPLICATION_OFF.copy,
    tables: () => [],
    noWayBack: [],
    notices: [],
    sequences: [],
    missingInSchema: undefined,
  };
}

export function stateOf(view: ReplicationView, clock: Clock): ReplicationState {
  const { phase, detail, notices, sequences, missingInSchema } = view;
  return {
    phase,
    detail,
    forward: streamState(view.forward, clock),
    reverse: streamState(view.reverse, clock),
    tables: view.tables(),
    copy: view.copy(),
    schema: schemaState(missingInSchema),
    canGoBack: canGoBack(view, clock),
    warnings: [...notices, ...(missingInSchema ?? []), ...sequences],
  };
}

function schemaState(missing: ReplicationView["missingInSchema"]): SchemaState {
  if (missing === undefined) return "unknown";
  return missing.length === 0 ? "validated" : "incomplete";
}

function streamState(running: RunningStream | undefined, clock: Clock): StreamState {
  if (running === undefined) return STREAM_OFF;
  const { applier, stream, retainedBytes, detail } = running;
  const { position, rows, transactions, idle } = applier.state;
  const end = stream.serverEnd?.lsn;
  const behind = end === undefined || position === undefined ? undefined : Number(end - position);
  return {
    state: "running",
    position: position === undefined ? null : formatPosition({ kind: "lsn", lsn: position }),
    lagBytes: idle ? 0 : behind === undefined ? null : Math.max(0, behind),
    lagMs: lagMs(running, clock),
    rows,
    transactions,
    retainedBytes: retainedBytes ?? null,
    detail,
  };
}

function lagMs({ applier, clockAheadMs }: RunningStream, clock: Clock): number | null {
  const { lastCommit, idle } = applier.state;
  if (lastCommit === undefined) return null;
  const committedAtMs = lastCommit.sourceMs - clockAheadMs;
  const until = idle ? lastCommit.appliedAtMs : clock.nowMs();
  return Math.max(0, until - committedAtMs);
}

function canGoBack(
  { reverse, noWayBack }: ReplicationView,
  clock: Clock,
): ReplicationState["canGoBack"] {
  const reasons = [...noWayBack];
  if (reverse === undefined) {
    reasons.push("the stream from NEW to OLD does not run yet");
  } else if (reverse.arrivedAtMs === undefined) {
    reasons.push("nothing has come back from NEW to OLD yet");
  } else if (clock.monotonicMs() - reverse.arrivedAtMs > CANARY_FRESH_MS) {
    const seconds = Math.round((clock.monotonicMs() - reverse.arrivedAtMs) / 1000);
    reasons.push(`nothing has come back from NEW to OLD for ${seconds} s`);
  }
  if (reasons.length > 0) return { ok: false, reasons };
  return { ok: true, reasons: ["what is written on NEW comes back to OLD"] };
}
