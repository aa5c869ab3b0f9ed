/** What happens to a table that is being copied, step by step. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import t from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { openCopying } from "./copying.ts";
import type { Copying, CopyingOptions } from "./copying.ts";

const [source, target] = await Promise.all([
  startPostgres({ major: 14 }),
  startPostgres({ major: 16 }),
]);
const folder = mkdtempSync(join(tmpdir(), "snapshot-"));
t.teardown(async () => {
  await Promise.all([source.stop(), target.stop()]);
  rmSync(folder, { recursive: true });
});

type Sides = {
  readonly old: pg.Client;
  readonly fresh: pg.Client;
  open(options?: Partial<CopyingOptions>): Promise<Copying>;
  equal(test: Pick<typeof t, "same">, one: string, other?: string): Promise<void>;
};

let databases = 0;

/** Two new databases for one case. */
async function sides(
  test: Pick<typeof t, "teardown">,
  oldSql: string,
  freshSql = oldSql,
): Promise<Sides> {
  const name = `case_${databases++}`;
  const clients: pg.Client[] = [];
  for (const server of [source, target]) {
    const admin = new pg.Client(server.url());
    await admin.connect();
    await admin.query(`create database ${name}`);
    await admin.end();
    const client = new pg.Client(server.url(name));
    await client.connect();
    await client.query(server === source ? oldSql : freshSql);
    clients.push(client);
  }
  const [old, fresh] = clients;
  if (old === undefined || fresh === undefined) throw new Error("no clients");
  let opened: Copying | undefined;
  test.teardown(async () => {
    await opened?.close();
    // Slots have names of the whole server.
    await old.query(
      "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()",
    );
    await Promise.all([old.end(), fresh.end()]);
  });
  return {
    old,
    fresh,
    open: async (options) => {
      opened = await openCopying({
        source: source.url(name),
        target: target.url(name),
        folder,
        patterns: ["public.*"],
        ...options,
      });
      return opened;
    },
    equal: async (same, one, other = one) => {
      const [first, second] = await Promise.all([
        old.query<Record<string, unknown>>(one),
        fresh.query<Record<string, unknown>>(other),
      ]);
      same.same(second.rows, first.rows, one);
    },
  };
}

const WIDE = "create table t (id int primary key, v text, big text)";
const FILLED = `${WIDE}; insert into t select i, repeat(md5(i::text), 4), (select string_agg(md5((i * j)::text), '') from generate_series(1, 200) j)
  from generate_series(1, 300) i`;
const WHOLE = "select id, v, md5(big) as big from t order by id";

await t.test("renamed, dropped, constant and converted columns, and chosen rows", async (test) => {
  const both = await sides(
    test,
    `create table o (id int, tenant text, label varchar(50), flag boolean, bit_of int, gone int, primary key (id, tenant));
     insert into o select i, (array['a','b','c'])[i % 3 + 1], 'it''s ' || i, i % 2 = 0, i % 2, i from generate_series(1, 4000) i;
     insert into o values (0, 'a', null, null, null, 1)`,
    `create schema app; create table app.orders (tenant text, nr bigint, label text, flag smallint, bit_of boolean, shard text, none text,
     primary key (nr, tenant))`,
  );
  const copying = await both.open({
    chunkBytes: 65_536,
    mapped: [
      {
        table: { schema: "public", name: "o" },
        to: { schema: "app", name: "orders" },
        columns: { id: "nr", gone: null },
        constants: { shard: "it's 7", none: null },
        convert: { flag: "boolean_to_integer", bit_of: "integer_to_boolean" },
        where: { column: "tenant", in: ["a", "c"] },
      },
    ],
  });
  await copying.settle();
  await both.old.query(
    "update o set tenant = 'a' where id = 1; update o set tenant = 'b' where id = 3; delete from o where id = 6",
  );
  await copying.catchUp();
  await both.equal(
    test,
    `select id::bigint as nr, tenant, label::text, flag::int, bit_of = 1 as bit_of, 'it''s 7' as shard, null as none from o
     where tenant <> 'b' order by id`,
    "select nr, tenant, label, flag::int, bit_of, shard, none from app.orders order by nr",
  );
});

await t.test("a target that holds rows already is refused, and told what to do", async (test) => {
  const both = await sides(test, `${WIDE}; insert into t values (1, 'a', 'b')`);
  const copying = await both.open();
  await test.rejects(copying.settle(), {
    code: "refused_by_guard",
    message: /public\.t .*empty it/,
  });
  await both.equal(test, "select * from t");
});

await t.test(
  "a value that the target refuses ends the copy with the table's name, and no value",
  async (test) => {
    const both = await sides(
      test,
      "create table t (id int primary key, v text); insert into t values (1, 'secret')",
      "create table t (id int primary key, v text check (v <> 'secret'))",
    );
    const copying = await both.open();
    const error = await copying.settle().then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    );
    test.match(error?.message, /public\.t/);
    test.notMatch(error?.message, /secret/);
  },
);

await t.test("a truncation while the table is copied", async (test) => {
  const both = await sides(test, FILLED, WIDE);
  const copying = await both.open({ chunkBytes: 65_536, copiers: 1, bytesPerSecond: 1_500_000 });
  const settled = copying.settle();
  await until(() => copying.copy.progress().tables.some(({ chunksDone }) => chunksDone > 3));
  await both.old.query(
    "begin; update t set v = 'x'; truncate t; insert into t select i, 'new', 'big' from generate_series(1, 50) i; commit",
  );
  await both.old.query("insert into t values (1000, 'late', 'big')");
  await settled;
  await copying.catchUp();
  await both.equal(test, WHOLE);
});

await t.test("a truncation of a complete table is applied", async (test) => {
  const both = await sides(test, FILLED, WIDE);
  const copying = await both.open({ chunkBytes: 65_536 });
  await copying.settle();
  await both.old.query("truncate t; insert into t values (1, 'a', 'b')");
  await copying.catchUp();
  await both.equal(test, WHOLE);
});

await t.test(
  "rows with large values move between chunks whatever state these are in",
  async (test) => {
    const both = await sides(test, FILLED, WIDE);
    const copying = await both.open({ chunkBytes: 65_536, copiers: 1, bytesPerSecond: 1_500_000 });
    const settled = copying.settle();
    await until(() => copying.copy.progress().tables.some(({ chunksDone }) => chunksDone > 3));
    // From chunks not begun to those that are done: the log leaves the large value out.
    for (let id = 300; id > 200; id--)
      await both.old.query(`update t set id = ${-id} where id = ${id}`);
    await settled;
    await copying.catchUp();
    await both.equal(test, WHOLE);
    const { rows } = await both.fresh.query("select count(*)::int as chunks from twinwire.chunk");
    test.same(rows, [{ chunks: 1 }], "it was copied anew, from one snapshot");
  },
);

await t.test("rows with large values change their key in a table of one chunk", async (test) => {
  const both = await sides(test, FILLED, WIDE);
  const copying = await both.open({
    chunkBytes: 1_000_000_000,
    copiers: 1,
    bytesPerSecond: 2_000_000,
  });
  const settled = copying.settle();
  await until(() => copying.copy.progress().tables.some(({ state }) => state === "copying"));
  for (let id = 1; id <= 100; id++)
    await both.old.query(`update t set id = ${-id} where id = ${id}`);
  await settled;
  await copying.catchUp();
  await both.equal(test, WHOLE);
});

await t.test("sessions that are ended are opened again", async (test) => {
  const both = await sides(test, FILLED, WIDE);
  const copying = await both.open({ chunkBytes: 65_536, bytesPerSecond: 1_500_000 });
  const settled = copying.settle();
  for (const [client, whose] of [
    [both.old, "COPY (%"],
    [both.fresh, 'COPY "%'],
  ] as const) {
    let ended = 0;
    while (ended === 0) {
      const { rowCount } = await client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like $1",
        [whose],
      );
      ended = rowCount ?? 0;
    }
  }
  await settled;
  await both.equal(test, WHOLE);
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("it did not come to that");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
