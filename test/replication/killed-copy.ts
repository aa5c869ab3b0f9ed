/** The process that copies is killed at every moment of a copy, one after the other, while clients write. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import pg from "pg";
import t from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { PostgresMajor } from "../../src/cli/demo/postgres-binaries.ts";
import { FAILPOINTS } from "../../src/replication/failpoints.ts";
import { openCopying } from "./copying.ts";

const TABLES = `
  create table numbered (id int primary key, v text, n int default 0);
  create table named (id text collate "en-x-icu" primary key, v text, n int default 0);
  create table unnamed (id int, v text, n int default 0); alter table unnamed replica identity full;`;
const FILL = `
  insert into numbered select i, repeat(md5(i::text), 4) from generate_series(1, 6000) i;
  insert into named select chr(65 + i % 50) || i, repeat(md5(i::text), 4) from generate_series(1, 4000) i;
  insert into unnamed select i / 2, repeat(md5((i / 2)::text), 4) from generate_series(1, 3000) i;`;

/** In an order in which each is met, with how often it is passed before. */
const KILLS: readonly (readonly [failpoint: string, times: number])[] = [
  ["snapshot.after_plan", 2],
  ["snapshot.in_chunk", 2],
  ["snapshot.before_deferred", 3],
  ["snapshot.before_chunk_commit", 2],
  ["snapshot.after_chunk_commit", 3],
  ["snapshot.in_chunk", 5],
  ["snapshot.before_chunk_commit", 1],
  ["snapshot.table_done", 1],
  ["snapshot.before_streaming", 1],
];

/** @param old the major version that is copied from, and `fresh` the one that is filled */
export async function killCopies(old: PostgresMajor, fresh: PostgresMajor): Promise<void> {
  void t.test("every failpoint of a copy is among them", (test) => {
    const all = FAILPOINTS.filter((name) => name.startsWith("snapshot."));
    test.same([...new Set(KILLS.map(([name]) => name))].toSorted(), all.toSorted());
    test.end();
  });
  await t.test(`${old} to ${fresh}: nothing is lost and nothing comes twice`, async (test) => {
    const [source, target] = await Promise.all([
      startPostgres({ major: old }),
      startPostgres({ major: fresh }),
    ]);
    const folder = mkdtempSync(join(tmpdir(), "snapshot-"));
    const clients = [new pg.Client(source.url()), new pg.Client(target.url())] as const;
    test.teardown(async () => {
      await Promise.all(clients.map((client) => client.end()));
      await Promise.all([source.stop(), target.stop()]);
      rmSync(folder, { recursive: true });
    });
    await Promise.all(clients.map((client) => client.connect()));
    for (const client of clients) await client.query(TABLES);
    await clients[0].query(FILL);
    const options = {
      source: source.url(),
      target: target.url(),
      folder,
      patterns: ["public.*"],
      chunkBytes: 65_536,
      deferredBytes: 2_000,
    };
    let isOver = false;
    const writing = write(source.url(), () => isOver);
    let doneBefore = 0;
    for (const [index, [failpoint, times]] of KILLS.entries()) {
      const ended = await runChild({ ...options, epoch: index + 1 }, `${failpoint}:${times}`);
      test.same(ended, { signal: "SIGKILL", said: "" }, failpoint);
      const done = await chunksDone(clients[1]);
      test.ok(done >= doneBefore, "what is done stays done");
      doneBefore = done;
    }
    const last = await openCopying({ ...options, epoch: 100 });
    await last.settle();
    isOver = true;
    const count = await writing;
    await last.catchUp();
    test.equal(await chunksDone(clients[1]), doneBefore, "nothing was left to copy");
    for (const table of ["numbered", "named", "unnamed"]) {
      const [one, other] = await Promise.all(clients.map((client) => digest(client, table)));
      test.same(other, one, table);
    }
    await last.close();
    test.same(readdirSync(folder), []);
    test.comment(`figure: ${count} transactions, ${doneBefore} chunks`);
  });
}

async function runChild(
  options: object,
  failpoint: string,
): Promise<{ readonly signal: unknown; readonly said: string }> {
  const program = new URL("copy-child.js", import.meta.url).pathname;
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    env: { ...process.env, TWINWIRE_FAILPOINT: failpoint },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (data: Buffer) => (said += data.toString()));
  const [, signal] = (await once(child, "close")) as [number | null, unknown];
  return { signal, said };
}

async function chunksDone(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ readonly count: number }>(
    "select count(*)::int as count from twinwire.chunk where state = 'done'",
  );
  return rows[0]?.count ?? 0;
}

async function digest(client: pg.Client, table: string): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select count(*), md5(string_agg(t::text, ',' order by t::text collate "C")) from ${table} t`,
  );
  return rows;
}

/** @returns how many transactions */
async function write(url: string, isOver: () => boolean): Promise<number> {
  const client = new pg.Client(url);
  await client.connect();
  let count = 0;
  for (; !isOver(); count++) {
    const table = ["numbered", "named", "unnamed"][count % 3] ?? "";
    const some = `ctid in (select ctid from ${table} tablesample bernoulli (5) order by random() limit 2)`;
    await client.query(`update ${table} set n = n + 1 where ${some}`);
    if (table === "numbered")
      await client.query(
        `update numbered set id = ${10_000 + count} * (case when random() < 0.5 then -1 else 1 end) where ${some.replace("limit 2", "limit 1")}`,
      );
    if (table === "named")
      await client.query(
        `delete from named where ${some}; insert into named values (chr(65 + (random() * 50)::int) || random(), 'new')`,
      );
    if (table === "unnamed")
      await client.query(`insert into unnamed values (${count}, 'new'), (${count}, 'new')`);
    // No faster than the applier of these tests.
    await client.query("select pg_sleep(0.01)");
  }
  await client.end();
  return count;
}
