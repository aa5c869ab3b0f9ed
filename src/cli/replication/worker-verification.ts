import { randomBytes } from "node:crypto";
import { systemClock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { MigrationReplication } from "../../replication/migration-replication.ts";
import { WorkSessions } from "../../replication/work-sessions.ts";
import type { AdminTarget } from "../../upstream/admin-client.ts";
import { Verification } from "../../verify/verification.ts";
import { NOT_VERIFIED } from "../../verify/verify-state.ts";
import type { VerifyState } from "../../verify/verify-state.ts";
import type { VerifyRequest } from "./protocol.ts";

type Targets = Readonly<Record<"old" | "new", AdminTarget>>;

const STATE_MS = 250;

/** Verifies in the process that replicates, one walk at a time. */
export class WorkerVerification {
  readonly #replication: () => MigrationReplication | undefined;
  readonly #tell: (state: VerifyState) => void;
  readonly #signal: AbortSignal;
  #where: { readonly migration: string; readonly targets: Targets } | undefined;
  #running: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;

  constructor(
    replication: () => MigrationReplication | undefined,
    tell: (state: VerifyState) => void,
    signal: AbortSignal,
  ) {
    this.#replication = replication;
    this.#tell = tell;
    this.#signal = signal;
  }

  prepare(migration: string, targets: Targets): void {
    this.#where = { migration, targets };
  }

  /** Instead of what runs. */
  async start(wanted: VerifyRequest): Promise<void> {
    const before = this.#running;
    const stop = new AbortController();
    const ended = this.#run(wanted, AbortSignal.any([stop.signal, this.#signal]), before);
    this.#running = { stop, ended };
    await ended;
  }

  async #run(
    wanted: VerifyRequest,
    signal: AbortSignal,
    before: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined,
  ): Promise<void> {
    before?.stop.abort();
    await before?.ended;
    const verification = this.#prepared(wanted);
    if (verification === undefined) return;
    const report = (): void => this.#tell(verification.state);
    const reporting = setInterval(report, STATE_MS);
    report();
    await verification.run(signal);
    clearInterval(reporting);
    report();
  }

  /** @returns undefined when that was told already */
  #prepared({ tables, repair }: VerifyRequest): Verification | undefined {
    const mappings = this.#replication()?.mappings;
    const where = this.#where;
    if (mappings === undefined || where === undefined) {
      this.#tell({ ...NOT_VERIFIED, phase: "failed", detail: "Replication is not in step now." });
      return undefined;
    }
    const sessions = new WorkSessions(where.targets, { random: randomBytes });
    try {
      return new Verification(
        {
          migration: where.migration,
          applier: () => this.#replication()?.applier,
          mappings,
          open: (side) => sessions.open(side),
          clock: systemClock,
          repair,
        },
        tables,
      );
    } catch (error) {
      this.#tell({ ...NOT_VERIFIED, phase: "failed", detail: messageOf(error) });
      return undefined;
    }
  }
}
