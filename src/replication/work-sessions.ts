import type { AdminTarget } from "../upstream/admin-client.ts";
import type { DialDeps } from "../upstream/dial.ts";
import { openWorkSession } from "../upstream/work-session.ts";
import type { WorkSession } from "../upstream/work-session.ts";

const CONNECT_MS = 10_000;

/** The sessions of one run, all closed with it. */
export class WorkSessions {
  readonly targets: Readonly<Record<"old" | "new", AdminTarget>>;
  readonly #dial: DialDeps;
  readonly #opened = new Set<WorkSession>();
  #isClosed = false;

  constructor(targets: Readonly<Record<"old" | "new", AdminTarget>>, dial: DialDeps) {
    this.targets = targets;
    this.#dial = dial;
  }

  /**
   * @param statementTimeoutMs for a session whose questions are answered at once by a server that is well; 0: none
   * @throws CodedError
   */
  async open(side: "old" | "new", statementTimeoutMs = 0): Promise<WorkSession> {
    const session = await openWorkSession(
      this.targets[side],
      {
        connectTimeoutMs: CONNECT_MS,
        applicationName: "twinwire replication",
        statementTimeoutMs,
      },
      this.#dial,
    );
    if (this.#isClosed) await session.close();
    for (const each of this.#opened) if (each.over) this.#opened.delete(each);
    this.#opened.add(session);
    return session;
  }

  /** Also breaks off what is under way in them. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled([...this.#opened].map((session) => session.close()));
  }
}
