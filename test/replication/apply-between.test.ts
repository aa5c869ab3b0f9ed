/** Owners, barriers, messages, and what depends on where a row is. */
import t from "tap";
import type { Test } from "tap";
import { CodedError } from "../../src/base/errors.ts";
import type { LogMessage } from "../../src/replication/apply/applier.ts";
import { initProgress, readProgress } from "../../src/replication/apply/progress.ts";
import type { Routed } from "../../src/replication/snapshot/chunk-router.ts";
import { lsn, startServers } from "./apply-pair.ts";
import type { ApplyPair } from "./apply-pair.ts";

const servers = await startServers(14, 16);
t.teardown(() => servers.stop());

async function pairOf(test: Test, ddl: string, tables = ["a"]): Promise<ApplyPair> {
  const pair = await servers.pair();
  test.teardown(() => pair.stop());
  await pair.both(ddl);
  await pair.prepare(tables);
  return pair;
}

const A = "CREATE TABLE a (id int PRIMARY KEY, v text)";

async function snapshotOf(
  pair: ApplyPair,
): Promise<{ sees: string; position: ReturnType<typeof lsn> }> {
  const [row] = await pair.source.sql("SELECT pg_current_snapshot()::text AS sees");
  return { sees: String(row?.["sees"]), position: await pair.end() };
}

await t.test("of two appliers the one that lost the stream cannot commit", async (test) => {
  const pair = await pairOf(test, A);
  const stale = await pair.start();
  await pair.source.sql("INSERT INTO a VALUES (1, 'one')");
  await stale.caughtUp();
  const other = await pair.target.session();
  const { stream } = pair.stream.names;
  const taken = await initProgress(
    other,
    { stream, worker: 0 },
    { epoch: 2n, position: lsn("0/1") },
  );
  test.equal(taken.position, (await readProgress(other, { stream, worker: 0 }))?.position);
  await pair.source.sql("INSERT INTO a VALUES (2, 'two')");
  const why = await stale.ended;
  test.ok(why instanceof CodedError && why.code === "conflict", String(why));
  test.same(await pair.rows("a"), ["(1,one)"]);
  await test.rejects(
    initProgress(other, { stream, worker: 0 }, { epoch: 1n, position: lsn("0/1") }),
    { code: "conflict" },
  );
  await other.close();
  await stale.stop();
  const owner = await pair.start({ epoch: 2n });
  await owner.caughtUp();
  test.same(await pair.rows("a"), ["(1,one)", "(2,two)"]);
});

await t.test("it stands exactly after what a snapshot sees", async (test) => {
  const pair = await pairOf(test, A);
  const run = await pair.start();
  const never = new AbortController().signal;
  const open = await servers.another(pair);
  await open.query("BEGIN; INSERT INTO a VALUES (100, 'open')");
  await pair.source.sql("INSERT INTO a VALUES (1, 'seen')");
  for (const told of [true, false]) {
    const held = await run.applier.hold(never);
    if (held === undefined) throw new Error("it cannot be held");
    await pair.source.sql(`INSERT INTO a VALUES (${told ? 10 : 20}, 'between')`);
    const { sees, position } = await snapshotOf(pair);
    const unseen = told ? 11 : 21;
    await pair.source.sql(`INSERT INTO a VALUES (${unseen}, 'not seen')`);
    test.equal(await held.goTo(sees, told ? position : undefined, never), true);
    const ids = (await pair.rows("a")).map((row) => Number(/\d+/.exec(row)?.[0]));
    test.same(new Set(ids), new Set(told ? [1, 10] : [1, 10, 11, 20]));
    const at = await run.applier.between((where) => Promise.resolve(where));
    test.equal(at, run.applier.state.position);
    test.equal(held.release(), true);
    test.equal(held.release(), false, "once");
    await run.caughtUp();
    test.match((await pair.rows("a")).join(), new RegExp(`\\(${unseen},`));
  }
  await open.query("COMMIT");
  await open.end();
  await run.stop();
  await test.rejects(
    run.applier.between(() => Promise.resolve()),
    { code: "shutting_down" },
  );
  test.equal(await run.applier.hold(never), undefined);
});

await t.test("where it cannot stand exactly there, it says so", async (test) => {
  const pair = await pairOf(test, A);
  const run = await pair.start();
  const never = new AbortController().signal;
  const open = await servers.another(pair);
  await open.query("BEGIN; INSERT INTO a VALUES (100, 'open')");
  const early = await snapshotOf(pair);
  await open.query("COMMIT");
  await pair.source.sql("INSERT INTO a VALUES (1, 'one')");
  await run.caughtUp();
  const held = await run.applier.hold(never);
  if (held === undefined) throw new Error("it cannot be held");
  test.equal(await held.goTo(early.sees, early.position, never), false, "it is further already");
  // One that it must leave out comes before one that it must apply.
  await open.query("BEGIN; INSERT INTO a VALUES (101, 'left out')");
  const [left] = (await open.query("SELECT pg_current_xact_id()::text AS xid")).rows;
  await open.query("COMMIT");
  await pair.source.sql("INSERT INTO a VALUES (2, 'two')");
  const both = await snapshotOf(pair);
  const [, xmin, xmax] = /^(\d+):(\d+):/.exec(both.sees) ?? [];
  test.ok(Number(left?.xid) < Number(xmin));
  const without = `${left?.xid}:${xmax}:${left?.xid}`;
  test.equal(await held.goTo(without, both.position, never), false);
  test.notMatch((await pair.rows("a")).join(), /two|left out/);
  test.equal(await held.goTo("not a snapshot", both.position, never), false);
  test.equal(await held.goTo(both.sees, lsn("FFFF/0"), AbortSignal.timeout(300)), false);
  const now = await snapshotOf(pair);
  test.equal(await held.goTo(now.sees, now.position, never), true, "a later one can be had");
  test.match((await pair.rows("a")).join(), /left out.*two/);
  // Whoever comes meanwhile waits, or gives up.
  test.equal(await run.applier.hold(AbortSignal.timeout(50)), undefined);
  const second = run.applier.hold(never);
  test.equal(held.release(), true);
  const other = await second;
  await pair.source.sql("INSERT INTO a VALUES (6, 'after')");
  await run.applier.between(async () => {
    test.notMatch((await pair.rows("a")).join(), /after/);
  });
  const then = await snapshotOf(pair);
  const going = other?.goTo(then.sees, lsn("FFFF/0"), never);
  test.equal(other?.release(), false, "it was on its way");
  test.equal(await going, false);
  await run.caughtUp();
  test.match((await pair.rows("a")).join(), /after/);
  const last = await run.applier.hold(never);
  await run.stop();
  test.equal(last?.release(), false, "its applier has ended");
  await open.end();
});

await t.test("a message comes before the next row, and may stop it", async (test) => {
  const pair = await pairOf(test, A);
  const seen: string[] = [];
  let stops = true;
  const onMessage = async ({ prefix, content, transactional }: LogMessage) => {
    const rows = (await pair.rows("a")).length;
    seen.push(`${prefix} ${content.toString()} ${transactional} ${rows}`);
    if (prefix === "stop" && stops) throw new CodedError("refused_by_guard", "stopped");
    return prefix === "mark"
      ? { sql: "INSERT INTO public.a VALUES (99, 'by a message')" }
      : undefined;
  };
  await pair.source.sql(
    "INSERT INTO a VALUES (1, 'x'); SELECT pg_logical_emit_message(false, 'loose', 'l')",
  );
  await pair.source.sql(
    "BEGIN; INSERT INTO a VALUES (2, 'x'); SELECT pg_logical_emit_message(true, 'mark', 'm'); INSERT INTO a VALUES (3, 'x'); COMMIT",
  );
  await pair.source.sql(
    "BEGIN; INSERT INTO a VALUES (4, 'x'); SELECT pg_logical_emit_message(true, 'stop', 's'); INSERT INTO a VALUES (5, 'x'); COMMIT",
  );
  const run = await pair.start({ onMessage });
  const why = await run.ended;
  test.ok(why instanceof CodedError && why.code === "refused_by_guard", String(why));
  test.same(await pair.rows("a"), ["(1,x)", "(2,x)", "(3,x)", `(99,"by a message")`]);
  await run.stop();
  stops = false;
  const next = await pair.start({ onMessage });
  await next.caughtUp();
  test.equal((await pair.rows("a")).length, 6);
  test.match(seen.join("\n"), /mark m true 1/);
});

await t.test("rows enter and leave by a filter, under other names", async (test) => {
  const pair = await servers.pair();
  test.teardown(() => pair.stop());
  await pair.source.sql(
    "CREATE TABLE a (tenant int, id int, v text, doc text, PRIMARY KEY (tenant, id)); ALTER TABLE a ALTER doc SET STORAGE EXTERNAL; CREATE TABLE b (id int PRIMARY KEY, live boolean); ALTER TABLE b REPLICA IDENTITY FULL",
  );
  await pair.target.sql(
    "CREATE TABLE one (tenant int, ident int, v text, doc text, PRIMARY KEY (tenant, ident)); CREATE TABLE b (id int PRIMARY KEY, live boolean)",
  );
  const table = { columns: {}, constants: {}, convert: {}, to: undefined };
  await pair.prepare(["a", "b"], {
    schemas: [],
    tables: [
      {
        ...table,
        table: { schema: "public", name: "a" },
        to: { schema: "public", name: "one" },
        columns: { id: "ident" },
        where: { column: "tenant", in: ["1"] },
      },
      {
        ...table,
        table: { schema: "public", name: "b" },
        where: { column: "live", in: ["t"] },
      },
    ],
  });
  const run = await pair.start();
  const doc = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i)";
  await pair.source.sql(
    `INSERT INTO a SELECT i % 3, i, 'v', ${doc} FROM generate_series(1, 30) i; INSERT INTO b SELECT i, i % 2 = 0 FROM generate_series(1, 10) i`,
  );
  await pair.source.sql(
    "UPDATE a SET tenant = 1, v = 'in' WHERE id IN (2, 3); UPDATE b SET live = true WHERE id < 4",
  );
  await pair.source.sql(
    "UPDATE a SET tenant = 2, v = 'out' WHERE id IN (1, 4); UPDATE b SET live = NULL WHERE id > 6",
  );
  await pair.source.sql(
    "UPDATE a SET v = v || '!'; DELETE FROM a WHERE id IN (5, 6, 7); DELETE FROM b WHERE id IN (5, 6)",
  );
  await run.caughtUp();
  test.same(await pair.rows("one"), await pair.rows("a WHERE tenant = 1", "source"));
  test.same(await pair.rows("b"), await pair.rows("b WHERE live", "source"));
});

await t.test("while a table is copied each row goes where its chunk wants it", async (test) => {
  const pair = await pairOf(
    test,
    "CREATE TABLE a (id int PRIMARY KEY, v text, doc text); ALTER TABLE a ALTER doc SET STORAGE EXTERNAL",
  );
  const doc = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i)";
  // Up to 100 the target has everything; the rest is to be read later.
  await pair.source.sql(`INSERT INTO a SELECT i, 'v', ${doc} FROM generate_series(1, 200) i`);
  let settled = false;
  const asked: string[] = [];
  const run = await pair.start({
    router: {
      get settled() {
        return settled;
      },
      concerns: () => true,
      route: (_program, change, row): Routed => {
        const id = Number(row[0]?.toString());
        asked.push(`${change.kind} ${id}`);
        return id <= 100 ? "apply" : "drop";
      },
      routeTruncate: () => Promise.resolve("drop"),
    },
  });
  await run.caughtUp();
  test.equal((await pair.rows("a")).length, 100);
  await pair.source.sql("UPDATE a SET id = 1000 + id WHERE id = 1");
  await pair.source.sql("UPDATE a SET id = -id WHERE id = 150");
  await pair.source.sql(
    "UPDATE a SET id = -id WHERE id IN (2, 151); UPDATE a SET v = 'w' WHERE id < 0",
  );
  await pair.source.sql(
    "UPDATE a SET id = -1000 WHERE id = 152; UPDATE a SET id = -1001 WHERE id = -1000; DELETE FROM a WHERE id = 3",
  );
  await run.caughtUp();
  test.same(await pair.rows("a"), await pair.rows("a WHERE id <= 100", "source"));
  test.ok(asked.includes("delete 150") && asked.includes("insert -150"));
  await pair.source.sql("BEGIN; TRUNCATE a; INSERT INTO a VALUES (300, 'read later', ''); COMMIT");
  await run.caughtUp();
  test.ok((await pair.rows("a")).length > 90, "the copy sees to it");
  await pair.target.sql("TRUNCATE a");
  await pair.source.sql("TRUNCATE a; INSERT INTO a VALUES (5, 'x', '')");
  settled = true;
  await pair.source.sql("UPDATE a SET v = 'after' WHERE id = 5");
  await run.caughtUp();
  test.same(await pair.rows("a"), await pair.rows("a WHERE id <= 100", "source"));
});

await t.test(
  "a role without rights writes rows in their order under foreign keys",
  async (test) => {
    const pair = await servers.pair();
    test.teardown(() => pair.stop());
    await pair.both(
      "CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p)",
    );
    await pair.target.sql(
      "DROP ROLE IF EXISTS mover; CREATE ROLE mover LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA public, twinwire TO mover; GRANT ALL ON ALL TABLES IN SCHEMA public, twinwire TO mover",
    );
    await pair.prepare(["p", "c"]);
    const run = await pair.start({ user: "mover" });
    test.match(run.applier.capabilities, {
      replicaRole: false,
      origin: "refused",
      asynchronousCommit: true,
    });
    await pair.source.sql(
      "BEGIN; INSERT INTO p SELECT i, 'v' FROM generate_series(1, 300) i; INSERT INTO c SELECT i, i FROM generate_series(1, 300) i; DELETE FROM c WHERE id > 100; DELETE FROM p WHERE id > 200; COMMIT",
    );
    await pair.source.sql(
      "BEGIN; INSERT INTO p VALUES (1000, 'x'); INSERT INTO c VALUES (1000, 1000); UPDATE c SET p = 1000 WHERE id < 5; DELETE FROM c WHERE p = 7; DELETE FROM p WHERE id = 7; COMMIT",
    );
    await run.caughtUp();
    test.same(await pair.rows("p"), await pair.rows("p", "source"));
    test.same(await pair.rows("c"), await pair.rows("c", "source"));
    await run.stop();
    await pair.target.sql("DROP OWNED BY mover; DROP ROLE mover");
  },
);

await t.test("acknowledged is what is durable, and foreign work moves it too", async (test) => {
  const pair = await pairOf(test, `${A}; CREATE TABLE foreign_work (n int)`);
  const run = await pair.start({ options: { idleProgressMs: 200 } });
  await pair.source.sql("INSERT INTO a VALUES (1, 'x')");
  await run.caughtUp();
  await pair.source.sql("INSERT INTO foreign_work SELECT generate_series(1, 10000)");
  const end = await pair.end();
  for (let i = 0; i < 200; i++) {
    if ((run.applier.state.acknowledged ?? 0n) >= end) break;
    await pair.source.sql("SELECT pg_sleep(0.1)");
  }
  test.ok((run.applier.state.acknowledged ?? 0n) >= end);
  const session = await pair.target.session();
  const progress = await readProgress(session, { stream: pair.stream.names.stream, worker: 0 });
  test.ok((progress?.position ?? 0n) >= end);
  await session.close();
});
