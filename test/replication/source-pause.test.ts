import t from "tap";
import { linesOf, lsn, readTo, sourceSide } from "./source-side.ts";

await t.test(
  "reading stops while nobody takes, and the server hears from us all the same",
  async (test) => {
    const side = await sourceSide(test, 16, { wal_sender_timeout: "2s" });
    await side.sql("CREATE TABLE items (id int PRIMARY KEY, name text)");
    const spool = { folder: test.testdir(), memoryBytes: 1_000_000 };
    const stream = await side.open(await side.prepare("items"), { spool });
    for (let first = 0; first < 300; first++) {
      await side.sql(
        `INSERT INTO public.items SELECT i, repeat('x', 200) FROM generate_series(${first * 500 + 1}, ${first * 500 + 500}) i`,
      );
    }
    const sent =
      "SELECT sent_lsn::text AS at, pg_current_wal_lsn()::text AS end FROM pg_stat_replication WHERE sent_lsn IS NOT NULL";
    const [paused] = await side.sql(sent);
    await side.sql("SELECT pg_sleep(6)");
    const [later] = await side.sql(sent);
    test.ok(lsn(later?.["at"]) < lsn(later?.["end"]), "not all is sent");
    test.ok(paused !== undefined, "the sender is there");
    const seen = await readTo(stream, await side.end());
    test.equal(seen.length, 300);
    test.equal(new Set(seen.flat()).size, 150_000);
    await stream.close();
  },
);

await t.test("what is large is read back in pieces and frees its file", async (test) => {
  const side = await sourceSide(test, 14, { logical_decoding_work_mem: "1GB" });
  await side.sql("CREATE TABLE items (id int, name text)");
  const spool = { folder: test.testdir(), memoryBytes: 1_000_000 };
  const stream = await side.open(await side.prepare("items"), { spool });
  await side.sql(
    "BEGIN; INSERT INTO items SELECT i, repeat('x', 100) FROM generate_series(1, 100000) i; INSERT INTO items VALUES (0, repeat('y', 3000000)); COMMIT",
  );
  let item = await stream.next();
  while (item?.kind === "idle") item = await stream.next();
  if (item?.kind !== "transaction") throw new Error("no transaction");
  test.ok(item.bytes > 10_000_000);
  let batches = 0;
  let changes = 0;
  for await (const batch of item.changes()) {
    batches++;
    changes += batch.length;
    test.ok(batch.length < 5_000);
  }
  test.equal(changes, 100_001);
  test.ok(batches > 30);
  test.equal((await linesOf(item)).length, 100_001);
  await stream.close();
});
