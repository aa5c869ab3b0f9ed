/** What the tests of reading a source share: a server, a slot and publication on it, and what a stream hands on as text. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { Test } from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { streamNames } from "../../src/replication/names.ts";
import type { StreamNames } from "../../src/replication/names.ts";
import { OWN_SCHEMA_SQL } from "../../src/replication/own-schema.ts";
import { ensurePublication } from "../../src/replication/source/publication.ts";
import { ensureSlot } from "../../src/replication/source/slot.ts";
import { openSourceStream } from "../../src/replication/source/source-stream.ts";
import type {
  OpenedSourceStream,
  SourceDeps,
  SourceOptions,
} from "../../src/replication/source/source-stream.ts";
import { UNCHANGED } from "../../src/replication/source/source-transaction.ts";
import type {
  SourceChange,
  SourceItem,
  SourceRow,
  SourceTransaction,
} from "../../src/replication/source/source-transaction.ts";
import type { TableName } from "../../src/replication/table-shape.ts";
import type { AdminTarget } from "../../src/upstream/admin-client.ts";
import { openReplicationSession } from "../../src/upstream/replication-session.ts";
import type { ReplicationSession } from "../../src/upstream/replication-session.ts";
import { openWorkSession } from "../../src/upstream/work-session.ts";
import type { WorkSession } from "../../src/upstream/work-session.ts";
import type { Lsn } from "../../src/wire/position.ts";
import { parseLsn } from "../../src/wire/position.ts";
import { at } from "../upstream/sessions.ts";

export const FORWARD: StreamNames = streamNames("orders", "forward");
export const REVERSE: StreamNames = streamNames("orders", "reverse");
export const DEPS: SourceDeps = { random: randomBytes, clock: systemClock, log: silentLogger };
const OPTIONS = { connectTimeoutMs: 20_000, applicationName: "test" };

export type SourceSide = {
  readonly server: EmbeddedPostgres;
  readonly target: AdminTarget;
  readonly client: pg.Client;
  /** As the superuser, past Twinwire. @returns the last statement's rows */
  sql(text: string): Promise<Record<string, unknown>[]>;
  /** Where the log ends now. */
  end(): Promise<Lsn>;
  work(): Promise<WorkSession>;
  replication(): Promise<ReplicationSession>;
  /** Publication and slot over these tables of `public`. @returns where it begins */
  prepare(...tables: string[]): Promise<Lsn>;
  open(from: Lsn, more?: Partial<SourceOptions>): Promise<OpenedSourceStream>;
};

/** A server with Twinwire's schema, for one test. */
export async function sourceSide(
  test: Test,
  major: 14 | 16 | 18,
  settings: Readonly<Record<string, string>> = {},
): Promise<SourceSide> {
  const server = await startPostgres({ major, settings });
  test.teardown(() => server.stop());
  const folder = mkdtempSync(join(tmpdir(), "twinwire-source-"));
  test.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const client = new pg.Client(server.url());
  client.on("error", () => {});
  await client.connect();
  test.teardown(() => client.end().catch(() => {}));
  await client.query(OWN_SCHEMA_SQL);
  const target: AdminTarget = {
    ...at(server.port),
    user: "postgres",
    password: server.password,
    database: "postgres",
  };
  const sql = async (text: string): Promise<Record<string, unknown>[]> => {
    const results = [await client.query<Record<string, unknown>>(text)].flat();
    return results.at(-1)?.rows ?? [];
  };
  const closing = <T extends { close(): Promise<void> }>(opened: T): T => {
    test.teardown(() => opened.close());
    return opened;
  };
  const work = async (): Promise<WorkSession> =>
    closing(await openWorkSession(target, OPTIONS, DEPS));
  const replication = async (): Promise<ReplicationSession> =>
    closing(await openReplicationSession(target, OPTIONS, DEPS));
  return {
    server,
    target,
    client,
    sql,
    end: async () => lsn((await sql("SELECT pg_current_wal_insert_lsn()::text AS at"))[0]?.["at"]),
    work,
    replication,
    prepare: async (...tables) => {
      const [session, slots] = await Promise.all([work(), replication()]);
      const names: TableName[] = tables.map((name) => ({ schema: "public", name }));
      await ensurePublication(session, FORWARD, names);
      return (await ensureSlot(slots, FORWARD, { lockTimeoutMs: 10_000 })).position;
    },
    open: async (from, more = {}) => {
      const options: SourceOptions = {
        target,
        names: FORWARD,
        opposite: REVERSE,
        from,
        originNone: false,
        spool: { folder, memoryBytes: 64 * 1024 * 1024 },
        connectTimeoutMs: 20_000,
        ...more,
      };
      return closing(await openSourceStream(options, DEPS));
    },
  };
}

export function lsn(text: unknown): Lsn {
  const parsed = parseLsn(String(text));
  if (parsed === undefined) throw new Error(`${String(text)} is no position`);
  return parsed;
}

/** A transaction as lines such as `insert items (1, one)`; its memory is freed. */
export async function linesOf(transaction: SourceTransaction): Promise<string[]> {
  const lines: string[] = [];
  for await (const batch of transaction.changes()) lines.push(...batch.map(lineOf));
  transaction.release();
  return lines;
}

export function lineOf(change: SourceChange): string {
  switch (change.kind) {
    case "insert":
      return `insert ${change.relation.name} ${rowText(change.row)}`;
    case "update": {
      const before = change.before === undefined ? "" : `${rowText(change.before)} -> `;
      return `update ${change.relation.name} ${before}${rowText(change.row)}`;
    }
    case "delete":
      return `delete ${change.relation.name} ${rowText(change.before)}`;
    case "truncate": {
      const names = change.relations.map(({ name }) => name).toSorted();
      const how = `${change.cascade ? " cascade" : ""}${change.restartIdentity ? " restart" : ""}`;
      return `truncate ${names.join(", ")}${how}`;
    }
    case "message":
      return `message ${change.prefix} ${change.content.toString()}`;
  }
}

function rowText(row: SourceRow): string {
  const texts = row.map((value) => {
    if (value === null) return "null";
    return value === UNCHANGED ? "=" : value.toString();
  });
  return `(${texts.join(", ")})`;
}

/** Reads until everything up to `until` has come. @returns each transaction's lines */
export async function readTo(stream: OpenedSourceStream, until: Lsn): Promise<string[][]> {
  const seen: string[][] = [];
  for (;;) {
    const item = await stream.next();
    if (item === undefined) throw new Error("the stream is closed");
    if (item.kind === "transaction") seen.push(await linesOf(item));
    if (positionOf(item) >= until) return seen;
  }
}

export function positionOf(item: SourceItem): Lsn {
  return item.kind === "transaction" ? item.endLsn : item.lsn;
}
