import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { CodedError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { AdminTarget } from "../upstream/admin-client.ts";
import type { Applier } from "./apply/applier.ts";
import { ApplyIncident } from "./apply/row-writer.ts";
import { mayPass } from "./apply/apply-failure.ts";
import type { MappingInput } from "./mapping/mapping-input.ts";
import type { TableMapping } from "./mapping/row-program.ts";
import { ReplicationRun } from "./replication-run.ts";
import type { ReplicationState } from "./replication-state.ts";
import { RelationChanged, settle, TablesChanged } from "./source-changes.ts";
import { emptyView, stateOf } from "./replication-view.ts";

/** Structurally what the configuration says of replication. Bytes and milliseconds. */
export type ReplicationSettings = {
  readonly tables: readonly string[];
  readonly mapping: MappingInput;
  readonly copy: {
    readonly parallel: number;
    readonly chunkBytes: number;
    readonly maxRate: number | undefined;
  };
  readonly ddl: "stop" | "additive" | "ignore";
  readonly ackMarginMs: number;
  readonly sequences: { readonly headroom: number };
  readonly spool: { readonly path: string | undefined; readonly memoryBytes: number };
};

export type ReplicationDeps = {
  readonly migration: string;
  readonly targets: Readonly<Record<"old" | "new", AdminTarget>>;
  readonly settings: ReplicationSettings;
  /** Above that of every process before. */
  readonly epoch: number;
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly randomBytes: (bytes: number) => Uint8Array;
  /** Written down before it is made. */
  readonly register: (
    objects: readonly { side: "old" | "new"; kind: string; name: string }[],
  ) => void;
  /** A slot is made on this side once this has resolved. */
  readonly creating: (side: "old" | "new") => Promise<void>;
  readonly event: (detail: Readonly<Record<string, string | number | boolean | null>>) => void;
};

/** Fills NEW from OLD, keeps it in step, and keeps OLD in step with what is written on NEW. */
export type MigrationReplication = {
  readonly state: ReplicationState;
  /** Until the signal aborts. @throws Error whose message says why it cannot go on and what to do */
  run(signal: AbortSignal): Promise<void>;
  /** What applies OLD's changes on NEW; undefined while nothing does. */
  readonly applier: Applier | undefined;
  /** Of the tables that are replicated, once NEW holds them. */
  readonly mappings: readonly TableMapping[] | undefined;
};

/** Makes it; nothing is asked of a database before `run`. */
export function openMigrationReplication(deps: ReplicationDeps): MigrationReplication {
  const view = emptyView();
  const backoff = new Backoff(FIRST_RETRY_MS, LONGEST_RETRY_MS, deps.random);
  return {
    get state() {
      return stateOf(view, deps.clock);
    },
    get applier() {
      return view.forward?.applier;
    },
    get mappings() {
      return view.phase === "streaming" ? view.mappings : undefined;
    },
    async run(signal) {
      while (!signal.aborted) {
        const beganAtMs = deps.clock.monotonicMs();
        try {
          await new ReplicationRun(deps, view, signal).run();
        } catch (thrown) {
          const error = await reasonOf(thrown, deps.log);
          if (error === undefined) continue;
          if (!mayPass(error) && !isLost(error)) throw error;
          if (deps.clock.monotonicMs() - beganAtMs > SETTLED_MS) backoff.reset();
          const waitMs = backoff.nextMs();
          view.phase = "retrying";
          view.detail = `${messageOf(error)}. It is tried again.`;
          deps.log.warn({ error: messageOf(error), waitMs: Math.round(waitMs) }, RETRYING);
          await sleep(waitMs, undefined, { signal }).catch(() => {});
        }
      }
    },
  };
}

const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 10_000;
/** A run that has lived so long was not in trouble from the start. */
const SETTLED_MS = 30_000;
const RETRYING = "replication was interrupted and goes on from where it was";

/** @returns undefined when nothing is wrong, and a new run has to look at the tables anew */
async function reasonOf(thrown: unknown, log: Logger): Promise<Error | undefined> {
  if (thrown instanceof TablesChanged) return undefined;
  if (!(thrown instanceof RelationChanged)) return asError(thrown);
  try {
    settle(await thrown.outcome, (sentence) => log.warn({}, sentence));
    return undefined;
  } catch (error) {
    return error instanceof TablesChanged ? undefined : asError(error);
  }
}

/** An incident tells the operator which row it is, which no log is told. */
function asError(thrown: unknown): Error {
  if (thrown instanceof ApplyIncident) return new Error(incidentText(thrown), { cause: thrown });
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
}

function incidentText({ message, key }: ApplyIncident): string {
  const row = Object.entries(key).map(([column, value]) => `${column} = ${value ?? "NULL"}`);
  const which = row.length === 0 ? "" : ` (${row.join(", ")})`;
  return `${message}${which}. Everything before it is applied. Cure it on the side that refused it, then start replication again: it goes on there.`;
}

/** The connection broke, or none could be made. */
function isLost(error: unknown): boolean {
  return (
    error instanceof CodedError &&
    (error.code === "backend_lost" || error.code === "backend_unreachable")
  );
}
