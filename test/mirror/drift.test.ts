/** Dual writing that loses a write says which tables it was in, and goes on saying so. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { copyData, copyDone, query } from "../proxy/raw-messages.ts";
import { openRaw } from "../proxy/raw-session.ts";
import type { RawSession } from "../proxy/raw-session.ts";
import { startMirrored, until } from "./mirrored.ts";
import type { Mirrored } from "./mirrored.ts";
import { DATABASE, startTwoSides, USER } from "./two-sides.ts";

const TABLES = [
  "sound",
  "refused",
  "in_one_transaction",
  "also_in_it",
  "copied",
  "prepared_for",
  "too_many",
  "too_large",
  "unanswered",
  "while_down",
  "switched_off",
  "cut_off",
];

const sides = await startTwoSides();
t.teardown(() => sides.stop());
for (const table of TABLES) await sides.both(`create table ${table} (id int primary key, v text)`);
await sides.on("new", "alter table refused add check (v <> 'bad')");
await sides.on("new", "alter table also_in_it add check (v <> 'bad')");
await sides.on("old", "alter system set max_prepared_transactions = 5");
await sides.old.restart();

const folder = mkdtempSync(join(tmpdir(), "twinwire-drift-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const OPTIONS = {
  migration: {
    shadow: { writes: "apply", timeout: "2s", queue: { exchanges: 12, bytes: "64KiB" } },
  },
  config: { store: { path: join(folder, "store") } },
};
let twinwire: Mirrored = await startMirrored(sides, OPTIONS);
t.teardown(() => twinwire.stop());

function raw(): Promise<RawSession> {
  const parameters = [["user", USER] as const, ["database", DATABASE] as const];
  return openRaw(Number(new URL(twinwire.connection).port), { parameters });
}

async function drifted(): Promise<readonly string[]> {
  return (await twinwire.judged()).drifted.toSorted();
}

async function run(...statements: readonly string[]): Promise<void> {
  const client = await twinwire.client();
  for (const sql of statements) await client.query(sql).catch(() => undefined);
  await client.end();
}

await t.test("a write that fails on the shadow alone makes its table drift", async (test) => {
  await run("insert into sound values (1, 'x')", "insert into refused values (1, 'good')");
  test.same(await drifted(), []);
  await run("insert into refused values (2, 'bad')");
  test.same(await drifted(), ["refused"]);
  const [found] = await twinwire.divergences();
  test.equal(found?.reason, "error_on_shadow");
  const before = await twinwire.judged();
  await run("select * from refused", "select * from public.refused", "select * from sound");
  const after = await twinwire.judged();
  const { drifted: more = 0 } = after.incomparable;
  test.equal(more - (before.incomparable["drifted"] ?? 0), 2, "its reads are not compared");
  test.equal(after.verdicts.match - before.verdicts.match, 1, "those of others are");
  test.equal(after.verdicts.divergent, before.verdicts.divergent);
});

/**
 * What a failed statement means for the rest of its transaction was once read from verdicts, and
 * "incomparable" counted as fine: the other tables of the transaction lacked rows and said nothing.
 */
await t.test("every table of a transaction that fails on the shadow drifts", async (test) => {
  await run(
    "begin",
    "insert into in_one_transaction values (1, 'x')",
    "insert into also_in_it values (1, 'bad')",
    "select count(*) from sound",
    "commit",
    "insert into sound values (2, 'after it')",
  );
  test.same(await drifted(), ["also_in_it", "in_one_transaction", "refused"]);
  test.same(await sides.on("new", "select id from in_one_transaction"), [], "it was undone whole");
  test.equal((await sides.on("new", "select id from sound")).length, 2, "and the next one went on");
});

await t.test("what cannot be repeated makes its table drift", async (test) => {
  const session = await raw();
  session.send(query("copy copied from stdin"));
  await session.until("G");
  session.send(copyData("1\tx\n"), copyDone);
  await session.until("Z");
  const large = "x".repeat(100_000);
  session.send(query(`insert into too_large values (1, '${large}')`));
  await session.until("Z");
  session.socket.destroy();
  await run("begin", "insert into prepared_for values (1, 'x')", "prepare transaction 'p'");
  const now = await drifted();
  for (const table of ["copied", "prepared_for", "too_large"]) test.ok(now.includes(table), table);
  test.notOk(now.includes("*"), "and nothing else does");
  test.same(await sides.on("new", "select id from prepared_for"), []);
  await sides.on("old", "commit prepared 'p'");
});

/**
 * A transaction whose middle did not fit the queue was once repeated without its end, and a read that
 * did not fit held up all others for ever.
 */
await t.test("a transaction that outgrows the queue is left out whole", async (test) => {
  await run(
    "begin",
    "insert into too_many values (1, 'x')",
    ...Array.from({ length: 30 }, () => "select count(*) from sound"),
    "commit",
    "begin",
    ...Array.from({ length: 30 }, () => "select count(*) from sound"),
    "commit",
    "insert into sound values (3, 'after them')",
  );
  test.ok((await drifted()).includes("too_many"));
  test.same(await sides.on("new", "select id from too_many"), []);
  test.equal((await sides.on("new", "select id from sound")).length, 3);
});

await t.test("a write whose answer never came drifts, for it may be committed", async (test) => {
  const holder = await twinwire.client();
  await holder.query("begin");
  await holder.query("lock table unanswered in share mode");
  const session = await raw();
  session.send(query("insert into unanswered values (1, 'x')"));
  await until("the insert to wait", async () => {
    const [row] = await sides.on("old", "select 1 from pg_locks where not granted");
    return row;
  });
  session.socket.resetAndDestroy();
  await until("the end of its session", async () => (await twinwire.status()).sessions === 1);
  await holder.query("rollback");
  await holder.end();
  test.ok((await drifted()).includes("unanswered"));
});

/** A cancel was once passed on to whatever the shadow was doing, which could be a committed write. */
await t.test("a cancel does not reach what the primary has committed", async (test) => {
  await sides.on(
    "new",
    `create function slowly() returns trigger language plpgsql as
       $$ begin perform pg_sleep(0.5); return new; end $$;
     create trigger slow before insert on sound for each row execute function slowly()`,
  );
  const client = await twinwire.client();
  await client.query("insert into sound values (4, 'slow on the shadow')");
  const sleeping = client.query("select pg_sleep(60)").then(
    () => "slept",
    (error: Error) => error.message,
  );
  await until("the sleep to begin", async () => {
    const [row] = await sides.on(
      "old",
      "select 1 from pg_stat_activity where query like '%sleep(6%' and pid <> pg_backend_pid()",
    );
    return row;
  });
  await cancel(client);
  test.match(await sleeping, /canceling statement/);
  await client.end();
  await twinwire.judged();
  await sides.on("new", "drop trigger slow on sound");
  test.equal((await sides.on("new", "select id from sound")).length, 4);
  test.notOk((await drifted()).includes("sound"));
});

/** What `pg` keeps of the key that the server gave, and does not use by itself. */
async function cancel(client: unknown): Promise<void> {
  const { processID, secretKey } = client as { processID: number; secretKey: number };
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(80_877_102, 4);
  request.writeInt32BE(processID, 8);
  request.writeInt32BE(secretKey, 12);
  const socket = connect(Number(new URL(twinwire.connection).port), "127.0.0.1");
  socket.end(request);
  await new Promise((resolve) => socket.on("close", resolve).resume());
}

/** It would else seem, once the shadow is on again, that going back loses nothing. */
await t.test("what is written while the shadow is switched off drifts", async (test) => {
  await twinwire.api.post("/api/v1/migrations/shop/shadow", { enabled: false });
  await run("insert into switched_off values (1, 'x')", "select * from sound");
  await twinwire.api.post("/api/v1/migrations/shop/shadow", { enabled: true });
  const now = await drifted();
  test.ok(now.includes("switched_off"));
  test.notOk(now.includes("sound"));
});

await t.test("a shadow that is down makes what is written meanwhile drift", async (test) => {
  const client = await twinwire.client();
  await client.query("insert into sound values (5, 'x')");
  await twinwire.judged();
  sides.new.kill();
  await client.query("insert into while_down values (1, 'x')");
  await until("it to be noticed", async () => (await drifted()).includes("while_down"));
  await sides.new.restart();
  await until("the shadow to be back", async () => {
    await client.query("select 1");
    return (await twinwire.status()).route.shadow.state === "on";
  });
  const before = await twinwire.judged();
  await client.query("select * from while_down");
  await client.query("select * from sound order by id");
  await client.end();
  const after = await twinwire.judged();
  test.equal(after.verdicts.match, before.verdicts.match + 1, "what is sound is compared again");
  test.ok((await drifted()).includes("while_down"));
  test.notOk((await drifted()).includes("sound"));
});

await t.test("drift is shown in metrics and survives restarts and kill -9", async (test) => {
  const before = await drifted();
  const metrics = await twinwire.api.getText("/metrics");
  test.match(metrics, new RegExp(`twinwire_drifted_tables\\{migration="shop"\\} ${before.length}`));
  await twinwire.stop();
  twinwire = await startMirrored(sides, OPTIONS);
  test.same(await drifted(), before);
  // A write that the shadow had no time for.
  const locker = sides.on("new", "begin; lock table cut_off; select pg_sleep(1); commit");
  await until("the lock", async () => {
    const [row] = await sides.on(
      "new",
      "select 1 from pg_locks where relation = 'cut_off'::regclass",
    );
    return row;
  });
  const client = await twinwire.client();
  await client.query("insert into cut_off values (1, 'x')");
  await twinwire.kill();
  await locker;
  await twinwire.stop();
  twinwire = await startMirrored(sides, OPTIONS);
  test.same(await drifted(), [...before, "cut_off"].toSorted());
});
