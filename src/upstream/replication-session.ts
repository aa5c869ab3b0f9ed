import type { Clock } from "../base/clock.ts";
import { CodedError } from "../base/errors.ts";
import { formatPosition, parseLsn } from "../wire/position.ts";
import type { Lsn } from "../wire/position.ts";
import { queryMessage } from "../wire/postgres/frontend-messages.ts";
import { Backend } from "../wire/postgres/message-types.ts";
import { decodeDataRow } from "../wire/postgres/reply-frames.ts";
import type { AdminRows, AdminTarget } from "./admin-client.ts";
import { Conversation } from "./conversation.ts";
import { dialForWork, versionNumber } from "./dial-work.ts";
import type { WorkOptions } from "./dial-work.ts";
import type { DialDeps } from "./dial.ts";
import { startFeed } from "./replication-feed.ts";
import type { FeedSink, ReplicationFeed } from "./replication-feed.ts";
import { WorkError } from "./work-error.ts";

/** Who a server is. After a failover the timeline is another one, after anything else the identifier. */
export type SystemIdentity = {
  readonly systemIdentifier: string;
  readonly timeline: number;
};

export type StartOptions = {
  readonly slot: string;
  readonly publication: string;
  /** A commit boundary. What was committed before it is not sent again. */
  readonly from: Lsn;
  /** What the server has been told before: the position of the slot. */
  readonly acknowledged: Lsn;
  /** Leaves out, on the server, what came from any other; since PostgreSQL 16, ignored before. */
  readonly originNone: boolean;
  /** Large transactions come before they end; since PostgreSQL 14, ignored before. */
  readonly streaming: boolean;
};

/**
 * A session of the kind `replication=database`. Its methods throw `WorkError` for what the server refused and `CodedError`
 * `backend_lost` when the connection broke.
 */
export type ReplicationSession = {
  readonly serverVersion: number;
  readonly processId: number;
  readonly over: boolean;
  identifySystem(): Promise<SystemIdentity & { readonly position: Lsn }>;
  /** One statement of any kind without values. */
  query(sql: string): Promise<AdminRows>;
  /**
   * A permanent slot of `pgoutput` that exports no snapshot. The server waits for every transaction that is open.
   * @returns the position from which on it has everything
   * @throws CodedError conflict naming the transactions, when one of them does not end in time
   */
  createSlot(name: string, options: SlotOptions): Promise<Lsn>;
  /** Begins to stream. From then on the session is the feed's. */
  start(options: StartOptions, sink: FeedSink): Promise<ReplicationFeed>;
  close(): Promise<void>;
};

export type SlotOptions = {
  /** For each of the transactions that are open. */
  readonly lockTimeoutMs: number;
};

type ReplicationDeps = DialDeps & { readonly clock: Clock };

/** Logs in as a role with REPLICATION. @throws CodedError */
export async function openReplicationSession(
  target: AdminTarget,
  options: WorkOptions,
  deps: ReplicationDeps,
): Promise<ReplicationSession> {
  const parameters = { ...options.parameters, replication: "database" };
  const server = await dialForWork(target, { ...options, parameters }, deps);
  const conversation = new Conversation(server, `${target.host}:${target.port}`);
  const serverVersion = versionNumber(server);
  const query = (sql: string): Promise<AdminRows> => simpleQuery(conversation, sql);
  return {
    serverVersion,
    processId: server.processId,
    get over() {
      return conversation.over;
    },
    query,
    identifySystem: async () => {
      const [row] = await query("IDENTIFY_SYSTEM");
      const [systemIdentifier, timeline, position] = row ?? [];
      return {
        systemIdentifier: systemIdentifier ?? "",
        timeline: Number(timeline),
        position: lsnOf(position),
      };
    },
    createSlot: (name, slot) => createSlot(query, serverVersion, name, slot),
    start: async (start, sink) => {
      const [[timeout] = []] = await query(WAL_SENDER_TIMEOUT_SQL);
      return startFeed(conversation, sink, {
        sql: startSql(start, serverVersion),
        from: start.from,
        acknowledged: start.acknowledged,
        serverTimeoutMs: Number(timeout ?? 0),
        clock: deps.clock,
      });
    },
    close: () => conversation.close(),
  };
}

/** In milliseconds; 0: none. Walsenders take no functions before a transaction is begun by a statement like this. */
const WAL_SENDER_TIMEOUT_SQL =
  "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'";

async function simpleQuery(conversation: Conversation, sql: string): Promise<AdminRows> {
  const rows: (readonly (string | null)[])[] = [];
  await conversation.exchange({
    request: queryMessage(sql),
    frame: (type, bytes, start, end) => {
      if (type !== Backend.DataRow) return;
      const cells = decodeDataRow(bytes.subarray(start + 5, end));
      rows.push(cells.map((cell) => (cell === null ? null : cell.toString("utf8"))));
    },
  });
  return rows;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function lsnOf(text: string | null | undefined): Lsn {
  const lsn = parseLsn(text ?? "");
  if (lsn === undefined) {
    throw new CodedError("protocol_violation", "The server named a position that is none.");
  }
  return lsn;
}

/** Whom a new slot waits for: every transaction that has written, in any database. */
const OPEN_TRANSACTIONS_SQL = `
  SELECT 'process ' || pid || ' of ' || coalesce(usename, '?') || ' in ' || coalesce(datname, '?')
         || ' (' || coalesce(nullif(application_name, ''), 'no application name') || '), open since ' || xact_start::text
    FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()
  UNION ALL
  SELECT 'prepared transaction ' || pg_catalog.quote_literal(gid) || ' in ' || database || ', since ' || prepared::text
    FROM pg_catalog.pg_prepared_xacts`;

async function createSlot(
  query: (sql: string) => Promise<AdminRows>,
  serverVersion: number,
  name: string,
  { lockTimeoutMs }: SlotOptions,
): Promise<Lsn> {
  const options = serverVersion >= 150_000 ? "(SNAPSHOT 'nothing')" : "NOEXPORT_SNAPSHOT";
  // No other limit ends the waiting: it is not a statement.
  await query(`SET lock_timeout = ${Math.max(1, Math.round(lockTimeoutMs))}`);
  try {
    const [row] = await query(
      `CREATE_REPLICATION_SLOT ${quoted(name)} LOGICAL pgoutput ${options}`,
    );
    return lsnOf(row?.[1]);
  } catch (error) {
    if (!(error instanceof WorkError && error.sqlstate === LOCK_NOT_AVAILABLE)) throw error;
    const open = (await query(OPEN_TRANSACTIONS_SQL)).map(([text]) => text ?? "");
    const who = open.length === 0 ? "they have ended meanwhile, try again" : open.join("; ");
    const message = `a replication slot waits for transactions that are open, longer than ${lockTimeoutMs} ms: ${who}`;
    throw new CodedError("conflict", message, { cause: error });
  } finally {
    await query("RESET lock_timeout").catch(() => {});
  }
}

const LOCK_NOT_AVAILABLE = "55P03";

function startSql(
  { slot, publication, from, originNone, streaming }: StartOptions,
  serverVersion: number,
): string {
  const names = quoted(publication).replaceAll("'", "''");
  const options = [`publication_names '${names}'`];
  if (serverVersion >= 140_000) {
    options.push("proto_version '2'", "messages 'true'");
    if (streaming) options.push("streaming 'on'");
  } else options.push("proto_version '1'");
  if (serverVersion >= 160_000 && originNone) options.push("origin 'none'");
  const position = formatPosition({ kind: "lsn", lsn: from });
  return `START_REPLICATION SLOT ${quoted(slot)} LOGICAL ${position} (${options.join(", ")})`;
}
