/**
 * `off` nobody started it; `preparing` what it needs is being made; `copying` tables are filled; `catching_up` all are
 * filled and the log since then is applied, indexes and foreign keys are made; `streaming` NEW follows OLD, and what is written on
 * NEW goes back; `retrying` a database cannot be reached; `failed` it stopped by itself and says why.
 */
export type ReplicationPhase =
  | "off"
  | "preparing"
  | "copying"
  | "catching_up"
  | "streaming"
  | "retrying"
  | "failed";

/** What replication of one migration is doing; times in milliseconds. Holds no values of rows. */
export type ReplicationState = {
  readonly phase: ReplicationPhase;
  /** A sentence: what is being done, or why it failed and what to do. */
  readonly detail: string;
  readonly forward: StreamState;
  readonly reverse: StreamState;
  readonly tables: readonly TableState[];
  readonly copy: {
    readonly rows: number;
    readonly bytes: number;
    readonly rowsPerSecond: number;
    readonly estimatedRows: number;
    /** null while it cannot be told. */
    readonly etaMs: number | null;
  };
  readonly schema: SchemaState;
  readonly canGoBack: { readonly ok: boolean; readonly reasons: readonly string[] };
  readonly warnings: readonly string[];
};

/**
 * Indexes, constraints and triggers of NEW's tables: `unknown` before every row is there; `validated` all that OLD's have is
 * there and in force; `incomplete` otherwise, and the warnings say what is missing.
 */
export type SchemaState = "unknown" | "validated" | "incomplete";

export type StreamState = {
  readonly state: "off" | "running";
  /** Applied up to here. */
  readonly position: string | null;
  readonly lagBytes: number | null;
  /** How late the last commit was applied; while more waits, at least how long ago that commit was. null before the first. */
  readonly lagMs: number | null;
  readonly rows: Readonly<Record<"insert" | "update" | "delete" | "truncate", number>>;
  readonly transactions: number;
  /** Log that the source keeps for it. */
  readonly retainedBytes: number | null;
  readonly detail: string;
};

export type TableState = {
  readonly source: string;
  readonly target: string;
  readonly state: string;
  readonly chunks: number;
  readonly chunksDone: number;
  readonly rows: number;
  readonly estimatedRows: number;
};

const NO_ROWS = { insert: 0, update: 0, delete: 0, truncate: 0 } as const;

export const STREAM_OFF: StreamState = {
  state: "off",
  position: null,
  lagBytes: null,
  lagMs: null,
  rows: NO_ROWS,
  transactions: 0,
  retainedBytes: null,
  detail: "",
};

export const REPLICATION_OFF: ReplicationState = {
  phase: "off",
  detail: "It has not been started.",
  forward: STREAM_OFF,
  reverse: STREAM_OFF,
  tables: [],
  copy: { rows: 0, bytes: 0, rowsPerSecond: 0, estimatedRows: 0, etaMs: null },
  schema: "unknown",
  canGoBack: { ok: false, reasons: ["replication does not run"] },
  warnings: [],
};
