import type { Clock } from "../base/clock.ts";
import { CodedError, messageOf } from "../base/errors.ts";
import type { Applier } from "../replication/apply/applier.ts";
import { ApplyIncident } from "../replication/apply/row-writer.ts";
import { openRowWriter } from "../replication/apply/write-rows.ts";
import type { TableMapping } from "../replication/mapping/row-program.ts";
import { OWN_SCHEMA, streamNames } from "../replication/names.ts";
import { asReplica } from "../replication/replica-role.ts";
import { tableKey } from "../replication/table-shape.ts";
import { WorkError } from "../upstream/work-error.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import type { MomentDeps } from "./moment.ts";
import { Moments } from "./moments.ts";
import type { RepairDeps } from "./repair.ts";
import { TableVerification } from "./verify-table.ts";
import { NOT_VERIFIED } from "./verify-state.ts";
import type { VerifyState } from "./verify-state.ts";

export type VerificationDeps = {
  readonly migration: string;
  readonly applier: () => Pick<Applier, "hold"> | undefined;
  readonly mappings: readonly TableMapping[];
  /** A session of the verification's own; it closes it. */
  readonly open: (side: "old" | "new") => Promise<WorkSession>;
  readonly clock: Clock;
  /** Make the rows of NEW that differ what they are in OLD. */
  readonly repair: boolean;
};

/** One walk over tables of a migration. */
export class Verification {
  readonly #deps: VerificationDeps;
  readonly #tables: readonly TableVerification[];
  readonly #startedAtMs: number;
  #endedAtMs: number | null = null;
  #failure: string | undefined;

  /**
   * @param wanted tables of OLD as `schema.name`; all where there are none
   * @throws CodedError not_found for a table that does not travel
   */
  constructor(deps: VerificationDeps, wanted: readonly string[]) {
    const programs = deps.mappings
      .filter(({ source }) => source.schema !== OWN_SCHEMA)
      .map(({ forward }) => forward);
    const names = new Set(programs.map(({ source }) => tableKey(source)));
    const unknown = wanted.find((name) => !names.has(name));
    if (unknown !== undefined)
      throw new CodedError("not_found", `${unknown} is not among the tables that are replicated`);
    this.#deps = deps;
    this.#startedAtMs = deps.clock.nowMs();
    this.#tables = programs
      .filter(({ source }) => wanted.length === 0 || wanted.includes(tableKey(source)))
      .map((program) => new TableVerification(program));
  }

  get state(): VerifyState {
    const tables = this.#tables.map(({ state }) => state);
    const isOver = this.#endedAtMs !== null;
    return {
      ...NOT_VERIFIED,
      phase: isOver ? (this.#failure === undefined ? "done" : "failed") : "running",
      detail: this.#failure ?? detailOf(tables),
      startedAtMs: this.#startedAtMs,
      endedAtMs: this.#endedAtMs,
      tables,
      differences: this.#tables.flatMap(({ differences }) => differences),
    };
  }

  /** To its end. A table that cannot be verified is told in the state; so is everything else that goes wrong. */
  async run(signal: AbortSignal): Promise<void> {
    const sessions: WorkSession[] = [];
    const open = async (side: "old" | "new"): Promise<WorkSession> => {
      const session = await this.#deps.open(side);
      sessions.push(session);
      return session;
    };
    try {
      const [old, fresh, beating] = [await open("old"), await open("new"), await open("old")];
      const { migration, applier, clock } = this.#deps;
      const moment = { migration, applier, old, fresh, beating, signal };
      const moments = new Moments(moment, clock);
      const repair = this.#deps.repair ? await repairDeps(moment, open) : undefined;
      for (const table of this.#tables) await this.#table(table, moments, signal, repair);
      await moments.end();
    } catch (error) {
      this.#failure = signal.aborted ? "It was stopped." : messageOf(error);
    } finally {
      await Promise.allSettled(sessions.map((session) => session.close()));
      this.#endedAtMs = this.#deps.clock.nowMs();
    }
  }

  async #table(
    table: TableVerification,
    moments: Moments,
    signal: AbortSignal,
    repair: RepairDeps | undefined,
  ): Promise<void> {
    try {
      await table.run(moments, this.#deps.clock, signal, repair);
    } catch (error) {
      if (!isOfTheTable(error)) throw error;
      // The other tables can be asked all the same.
      table.fail(error.message);
      await moments.end();
    }
  }
}

/** A side refused the question, or to be repaired. */
function isOfTheTable(error: unknown): error is Error {
  const isRefused = error instanceof CodedError && error.code === "refused_by_guard";
  return isRefused || error instanceof WorkError || error instanceof ApplyIncident;
}

async function repairDeps(moment: MomentDeps, open: VerificationDeps["open"]): Promise<RepairDeps> {
  const writer = await open("new");
  await writer.execute("SET lock_timeout = '5s'");
  // Where it may not, NEW's own foreign keys and triggers see what is written.
  await asReplica(writer);
  const { stream } = streamNames(moment.migration, "forward");
  return { moment, writer, writeRows: openRowWriter(), stream };
}

function detailOf(tables: VerifyState["tables"]): string {
  const mismatches = tables.reduce((sum, table) => sum + table.mismatches, 0);
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const left = tables.filter(({ state }) => state === "waiting" || state === "verifying").length;
  const repaired = tables.reduce((sum, table) => sum + table.repaired, 0);
  const failed = tables.filter(({ state }) => state === "failed").length;
  const parts = [
    `${rows} rows compared`,
    mismatches === 0 ? "no difference" : `${mismatches} rows differ`,
    ...(repaired === 0 ? [] : [`${repaired} rows repaired`]),
    ...(left === 0 ? [] : [`${left} tables to go`]),
    ...(failed === 0 ? [] : [`${failed} tables could not be verified`]),
  ];
  return `${parts.join(", ")}.`;
}
