import { CodedError } from "../base/errors.ts";
import {
  bindMessage,
  EXECUTE_MESSAGE,
  parseMessage,
  queryMessage,
  SYNC_MESSAGE,
} from "../wire/postgres/frontend-messages.ts";
import { Backend } from "../wire/postgres/message-types.ts";
import { decodeCommandTag, decodeDataRow } from "../wire/postgres/reply-frames.ts";
import type { AdminRows, AdminTarget } from "./admin-client.ts";
import { Conversation } from "./conversation.ts";
import { dialForWork, versionNumber } from "./dial-work.ts";
import type { WorkOptions } from "./dial-work.ts";
import type { DialDeps } from "./dial.ts";
import { affectedOf, copyAtOnce, copyIn, copyOut } from "./work-copy.ts";

/** What one statement came to. Values are text, as the server prints them. */
export type WorkResult = {
  readonly rows: AdminRows;
  /** Of the command tag; 0 where it has no number. */
  readonly affected: number;
};

/** A statement and its values in text format; null is NULL. */
export type WorkStatement = {
  readonly sql: string;
  readonly values?: readonly (string | Uint8Array | null)[] | undefined;
  /** Parsed once for each session under this name. */
  readonly name?: string | undefined;
};

/**
 * A session of Twinwire's own for moving data: one owner, one thing at a time, nothing is tried again.
 * Every method throws `WorkError` for what the server refused, with its fields, and `CodedError`
 * `backend_lost` when the connection broke, after which the session is over.
 */
export type WorkSession = {
  /** As in `server_version_num`. */
  readonly serverVersion: number;
  readonly processId: number;
  readonly over: boolean;
  /** Simple protocol: one or several statements without results of interest. */
  execute(sql: string): Promise<void>;
  query(statement: WorkStatement): Promise<WorkResult>;
  /**
   * Sends all statements at once, with one Sync, and reads all answers together: one round trip. They do
   * not form a transaction of their own where one is open. The first that fails ends it.
   */
  pipeline(statements: readonly WorkStatement[]): Promise<readonly WorkResult[]>;
  /**
   * `COPY … TO STDOUT`. `chunk` gets whole CopyData frames, header included, valid during the call or until the promise
   * it returns resolves, which pauses reading. What it throws ends the session and is thrown.
   * @returns the number of rows
   */
  copyOut(sql: string, chunk: (frames: Buffer) => Promise<void> | undefined): Promise<number>;
  /** `COPY … FROM STDIN`. Nothing else may be asked until it is finished or has failed. */
  copyIn(sql: string): Promise<CopyIn>;
  /**
   * `COPY … FROM STDIN` of what is at hand, in one round trip. `sql` may hold statements before the COPY, all of them within an
   * open transaction.
   * @param frames whole CopyData frames, header included, which stay untouched until the promise resolves
   * @returns the number of rows
   */
  copyAtOnce(sql: string, frames: Iterable<Buffer>): Promise<number>;
  /** Says goodbye, or breaks off where something is under way. */
  close(): Promise<void>;
};

export type CopyIn = {
  /** Whole CopyData frames, header included, which stay untouched until the promise resolves; undefined when more can be taken at once. */
  frames(frames: Buffer): Promise<void> | undefined;
  /** @returns the number of rows */
  finish(): Promise<number>;
  /** Gives it up; the server then reports an error, which is swallowed. */
  fail(reason: string): Promise<void>;
};

/** The server tells first that a statement takes too long. */
const TIMEOUT_GRACE_MS = 2_000;

/** Logs in. Values are text in UTF-8 and print the same whatever the server is set to. @throws CodedError */
export async function openWorkSession(
  target: AdminTarget,
  options: WorkOptions,
  deps: DialDeps,
): Promise<WorkSession> {
  const server = await dialForWork(target, options, deps);
  const conversation = new Conversation(server, `${target.host}:${target.port}`);
  const timed = timeLimit(conversation, options.statementTimeoutMs ?? 0);
  const parsed = new Set<string>();
  const pipeline: WorkSession["pipeline"] = (statements) =>
    timed(() => runPipeline(conversation, parsed, statements));
  return {
    serverVersion: versionNumber(server),
    processId: server.processId,
    get over() {
      return conversation.over;
    },
    execute: (sql) =>
      timed(() => conversation.exchange({ request: queryMessage(sql), frame: () => {} })),
    query: async (statement) => {
      const [result] = await pipeline([statement]);
      if (result === undefined) throw new CodedError("protocol_violation", "no answer to a query");
      return result;
    },
    pipeline,
    copyOut: (sql, chunk) => copyOut(conversation, sql, chunk),
    copyIn: (sql) => copyIn(conversation, sql),
    copyAtOnce: (sql, frames) => copyAtOnce(conversation, sql, frames),
    close: () => conversation.close(),
  };
}

/** For a server that does not even say that it takes too long. */
function timeLimit(conversation: Conversation, limitMs: number) {
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (limitMs === 0) return await work();
    const hung = setTimeout(() => {
      const what = `no answer to a statement within ${limitMs} ms`;
      conversation.breakOff(new CodedError("backend_lost", what));
    }, limitMs + TIMEOUT_GRACE_MS);
    try {
      return await work();
    } finally {
      clearTimeout(hung);
    }
  };
}

async function runPipeline(
  conversation: Conversation,
  parsed: Set<string>,
  statements: readonly WorkStatement[],
): Promise<readonly WorkResult[]> {
  const { request, parses } = pipelineRequest(statements, parsed);
  const results: WorkResult[] = [];
  let rows: (readonly (string | null)[])[] = [];
  let parseIndex = 0;
  await conversation.exchange({
    request,
    get index() {
      return results.length;
    },
    frame: (type, bytes, start, end) => {
      switch (type) {
        case Backend.ParseComplete: {
          const name = parses[parseIndex++];
          if (name !== undefined && name !== "") parsed.add(name);
          return;
        }
        case Backend.DataRow:
          rows.push(decodeDataRow(bytes.subarray(start + 5, end)).map(textOf));
          return;
        case Backend.CommandComplete:
          results.push({
            rows,
            affected: affectedOf(decodeCommandTag(bytes.subarray(start + 5, end))),
          });
          rows = [];
          return;
        case Backend.EmptyQueryResponse:
          results.push({ rows: [], affected: 0 });
      }
    },
  });
  return results;
}

function textOf(cell: Buffer | null): string | null {
  return cell === null ? null : cell.toString("utf8");
}

/** All in one piece, and the names that are parsed in it, in order; empty names are the unnamed statement. */
function pipelineRequest(
  statements: readonly WorkStatement[],
  parsed: ReadonlySet<string>,
): { readonly request: Buffer; readonly parses: readonly string[] } {
  const parts: Buffer[] = [];
  const parses: string[] = [];
  for (const { sql, values = [], name = "" } of statements) {
    if (name === "" || !(parsed.has(name) || parses.includes(name))) {
      parts.push(parseMessage(name, sql));
      parses.push(name);
    }
    parts.push(bindMessage(name, values), EXECUTE_MESSAGE);
  }
  parts.push(SYNC_MESSAGE);
  return { request: Buffer.concat(parts), parses };
}
