import type { Logger } from "../../base/logger.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import { asReplica } from "../replica-role.ts";

/** A copier's session with each database, opened when first used and again when it was lost. */
export class CopySessions {
  readonly #open: { openSource(): Promise<WorkSession>; openTarget(): Promise<WorkSession> };
  readonly #logger: Logger;
  #source: WorkSession | undefined;
  #target: WorkSession | undefined;

  constructor(
    open: { openSource(): Promise<WorkSession>; openTarget(): Promise<WorkSession> },
    logger: Logger,
  ) {
    this.#open = open;
    this.#logger = logger;
  }

  /** @throws CodedError */
  async source(): Promise<WorkSession> {
    if (this.#source?.over !== false) {
      this.#source = await this.#open.openSource();
      // A policy that hides rows from this role must be an error, not a smaller copy.
      await this.#source.execute("SET row_security = off");
    }
    return this.#source;
  }

  /** @throws CodedError */
  async target(): Promise<WorkSession> {
    if (this.#target?.over !== false) {
      this.#target = await this.#open.openTarget();
      if (!(await asReplica(this.#target)))
        this.#logger.debug({}, "triggers of the target fire while tables are copied");
    }
    return this.#target;
  }

  /** Ends what is open in the databases, whatever state it is in. */
  async rollBack(): Promise<void> {
    await Promise.all([this.#source, this.#target].map(rollBack));
  }

  async close(): Promise<void> {
    await Promise.all([this.#source?.close(), this.#target?.close()]);
  }
}

async function rollBack(session: WorkSession | undefined): Promise<void> {
  if (session?.over !== false) return;
  // A session that cannot even roll back is of no use.
  await session.execute("ROLLBACK").catch(() => session.close());
}
