import t from "tap";
import { giveUpSlot } from "../../src/replication/protection/wal-budget.ts";
import { asking } from "../../src/replication/read-shapes.ts";
import { ensurePublication } from "../../src/replication/source/publication.ts";
import { ensureSlot, slotState } from "../../src/replication/source/slot.ts";
import { FORWARD, readTo, REVERSE, sourceSide } from "./source-side.ts";

await t.test("tables are the same object while they stay as they are", async (test) => {
  const side = await sourceSide(test, 16);
  await side.sql("CREATE TABLE items (id int PRIMARY KEY, name text)");
  const stream = await side.open(await side.prepare("items"));
  const relations = new Set<unknown>();
  const one = async (sql: string): Promise<void> => {
    await side.sql(sql);
    const end = await side.end();
    for (;;) {
      const item = await stream.next();
      if (item?.kind === "transaction") {
        for await (const [change] of item.changes()) {
          if (change?.kind === "insert") relations.add(change.relation);
        }
        item.release();
        if (item.endLsn >= end) return;
      } else if (item?.kind === "idle" && item.lsn >= end) return;
    }
  };
  await one("INSERT INTO items VALUES (1, 'a')");
  await one("ANALYZE items; CREATE INDEX ON items (name); INSERT INTO items VALUES (2, 'b')");
  test.equal(relations.size, 1);
  await one("ALTER TABLE items ALTER name TYPE varchar(50); INSERT INTO items VALUES (3, 'c')");
  test.equal(relations.size, 2);
  await one("ALTER TABLE items RENAME name TO title; INSERT INTO items VALUES (4, 'd')");
  test.equal(relations.size, 3);
});

await t.test("a publication becomes what it should be", async (test) => {
  const side = await sourceSide(test, 16);
  await side.sql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)");
  const session = await side.work();
  const [a, b] = [
    { schema: "public", name: "a" },
    { schema: "public", name: "b" },
  ];
  test.match(await ensurePublication(session, FORWARD, [a]), { created: true, removed: [] });
  test.same(await ensurePublication(session, FORWARD, [a]), {
    created: false,
    optionsDiffer: false,
    added: [],
    removed: [],
  });
  test.same(await ensurePublication(session, FORWARD, [b]), {
    created: false,
    optionsDiffer: false,
    added: [b],
    removed: [a],
  });
  const rows = await side.sql("SELECT tablename FROM pg_publication_tables ORDER BY 1");
  test.same(
    rows.map((row) => row["tablename"]),
    ["b", "canary", "progress"],
  );
  await side.sql(
    `ALTER PUBLICATION ${FORWARD.publication} SET (publish = 'insert');
     ALTER PUBLICATION ${FORWARD.publication} SET TABLE b WHERE (id > 5), twinwire.progress, twinwire.canary`,
  );
  const changed = { created: false, optionsDiffer: true, added: [b], removed: [b] };
  test.same(await ensurePublication(session, FORWARD, [b]), changed);
  test.match(await ensurePublication(session, FORWARD, [b]), { optionsDiffer: false, added: [] });
});

for (const major of [14, 18] as const) {
  await t.test(`PostgreSQL ${major}: a slot is made, described and given up`, async (test) => {
    const side = await sourceSide(test, major);
    await side.sql("CREATE TABLE items (id int PRIMARY KEY)");
    const from = await side.prepare("items");
    const [session, slots] = await Promise.all([side.work(), side.replication()]);
    const state = await slotState(session, FORWARD);
    test.match(state, { plugin: "pgoutput", database: "postgres", walStatus: "reserved" });
    test.equal(state?.confirmedFlush, from);
    const again = await ensureSlot(slots, FORWARD, { lockTimeoutMs: 1_000 });
    test.same(again, { created: false, position: from });
    const stream = await side.open(from);
    test.type((await slotState(session, FORWARD))?.activePid, "number");
    await giveUpSlot(asking(session), FORWARD.slot);
    await test.rejects(stream.next());
    await giveUpSlot(asking(session), FORWARD.slot);
    test.equal(await slotState(session, FORWARD), undefined);
  });
}

await t.test("a slot that has to wait says for whom", async (test) => {
  const side = await sourceSide(test, 16);
  const [holder, slots] = await Promise.all([side.work(), side.replication()]);
  await holder.execute("BEGIN; CREATE TABLE public.held (id int)");
  const refused = ensureSlot(slots, FORWARD, { lockTimeoutMs: 200 });
  const message = new RegExp(`process ${holder.processId} of postgres in postgres \\(test\\)`);
  await test.rejects(refused, { code: "conflict", message });
  test.same(await side.sql("SELECT * FROM pg_replication_slots"), []);
  await holder.execute("COMMIT");
  test.equal((await ensureSlot(slots, FORWARD, { lockTimeoutMs: 20_000 })).created, true);
});

await t.test("a quiet source is told that nothing needs to be kept", async (test) => {
  const side = await sourceSide(test, 16);
  await side.sql("CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE other (id int)");
  const stream = await side.open(await side.prepare("items"));
  const session = await side.work();
  await session.query({
    sql: "SELECT pg_catalog.pg_logical_emit_message(false, 'twinwire', 'beat')",
  });
  const first = await stream.next();
  test.match(first, { kind: "message", prefix: "twinwire" });
  await side.sql("INSERT INTO other SELECT generate_series(1, 100000)");
  const end = await side.end();
  test.same(await readTo(stream, end), []);
  stream.acknowledge(end);
  while (((await slotState(session, FORWARD))?.confirmedFlush ?? 0n) < end);
  test.ok((stream.serverEnd?.lsn ?? 0n) >= end);
});

await t.test("the other direction has names of its own", (test) => {
  test.equal(
    new Set([FORWARD.slot, REVERSE.slot, FORWARD.publication, REVERSE.publication]).size,
    2,
  );
  test.end();
});
