import { randomBytes } from "node:crypto";
import t from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { OWN_SCHEMA_SQL } from "../../src/replication/own-schema.ts";
import { openAdminClient } from "../../src/upstream/admin-client.ts";
import type { AdminClient } from "../../src/upstream/admin-client.ts";
import {
  findReplicationSource,
  readAppliedPosition,
  readPrimaryPosition,
} from "../../src/upstream/positions.ts";
import { formatPosition } from "../../src/wire/position.ts";
import { until } from "../mirror/mirrored.ts";
import { NO_TLS } from "./no-tls.ts";

const [old, fresh] = await Promise.all([
  startPostgres({ major: 14 }),
  startPostgres({ major: 16 }),
]);
t.teardown(() => Promise.all([old.stop(), fresh.stop()]));

function adminOf({ host, port, superuser, password }: EmbeddedPostgres): AdminClient {
  return openAdminClient(
    { host, port, tls: NO_TLS, user: superuser, password, database: "postgres" },
    { connectTimeoutMs: 10_000, statementTimeoutMs: 10_000 },
    { random: randomBytes },
  );
}

const [primary, shadow] = [adminOf(old), adminOf(fresh)];
t.teardown(() => Promise.all([primary.close(), shadow.close()]));

/** Up to where the shadow is, found anew. */
async function applied(): Promise<string | undefined> {
  const lsn = await readAppliedPosition(
    await findReplicationSource(shadow, "shop.forward"),
    primary,
    shadow,
  );
  if (lsn === undefined || lsn === "nowhere") return lsn;
  return formatPosition({ kind: "lsn", lsn });
}

await t.test("where nothing replicates that can be seen, nothing is known", async (test) => {
  test.equal(await applied(), undefined);
});

await t.test("the primary's position grows with what it writes", async (test) => {
  const before = await readPrimaryPosition(primary);
  await primary.query("create table things (id int primary key)");
  const after = await readPrimaryPosition(primary);
  test.ok(before !== undefined && after !== undefined && after.flushed > before.flushed);
  test.equal(after?.writerDelayMs, 200);
});

await t.test("a subscription tells by its slot, once all tables are copied", async (test) => {
  await shadow.query("create table things (id int primary key)");
  await primary.query("create publication feed for table things");
  // Nobody can copy into what is locked.
  const locker = adminOf(fresh);
  await locker.query("begin");
  await locker.query("lock table things in share mode");
  await shadow.query(`create subscription feed connection '${old.url()}' publication feed`);
  test.equal(await applied(), "nowhere", "a table is still being copied");
  await locker.query("rollback");
  await locker.close();
  await until("the copy", async () => (await applied()) !== "nowhere");
  await primary.query("insert into things values (1)");
  const wanted = (await readPrimaryPosition(primary))?.flushed ?? 0n;
  await until("the insert to be applied", async () => {
    const source = await findReplicationSource(shadow, "shop.forward");
    test.strictSame(source, { kind: "slots", slots: ["feed"] });
    const lsn = await readAppliedPosition(source, primary, shadow);
    return lsn !== undefined && lsn !== "nowhere" && lsn >= wanted;
  });
  test.strictSame(await shadow.query("select id from things"), [["1"]]);
  test.equal(
    await readAppliedPosition({ kind: "slots", slots: ["another"] }, primary, shadow),
    undefined,
    "a slot of another primary says nothing",
  );
});

await t.test("Twinwire's own progress comes first, and its slowest worker counts", async (test) => {
  for (const statement of OWN_SCHEMA_SQL.split(";").filter((text) => text.trim() !== ""))
    await shadow.query(statement);
  await shadow.query(`
    insert into twinwire.progress (stream, worker, epoch, pos) values ('shop.reverse', 0, 1, '0/1')`);
  test.not(await applied(), "0/1", "the progress of another stream says nothing");
  await shadow.query(`
    insert into twinwire.progress (stream, worker, epoch, pos) values
      ('shop.forward', 0, 1, '1/20'), ('shop.forward', 1, 1, '0/FF000000'), ('shop.forward', -1, 1, '0/0')`);
  test.equal(await applied(), "nowhere", "tables are still being copied");
  await shadow.query("update twinwire.progress set phase = 'streaming'");
  test.equal(await applied(), "0/FF000000", "those that copy have no position");
});
