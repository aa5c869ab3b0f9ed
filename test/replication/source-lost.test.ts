import t from "tap";
import { slotState } from "../../src/replication/source/slot.ts";
import type { Lsn } from "../../src/wire/position.ts";
import { FORWARD, readTo, REVERSE, sourceSide } from "./source-side.ts";

await t.test("a source that cannot go on is named", async (test) => {
  const side = await sourceSide(test, 16, { max_slot_wal_keep_size: "1MB" });
  await side.sql("CREATE TABLE items (id int PRIMARY KEY, name text)");
  const from = await side.prepare("items");
  const stream = await side.open(from);
  const { systemIdentifier, timeline } = stream.identity;
  await test.rejects(side.open(from, { slotBusyMs: 300 }), {
    code: "conflict",
    message: /another process/,
  });
  await side.sql("INSERT INTO items VALUES (1, '')");
  await readTo(stream, await side.end());
  const applied = await side.end();
  stream.acknowledge(applied);
  const session = await side.work();
  while (((await slotState(session, FORWARD))?.confirmedFlush ?? 0n) < applied);
  await stream.close();
  const other = { systemIdentifier: "1", timeline };
  await test.rejects(side.open(applied, { expect: other }), {
    code: "source_changed",
    message: /another server/,
  });
  const failedOver = { systemIdentifier, timeline: timeline + 1 };
  await test.rejects(side.open(applied, { expect: failedOver }), {
    code: "source_changed",
    message: /failed over/,
  });
  const future = (applied + 0x100000000n) as Lsn;
  await test.rejects(side.open(future), { code: "source_changed", message: /lost what it had/ });
  await test.rejects(side.open(from), { code: "slot_lost", message: /stands at/ });
  await test.rejects(side.open(applied, { names: REVERSE }), {
    code: "slot_lost",
    message: /does not exist/,
  });
  await side.sql(`ALTER PUBLICATION ${FORWARD.publication} RENAME TO gone`);
  await test.rejects(side.open(applied), { code: "not_found", message: /publication/ });
  await side.sql(`ALTER PUBLICATION gone RENAME TO ${FORWARD.publication}`);
  for (let round = 0; round < 6; round++) {
    await side.sql(
      "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000)), pg_switch_wal()",
    );
  }
  await side.sql("CHECKPOINT");
  test.equal((await slotState(session, FORWARD))?.walStatus, "lost");
  await test.rejects(side.open(applied), { code: "slot_lost", message: /is lost/ });
});

for (const major of [14, 18] as const) {
  await t.test(
    `PostgreSQL ${major}: a publication that is dropped while it is read is named`,
    async (test) => {
      const side = await sourceSide(test, major);
      await side.sql("CREATE TABLE items (id int PRIMARY KEY, name text)");
      const stream = await side.open(await side.prepare("items"));
      await side.sql("INSERT INTO items VALUES (1, '')");
      test.equal((await readTo(stream, await side.end())).length, 1);
      await side.sql(`DROP PUBLICATION ${FORWARD.publication}`);
      await side.sql("INSERT INTO items VALUES (2, '')");
      const reading = readTo(stream, await side.end());
      await test.rejects(reading, { code: "not_found", message: /publication/ });
    },
  );
}

await t.test(
  "a server that shuts down does not wait for what we have not acknowledged",
  async (test) => {
    for (const major of [14, 18] as const) {
      const side = await sourceSide(test, major);
      await side.sql("CREATE TABLE items (id int PRIMARY KEY)");
      const stream = await side.open(await side.prepare("items"));
      await side.sql("INSERT INTO items VALUES (1)");
      await readTo(stream, await side.end());
      await side.client.end();
      await side.server.restart();
      await test.rejects(
        (async () => {
          while ((await stream.next()) !== undefined);
        })(),
        { code: "backend_lost" },
      );
      await side.server.stop();
    }
  },
);
