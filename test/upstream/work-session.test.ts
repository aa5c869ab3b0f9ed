import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import t from "tap";
import type { Test } from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { AdminTarget } from "../../src/upstream/admin-client.ts";
import { WorkError } from "../../src/upstream/work-error.ts";
import { openWorkSession } from "../../src/upstream/work-session.ts";
import type { WorkSession } from "../../src/upstream/work-session.ts";
import { serverCert, serverKey } from "../tls/certificates.ts";
import { at } from "./sessions.ts";

type Opening = (test: Test, statementTimeoutMs?: number) => Promise<WorkSession>;

for (const [major, tls] of [
  [14, false],
  [16, true],
  [18, false],
] as const) {
  await t.test(`PostgreSQL ${major}${tls ? " with TLS" : ""}`, async (test) => {
    const server = await startPostgres({
      major,
      settings: { datestyle: "German", intervalstyle: "iso_8601", timezone: "Asia/Tokyo" },
      ...(tls ? { tls: { cert: serverCert, key: serverKey } } : {}),
    });
    test.teardown(() => server.stop());
    const target: AdminTarget = {
      ...at(server.port, tls ? { mode: "require" } : {}),
      user: "postgres",
      password: server.password,
      database: "postgres",
    };
    const open: Opening = async (of, statementTimeoutMs) => {
      const options = { connectTimeoutMs: 20_000, applicationName: "work", statementTimeoutMs };
      const session = await openWorkSession(target, options, { random: randomBytes });
      of.teardown(() => session.close());
      return session;
    };
    await statements(test, open, major);
    await refusals(test, open);
    await copies(test, open);
    await endings(test, open);
  });
}

async function statements(parent: Test, open: Opening, major: number): Promise<void> {
  await parent.test("values are texts that mean the same everywhere", async (test) => {
    const session = await open(test);
    test.equal(Math.floor(session.serverVersion / 10_000), major);
    const sql = `SELECT $1::text, $2::bytea, $3::int, timestamptz '2026-01-02 03:04:05.678901Z', interval '1 day 2 hours',
      0.1::float8 + 0.2::float8, 'pg_class'::regclass, date '2026-01-02', 'twinwire'::name, current_setting('search_path')`;
    const { rows } = await session.query({
      sql,
      values: ["hé\n\u{1F600}", Buffer.from("\\x00ff"), null],
    });
    const [text, bytes, nothing, at2026, interval, float] = rows[0] ?? [];
    test.same([text, bytes, nothing], ["hé\n\u{1F600}", "\\x00ff", null]);
    test.same(
      [at2026, interval, float],
      ["2026-01-02 03:04:05.678901+00", "1 day 02:00:00", "0.30000000000000004"],
    );
  });

  await parent.test(
    "many statements take one round trip, named ones are parsed once",
    async (test) => {
      const session = await open(test);
      await session.execute("CREATE TABLE public.w (id int PRIMARY KEY, v text); BEGIN");
      const insert = (id: number) => ({
        sql: "INSERT INTO public.w VALUES ($1::int, $2)",
        values: [String(id), "v".repeat(id % 1000)],
        name: "ins",
      });
      const results = await session.pipeline(Array.from({ length: 5_000 }, (_, id) => insert(id)));
      test.equal(
        results.reduce((sum, { affected }) => sum + affected, 0),
        5_000,
      );
      const [updated, selected, empty] = await session.pipeline([
        { sql: "UPDATE public.w SET v = '' WHERE id < 7" },
        { sql: "SELECT id, v FROM public.w WHERE id IN (1, 8) ORDER BY id" },
        { sql: "" },
      ]);
      test.equal(updated?.affected, 7);
      test.same(selected?.rows, [
        ["1", ""],
        ["8", "v".repeat(8)],
      ]);
      test.same(empty, { rows: [], affected: 0 });
      await session.execute("COMMIT");
      const prepared = await session.query({
        sql: "SELECT name FROM pg_prepared_statements WHERE name <> ''",
      });
      test.same(prepared.rows, [["ins"]]);
    },
  );
}

async function refusals(parent: Test, open: Opening): Promise<void> {
  await parent.test("a refusal says what and where, and no values", async (test) => {
    const session = await open(test);
    await session.execute(
      "CREATE TABLE public.strict (id int CONSTRAINT only_small CHECK (id < 10)); BEGIN",
    );
    const failing = session.pipeline([
      { sql: "SELECT 1" },
      { sql: "INSERT INTO public.strict VALUES (4711)", name: "never" },
      { sql: "SELECT 2", name: "later" },
    ]);
    const error: unknown = await failing.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof WorkError)) throw new Error("no WorkError", { cause: error });
    const { sqlstate, constraint, schema, table, index } = error;
    test.same(
      [sqlstate, constraint, schema, table, index],
      ["23514", "only_small", "public", "strict", 1],
    );
    test.match(error.detail, /4711/);
    test.notMatch(`${error.message} ${inspect(error)} ${JSON.stringify(error)}`, /4711/);
    test.equal(await refusalOf(session.query({ sql: "SELECT 1" })), "25P02");
    await session.execute("ROLLBACK");
    // Was not parsed when the pipeline failed, and is now.
    test.same((await session.query({ sql: "SELECT 2", name: "later" })).rows, [["2"]]);
    await test.rejects(session.query({ sql: "SELEC" }), { message: /syntax error.*42601/ });
    test.equal(await refusalOf(session.copyIn("COPY public.none FROM STDIN")), "42P01");
    test.equal(
      await refusalOf(session.copyOut("COPY public.none TO STDOUT", () => undefined)),
      "42P01",
    );
    test.equal(session.over, false);
  });
}

async function copies(parent: Test, open: Opening): Promise<void> {
  await parent.test("COPY to COPY hands frames on, of any size", async (test) => {
    const [source, sink] = [await open(test), await open(test)];
    await source.execute(`CREATE TABLE public.a (id int, v text); CREATE TABLE public.b (id int, v text);
      INSERT INTO public.a SELECT i, repeat(chr(200 + i % 5000), i % 300) FROM generate_series(1, 50000) i;
      INSERT INTO public.a VALUES (0, repeat('large', 4000000)), (-1, NULL), (-2, E'tab\\there\\nline\\\\')`);
    const into = await sink.copyIn("COPY public.b FROM STDIN");
    let waits = 0;
    const sent = await source.copyOut("COPY public.a TO STDOUT", (frames) => {
      const taken = into.frames(frames);
      if (taken !== undefined) waits++;
      // Slower at times than the source.
      return waits % 7 === 3 ? new Promise((resolve) => setImmediate(() => resolve(taken))) : taken;
    });
    test.equal(sent, 50_003);
    test.equal(await into.finish(), 50_003);
    const same = await source.query({
      sql: "SELECT count(*) FROM (TABLE public.a EXCEPT ALL TABLE public.b) AS missing",
    });
    test.same(same.rows, [["0"]]);
  });

  await parent.test("a COPY of what is at hand takes one round trip", async (test) => {
    const session = await open(test);
    await session.execute("CREATE TABLE public.e (id int PRIMARY KEY)");
    function* rows(from: number, to: number): Generator<Buffer> {
      for (let id = from; id <= to; id += 1000) {
        yield frameOf(Array.from({ length: 1000 }, (_, i) => `${id + i}\n`).join(""));
      }
    }
    const copy = "COPY public.e FROM STDIN";
    test.equal(await session.copyAtOnce(copy, rows(1, 300_000)), 300_000);
    test.equal(await session.copyAtOnce(copy, []), 0);
    await session.execute("BEGIN");
    test.equal(await session.copyAtOnce(`SAVEPOINT s; ${copy}`, rows(300_001, 301_000)), 1000);
    // Refused when the first rows arrive, before they do, and at its end.
    test.equal(
      await refusalOf(session.copyAtOnce(`SAVEPOINT s; ${copy}`, rows(1, 900_000))),
      "23505",
    );
    await session.execute("ROLLBACK TO s");
    const none = session.copyAtOnce("COPY public.none FROM STDIN", rows(1, 900_000));
    test.equal(await refusalOf(none), "42P01");
    await session.execute("ROLLBACK TO s");
    const last = [frameOf("900000\n"), frameOf("1\n")];
    test.equal(await refusalOf(session.copyAtOnce(copy, last)), "23505");
    await session.execute("ROLLBACK TO s; COMMIT");
    test.same((await session.query({ sql: "SELECT count(*) FROM public.e" })).rows, [["301000"]]);
  });

  await parent.test("a COPY can be given up, by us or by the server", async (test) => {
    const session = await open(test);
    await session.execute("CREATE TABLE public.c (id int PRIMARY KEY)");
    const first = await session.copyIn("COPY public.c FROM STDIN");
    await first.frames(frameOf("1\n"));
    await first.fail("not today");
    const second = await session.copyIn("COPY public.c FROM STDIN");
    const bad = frameOf("1\n".repeat(1000));
    const flood = async (): Promise<void> => {
      for (let count = 0; count < 10_000; count++) await second.frames(bad);
      await second.finish();
    };
    test.equal(await refusalOf(flood()), "23505");
    await second.fail("it has failed already");
    test.same((await session.query({ sql: "SELECT count(*) FROM public.c" })).rows, [["0"]]);
    await test.rejects(
      session.copyOut("COPY (SELECT generate_series(1, 1000000)) TO STDOUT", () => {
        throw new Error("disk full");
      }),
      { message: "disk full" },
    );
    test.equal(session.over, true);
    const other = await open(test);
    await test.rejects(
      other.copyOut("COPY (SELECT generate_series(1, 1000000)) TO STDOUT", () =>
        Promise.reject(new Error("later")),
      ),
      { message: "later" },
    );
    test.equal(other.over, true);
  });
}

async function endings(parent: Test, open: Opening): Promise<void> {
  await parent.test("an end is told to whoever waits", async (test) => {
    const [session, killer] = [await open(test), await open(test, 10_000)];
    const lost = test.rejects(session.execute("SELECT pg_sleep(600)"), {
      code: "backend_lost",
      message: /57P01/,
    });
    const kill = {
      sql: "SELECT pg_terminate_backend($1::int)",
      values: [String(session.processId)],
    };
    await killer.query(kill);
    await lost;
    test.equal(session.over, true);
    await test.rejects(session.execute("SELECT 1"), { code: "backend_lost" });
    const copying = await open(test);
    await copying.execute("CREATE TABLE public.d (id int)");
    const into = await copying.copyIn("COPY public.d FROM STDIN");
    await killer.query({ ...kill, values: [String(copying.processId)] });
    await test.rejects(
      (async () => {
        for (;;) await (into.frames(frameOf("1\n")) ?? new Promise(setImmediate));
      })(),
      { code: "backend_lost" },
    );
    await test.rejects(into.finish(), { code: "backend_lost" });
    await into.fail("it is gone");
    test.equal(await refusalOf((await open(test, 100)).execute("SELECT pg_sleep(600)")), "57014");
    await Promise.all([killer.close(), killer.close()]);
    await test.rejects(killer.query({ sql: "SELECT 1" }), { code: "backend_lost" });
  });
}

function frameOf(payload: string): Buffer {
  const frame = Buffer.from(`d0000${payload}`);
  frame.writeInt32BE(frame.length - 1, 1);
  return frame;
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "";
  } catch (error) {
    return error instanceof WorkError ? error.sqlstate : String(error);
  }
}
