import type { MigrationConfig } from "../../config/config.ts";
import type { ReplicationState } from "../../replication/replication-state.ts";

/** What the process that replicates is told, as messages between processes (plain JSON). */
export type ToReplicator =
  /** The first message; passwords travel this way and no other. */
  | {
      readonly kind: "begin";
      readonly config: MigrationConfig;
      readonly epoch: number;
      /** For what does not fit in memory. */
      readonly folder: string;
    }
  | {
      readonly kind: "hold";
      readonly id: number;
      readonly sees: string;
      readonly position: string | null;
    }
  | { readonly kind: "release"; readonly id: number }
  | { readonly kind: "stop" };

/** What it says. */
export type FromReplicator =
  | { readonly kind: "state"; readonly state: ReplicationState }
  /** It cannot go on by itself, and ends. */
  | { readonly kind: "failed"; readonly detail: string }
  | {
      readonly kind: "register";
      readonly objects: readonly { side: "old" | "new"; kind: string; name: string }[];
    }
  /** A slot is about to be made: what is remembered of a server it was on before means nothing. */
  | { readonly kind: "creating"; readonly side: "old" | "new" }
  | { readonly kind: "held"; readonly id: number; readonly held: boolean }
  | {
      readonly kind: "event";
      readonly detail: Readonly<Record<string, string | number | boolean | null>>;
    };
