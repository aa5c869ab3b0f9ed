import type { Clock } from "../../base/clock.ts";
import { CodedError } from "../../base/errors.ts";
import type { Observation } from "../../compare/observation.ts";
import { decodeReply } from "../../compare/reply.ts";
import type { RecordedExchange } from "../../divergence/recorded-exchange.ts";
import type { Dialled, DialOutcome } from "../../upstream/dial.ts";
import { parseName } from "../../wire/postgres/frontend-frames.ts";
import {
  describeStatementMessage,
  queryMessage,
  SYNC_MESSAGE,
} from "../../wire/postgres/frontend-messages.ts";
import { Frontend } from "../../wire/postgres/message-types.ts";
import { decodeDataRow } from "../../wire/postgres/reply-frames.ts";
import type { AnswerCapture } from "../answer-capture.ts";
import { rowsDescribed } from "../described-statements.ts";
import { ShadowLink } from "../shadow-link.ts";

export type RecheckSessionDeps = {
  readonly clock: Clock;
  /** A session of the exchange's user, read-only by its default. */
  readonly dial: () => Promise<DialOutcome>;
  readonly cancel: (server: Dialled) => void;
  readonly newCapture: () => AnswerCapture;
  readonly timeoutMs: number;
};

/** What the only statement prepared beforehand returns, as this side describes it. */
export type Described = Uint8Array | undefined;

/** A connection of ours to one side on which an exchange is repeated, each time in a transaction of its own. */
export class RecheckSession {
  readonly #deps: RecheckSessionDeps;
  readonly #exchange: RecordedExchange;
  readonly #link: ShadowLink;
  #lost = false;
  described: Described;

  private constructor(deps: RecheckSessionDeps, exchange: RecordedExchange, server: Dialled) {
    this.#deps = deps;
    this.#exchange = exchange;
    this.#link = new ShadowLink(server, deps.clock, () => {
      this.#lost = true;
    });
  }

  /** Logs in and gives the session the client's settings. @throws CodedError in words for the operator */
  static async open(deps: RecheckSessionDeps, exchange: RecordedExchange): Promise<RecheckSession> {
    const outcome = await deps.dial();
    if (outcome.kind === "failed") throw outcome.error;
    if (outcome.kind === "refused") {
      throw new CodedError("backend_refused", `it refused the login (${outcome.sqlstate})`);
    }
    const session = new RecheckSession(deps, exchange, outcome.server);
    try {
      for (const sql of exchange.settings) await session.#say(sql);
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /**
   * Begins a read-only transaction with one snapshot, in which the exchange can be asked.
   * @param snapshot one that another session has exported
   * @throws CodedError
   */
  async begin(snapshot?: string): Promise<void> {
    if (this.#link.status !== "I") await this.#say("ROLLBACK");
    // What a repeated Parse made stands in the way of the next.
    await this.#say("DEALLOCATE ALL");
    for (const frame of this.#exchange.prepared) await this.#prepare(Buffer.from(frame));
    await this.#say("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    if (snapshot !== undefined) await this.#say(`SET TRANSACTION SNAPSHOT '${snapshot}'`);
  }

  /** Fixes the transaction's snapshot. @returns by what name other sessions can take it over */
  async exportSnapshot(): Promise<string> {
    const [name] = await this.#row(EXPORT_SNAPSHOT);
    return name ?? "";
  }

  /** Fixes the transaction's snapshot. @returns which transactions it sees, as `xmin:xmax:xip,…` */
  async visible(): Promise<string> {
    const [sees] = await this.#row(CURRENT_SNAPSHOT);
    return sees ?? "";
  }

  /** Asks the exchange once. It does not throw: what goes wrong is the observation. */
  ask(frames: Uint8Array = this.#exchange.frames): Promise<Observation> {
    return this.#run(Buffer.from(frames));
  }

  /** Ends the transaction: its snapshot would hold back the server's housekeeping. */
  async finish(): Promise<void> {
    if (!this.#lost && this.#link.status !== "I") await this.#say("ROLLBACK");
  }

  close(): void {
    this.#link.close();
  }

  /** What the server refuses to prepare shows when it is executed. */
  async #prepare(frame: Buffer): Promise<void> {
    if (frame[0] !== Frontend.Parse) {
      await this.#run(frame);
      return;
    }
    const name = parseName(frame, 0, frame.length) ?? "";
    const answer = await this.#run(
      Buffer.concat([frame, describeStatementMessage(name), SYNC_MESSAGE]),
    );
    this.described = rowsDescribed(answer)[0];
  }

  async #say(sql: string): Promise<void> {
    await this.#rows(sql);
  }

  async #row(sql: string): Promise<readonly (string | undefined)[]> {
    const [row] = await this.#rows(sql);
    return row === undefined ? [] : decodeDataRow(row).map((cell) => cell?.toString("utf8"));
  }

  async #rows(sql: string): Promise<readonly Uint8Array[]> {
    const answer = await this.#run(queryMessage(sql));
    if (answer.kind !== "answered") {
      throw new CodedError("backend_lost", `it did not answer (${lossOf(answer)})`);
    }
    const [result] = decodeReply(answer.frames).results;
    if (result?.error === undefined) return result?.rows ?? [];
    throw new CodedError(
      "backend_refused",
      `it refused ${firstWord(sql)} (${result.error.sqlstate})`,
    );
  }

  #run(frames: Buffer): Promise<Observation> {
    if (this.#lost) {
      return Promise.resolve({ kind: "lost", elapsedMs: 0, reason: "disconnected" });
    }
    const { timeoutMs, cancel, newCapture } = this.#deps;
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        cancel(this.#link.server);
        this.#link.abort("timeout");
      }, timeoutMs);
      this.#link.run({
        preparation: [],
        answers: 0,
        inTransaction: false,
        exchange: frames,
        capture: newCapture(),
        done: (observation) => {
          clearTimeout(late);
          resolve(observation ?? { kind: "lost", elapsedMs: 0, reason: "malformed" });
        },
      });
    });
  }
}

/** Since PostgreSQL 9.2. */
const EXPORT_SNAPSHOT = "SELECT pg_catalog.pg_export_snapshot()";
/** Since PostgreSQL 13. */
const CURRENT_SNAPSHOT = "SELECT pg_catalog.pg_current_snapshot()::text";

function lossOf(answer: Exclude<Observation, { kind: "answered" }>): string {
  return answer.kind === "lost" ? answer.reason : "too large";
}

function firstWord(sql: string): string {
  return sql.split(" ", 1)[0] ?? "";
}
