import type { MigrationConfig } from "../../config/config.ts";
import type { VerifyState } from "../../verify/verify-state.ts";
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
  | (HoldQuestion & { readonly request: number })
  /** Verify tables of OLD, all where none are named, instead of what is being verified. */
  | ({ readonly kind: "verify" } & VerifyRequest)
  | { readonly kind: "stop" };

/** Which tables are verified, all where none are named, and whether NEW's rows that differ are made what they are in OLD. */
export type VerifyRequest = { readonly tables: readonly string[]; readonly repair: boolean };

/** About a hold, which is named by a number. */
export type HoldQuestion =
  /** NEW is to stand still. */
  | { readonly kind: "hold"; readonly hold: number }
  /** And to have exactly what a snapshot of OLD sees, taken since. */
  | {
      readonly kind: "go_to";
      readonly hold: number;
      readonly sees: string;
      readonly position: string | null;
    }
  | { readonly kind: "release"; readonly hold: number };

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
  | { readonly kind: "verification"; readonly state: VerifyState }
  /** To the question of that number: NEW stands, stands there, or has stood until now. */
  | { readonly kind: "answer"; readonly request: number; readonly yes: boolean }
  | {
      readonly kind: "event";
      readonly detail: Readonly<Record<string, string | number | boolean | null>>;
    };
