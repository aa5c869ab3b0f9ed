/** What the tests of applying share: two servers, and a real stream from one applied in the other. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { openApplier } from "../../src/replication/apply/applier.ts";
import type { ApplierDeps, OpenedApplier } from "../../src/replication/apply/applier.ts";
import { openRowFetcher } from "../../src/replication/apply/fetch-row.ts";
import { initProgress, lsnText } from "../../src/replication/apply/progress.ts";
import { openRowWriter } from "../../src/replication/apply/write-rows.ts";
import { compileMapping } from "../../src/replication/mapping/compile-mapping.ts";
import type { MappingInput } from "../../src/replication/mapping/mapping-input.ts";
import type { TableMapping } from "../../src/replication/mapping/row-program.ts";
import { streamNames } from "../../src/replication/names.ts";
import type { StreamNames } from "../../src/replication/names.ts";
import { OWN_SCHEMA_SQL } from "../../src/replication/own-schema.ts";
import { asking, readTableShapes } from "../../src/replication/read-shapes.ts";
import { ensurePublication } from "../../src/replication/source/publication.ts";
import { ensureSlot } from "../../src/replication/source/slot.ts";
import { openSourceStream } from "../../src/replication/source/source-stream.ts";
import type { OpenedSourceStream } from "../../src/replication/source/source-stream.ts";
import { tableKey } from "../../src/replication/table-shape.ts";
import type { TableName } from "../../src/replication/table-shape.ts";
import { openReplicationSession } from "../../src/upstream/replication-session.ts";
import { openWorkSession } from "../../src/upstream/work-session.ts";
import type { WorkSession } from "../../src/upstream/work-session.ts";
import { parseLsn } from "../../src/wire/position.ts";
import type { Lsn } from "../../src/wire/position.ts";
import { eventually } from "./work-pair.ts";
import { NO_TLS } from "../upstream/no-tls.ts";

const NAMES = streamNames("moving", "forward");
const OPPOSITE = streamNames("moving", "reverse");
const DIAL = { random: randomBytes };
/** Nothing here may load the test framework: it tracks every promise, which a measurement would see. */
type Major = 14 | 16 | 18;

/** A database of its own on one of the servers. */
export type ApplySide = {
  readonly url: string;
  readonly client: pg.Client;
  sql(text: string): Promise<Record<string, unknown>[]>;
  session(user?: string, password?: string): Promise<WorkSession>;
  address(user?: string, password?: string): Parameters<typeof openWorkSession>[0];
};

export type ApplyPair = {
  readonly source: ApplySide;
  readonly target: ApplySide;
  /** The same on both sides. */
  both(sql: string): Promise<void>;
  /** Slot, publication and mapping of tables that are there, `public.` unless said otherwise. */
  prepare(tables: readonly string[], input?: MappingInput): Promise<void>;
  readonly mappings: readonly TableMapping[];
  readonly stream: {
    readonly names: StreamNames;
    readonly opposite: StreamNames;
    readonly begin: string;
  };
  start(more?: Partial<ApplierDeps> & { readonly user?: string }): Promise<Running>;
  /** All rows of the tables on both sides as text, source's columns as they stand. */
  rows(table: string, side?: "source" | "target", columns?: string): Promise<string[]>;
  end(): Promise<Lsn>;
  stop(): Promise<void>;
};

export type Running = {
  readonly applier: OpenedApplier;
  readonly stream: OpenedSourceStream;
  readonly session: WorkSession;
  /** How `run` ended; undefined when it was closed. */
  readonly ended: Promise<unknown>;
  /** Until all that the source has committed by now is applied. @throws what ended it */
  caughtUp(): Promise<void>;
  stop(): Promise<void>;
};

export type Servers = {
  readonly source: EmbeddedPostgres;
  readonly target: EmbeddedPostgres;
  /** New databases on both for one test. */
  pair(): Promise<ApplyPair>;
  /** Another client of a pair's source. */
  another(pair: ApplyPair): Promise<pg.Client>;
  stop(): Promise<void>;
};

export async function startServers(
  source: Major,
  target: Major,
  settings: Readonly<Record<string, string>> = {},
  targetSettings: Readonly<Record<string, string>> = {},
): Promise<Servers> {
  const [from, to] = await Promise.all([
    startPostgres({ major: source, settings }),
    startPostgres({ major: target, settings: targetSettings }),
  ]);
  let count = 0;
  return {
    source: from,
    target: to,
    pair: () => openPair(from, to, `db${++count}`),
    another: async (pair) => {
      const client = new pg.Client(pair.source.url);
      await client.connect();
      return client;
    },
    stop: async () => {
      await Promise.all([from.stop(), to.stop()]);
    },
  };
}

async function openSide(server: EmbeddedPostgres, database: string): Promise<ApplySide> {
  const first = new pg.Client(server.url());
  await first.connect();
  await first.query(`CREATE DATABASE ${database}`);
  await first.end();
  const client = new pg.Client(server.url(database));
  client.on("error", () => {});
  await client.connect();
  await client.query(OWN_SCHEMA_SQL);
  const address: ApplySide["address"] = (user = "postgres", password = server.password) => ({
    host: server.host,
    port: server.port,
    tls: NO_TLS,
    user,
    password,
    database,
  });
  return {
    url: server.url(database),
    client,
    address,
    sql: async (text) =>
      [await client.query<Record<string, unknown>>(text)].flat().at(-1)?.rows ?? [],
    session: (user, password) =>
      openWorkSession(
        address(user, password),
        { connectTimeoutMs: 20_000, applicationName: "test" },
        DIAL,
      ),
  };
}

async function openPair(
  from: EmbeddedPostgres,
  to: EmbeddedPostgres,
  database: string,
): Promise<ApplyPair> {
  const [source, target] = await Promise.all([openSide(from, database), openSide(to, database)]);
  const names = {
    ...NAMES,
    slot: `${NAMES.slot}_${database}`,
    origin: `${NAMES.origin}_${database}`,
  };
  const folder = mkdtempSync(join(tmpdir(), "twinwire-apply-"));
  const running = new Set<Running>();
  let mappings: readonly TableMapping[] = [];
  let begin = 0n as Lsn;
  const end = async (): Promise<Lsn> =>
    lsn((await source.sql("SELECT pg_current_wal_insert_lsn()::text AS at"))[0]?.["at"]);
  return {
    source,
    target,
    get mappings() {
      return mappings;
    },
    get stream() {
      return { names, opposite: OPPOSITE, begin: lsnText(begin) };
    },
    both: async (sql) => {
      await Promise.all([source.sql(sql), target.sql(sql)]);
    },
    prepare: async (tables, input = { tables: [], schemas: [] }) => {
      const wanted = tables.map((name): TableName => ({ schema: "public", name }));
      const [there, here] = [await source.session(), await target.session()];
      const shapes = await readTableShapes(asking(there), wanted);
      const renamed = input.tables.flatMap(({ to: name }) => (name === undefined ? [] : [name]));
      const kept = wanted.filter(
        (name) =>
          !input.tables.some(({ table, to: other }) => other && tableKey(table) === tableKey(name)),
      );
      const targets = await readTableShapes(asking(here), [...kept, ...renamed]);
      const compiled = compileMapping(input, shapes, targets);
      if (compiled.problems.length > 0) throw new Error(JSON.stringify(compiled.problems));
      mappings = compiled.tables;
      await ensurePublication(there, names, wanted);
      const slots = await openReplicationSession(
        source.address(),
        { connectTimeoutMs: 20_000, applicationName: "test" },
        { ...DIAL, clock: systemClock },
      );
      begin = (await ensureSlot(slots, names, { lockTimeoutMs: 10_000 })).position;
      await Promise.all([there.close(), here.close(), slots.close()]);
    },
    start: async ({ user, ...more } = {}) => {
      const session = await target.session(user, user === undefined ? undefined : "secret");
      const progress = await initProgress(
        session,
        { stream: names.stream, worker: 0 },
        { epoch: more.epoch ?? 1n, position: begin },
      );
      const stream = await openSourceStream(
        {
          target: source.address(),
          names,
          opposite: OPPOSITE,
          from: progress.position,
          originNone: false,
          spool: { folder, memoryBytes: 16 * 1024 * 1024 },
          connectTimeoutMs: 20_000,
        },
        { ...DIAL, clock: systemClock, log: silentLogger },
      );
      const fetcher = openRowFetcher(() => source.session());
      const programs = new Map(mappings.map((each) => [tableKey(each.source), each.forward]));
      const applier = await openApplier({
        stream,
        session,
        names,
        worker: 0,
        epoch: 1n,
        position: progress.position,
        writeRows: openRowWriter(),
        programOf: (relation) => programs.get(tableKey(relation))?.bind(relation),
        router: undefined,
        fetchRow: fetcher.fetchRow,
        onMessage: () => Promise.resolve(undefined),
        clock: systemClock,
        ...more,
      });
      let failure: { readonly error: unknown } | undefined;
      const ended = applier.run().catch((error: unknown) => {
        failure = { error };
        return error;
      });
      const run: Running = {
        applier,
        stream,
        session,
        ended,
        caughtUp: async () => {
          const wanted = await end();
          await eventually(() => {
            if (failure !== undefined) throw failure.error;
            return Promise.resolve((applier.state.position ?? 0n) >= wanted);
          });
        },
        stop: async () => {
          running.delete(run);
          await applier.close();
          await Promise.allSettled([stream.close(), session.close(), fetcher.close()]);
        },
      };
      running.add(run);
      return run;
    },
    rows: async (table, side = "target", columns = "*") => {
      const where = side === "target" ? target : source;
      const rows = await where.sql(
        `SET bytea_output = hex; SELECT x::text AS row FROM (SELECT ${columns} FROM ${table}) x ORDER BY x::text COLLATE "C"`,
      );
      return rows.map((row) => String(row["row"]));
    },
    end,
    stop: async () => {
      for (const each of running) await each.stop();
      rmSync(folder, { recursive: true, force: true });
      await eventually(() =>
        target.sql("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin").then(
          () => true,
          () => false, // its session is about to end
        ),
      );
      await source.sql(`SELECT pg_drop_replication_slot('${names.slot}')`).catch(() => {});
      await Promise.all([source.client.end(), target.client.end()]);
    },
  };
}

export function lsn(text: unknown): Lsn {
  const parsed = parseLsn(String(text));
  if (parsed === undefined) throw new Error(`${String(text)} is no position`);
  return parsed;
}
