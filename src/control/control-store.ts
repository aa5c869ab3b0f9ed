import type { MigrationRoute } from "../routing/phase.ts";

/**
 * The durable shared state. Asynchronous, so that a store in a database can stand behind the same
 * port. Every method may reject with `CodedError` `store_failed`.
 */
export type ControlStore = {
  read(migration: string): Promise<MigrationRecord | undefined>;
  /** Stores the whole change, or nothing when the record has moved on since `expectedRevision`. */
  compareAndSet(change: RecordChange): Promise<ChangeOutcome>;
  /** Calls back with each record stored from now on until the signal aborts. */
  watch(migration: string, listener: (record: MigrationRecord) => void, signal: AbortSignal): void;
  /** @returns undefined while somebody else holds it. */
  acquireLease(request: LeaseRequest): Promise<Lease | undefined>;
  /** As they were saved, the newest first. */
  attempts(migration: string, limit: number): Promise<readonly unknown[]>;
  /** The newest events are kept, older ones are dropped. */
  appendEvent(migration: string, event: EventDocument): Promise<void>;
  /** The newest first. */
  events(migration: string, limit: number): Promise<readonly EventDocument[]>;
};

/** What is known of a migration. `revision` grows by one with every change. */
export type MigrationRecord = {
  readonly route: MigrationRoute;
  /** The attempt under way, if one is. */
  readonly attempt: string | undefined;
  readonly revision: number;
};

export type RecordChange = {
  readonly migration: string;
  /** The revision the change was made from; 0 for a migration that is not stored yet. */
  readonly expectedRevision: number;
  readonly route: MigrationRoute;
  readonly attempt: string | undefined;
  /** Saved together with the record. */
  readonly attempts: readonly AttemptDocument[];
};

export type ChangeOutcome =
  | { readonly kind: "stored"; readonly record: MigrationRecord }
  /** `record` is what stands there instead. */
  | { readonly kind: "conflict"; readonly record: MigrationRecord | undefined };

export type LeaseRequest = {
  readonly name: string;
  /** Who asks; the same holder may ask again. */
  readonly holder: string;
  readonly forMs: number;
};

export type Lease = {
  /** @returns false when it ran out and somebody else has it now. */
  renew(): Promise<boolean>;
  release(): Promise<void>;
};

/** One run of a verb. Everything beyond these fields is kept as it is. */
export type AttemptDocument = {
  readonly id: string;
  readonly migration: string;
  readonly startedAt: string;
};

/** Something that happened, for people: `at` is ISO 8601. */
export type EventDocument = {
  readonly at: string;
  readonly type: string;
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
};
