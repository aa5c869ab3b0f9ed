import type { MigrationRoute } from "../routing/phase.ts";
import type { Attempt } from "./attempt.ts";

/** What the conductor needs of the control store. Every method may reject with `store_failed`. */
export type CutoverStore = {
  read(migration: string): Promise<StoredToggle | undefined>;
  /** Stores all of the change, or nothing when the record has moved on since `expectedRevision`. */
  compareAndSet(change: ToggleChange): Promise<StoreOutcome>;
  /** @returns undefined while somebody else conducts. */
  acquireLease(request: {
    readonly name: string;
    readonly holder: string;
    readonly forMs: number;
  }): Promise<{ release(): Promise<void> } | undefined>;
  /** Attempts as they were stored, the newest first. */
  attempts(migration: string, limit: number): Promise<readonly unknown[]>;
  appendEvent(migration: string, event: CutoverEvent): Promise<void>;
};

export type StoredToggle = {
  readonly route: MigrationRoute;
  /** The attempt under way. */
  readonly attempt: string | undefined;
  readonly revision: number;
};

export type ToggleChange = {
  readonly migration: string;
  /** 0 for a migration that is not stored yet. */
  readonly expectedRevision: number;
  readonly route: MigrationRoute;
  readonly attempt: string | undefined;
  readonly attempts: readonly Attempt[];
};

export type StoreOutcome =
  | { readonly kind: "stored"; readonly record: StoredToggle }
  | { readonly kind: "conflict"; readonly record: StoredToggle | undefined };

/** For people and the event stream; `at` is ISO 8601. */
export type CutoverEvent = {
  readonly at: string;
  readonly type: "phase" | "attempt";
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
};
