import t from "tap";
import { readTo, REVERSE, sourceSide } from "./source-side.ts";

/** Transactions beyond 64 kB are sent before they end. */
const SOON = { logical_decoding_work_mem: "64kB" };

for (const major of [14, 16, 18] as const) {
  await t.test(
    `PostgreSQL ${major}: transactions sent before their end come whole or not at all`,
    async (test) => {
      const side = await sourceSide(test, major, SOON);
      await side.sql("CREATE TABLE items (id int PRIMARY KEY, name text)");
      const from = await side.prepare("items");
      const stream = await side.open(from, {
        spool: { folder: test.testdir(), memoryBytes: 100_000 },
      });
      const [one, two] = [await side.work(), await side.work()];
      const rows = (first: number, count: number): string =>
        `INSERT INTO public.items SELECT i, repeat('x', 50) FROM generate_series(${first}, ${first + count - 1}) i`;
      await one.execute(`BEGIN; ${rows(1, 3000)}`);
      await two.execute(`BEGIN; ${rows(100_000, 3000)}`);
      // Undone with all it holds, a savepoint that was released within it included; then more of the same table.
      await one.execute(
        `SAVEPOINT a; ${rows(10_000, 3000)}; SAVEPOINT b; ${rows(20_000, 3000)}; RELEASE b`,
      );
      await one.execute(`ROLLBACK TO a; ${rows(30_000, 3000)}`);
      await two.execute(`SAVEPOINT kept; ${rows(200_000, 3000)}; RELEASE kept`);
      // A shape that never was.
      await one.execute(
        `SAVEPOINT c; ALTER TABLE IF EXISTS public.items_none ADD more int; UPDATE public.items SET name = 'u' WHERE id < 10`,
      );
      await one.execute(
        `SAVEPOINT d; DELETE FROM public.items WHERE id < 3000; ROLLBACK TO d; ${rows(40_000, 2000)}`,
      );
      await side.sql("INSERT INTO items VALUES (0, 'small')");
      await two.execute("COMMIT");
      await one.execute("COMMIT");
      await one.execute(`BEGIN; ${rows(500_000, 3000)}; ROLLBACK`);
      // Ours, and large.
      await two.execute(
        `BEGIN; INSERT INTO twinwire.progress (stream, worker, epoch, pos) VALUES ('${REVERSE.stream}', 0, 1, ''); ${rows(600_000, 5000)}; COMMIT`,
      );
      await side.sql(`SELECT pg_replication_origin_create('${REVERSE.origin}')`);
      await two.execute(
        `SELECT pg_replication_origin_session_setup('${REVERSE.origin}'); BEGIN; ${rows(700_000, 5000)}; COMMIT`,
      );
      await side.sql("DELETE FROM items WHERE id BETWEEN 600000 AND 604999");
      const seen = await readTo(stream, await side.end());
      const counts = seen.map((lines) => {
        const ids = lines.map((line) => Number(/\((\d+)/.exec(line)?.[1]));
        return [lines.length, Math.min(...ids), Math.max(...ids), new Set(lines).size];
      });
      test.same(counts, [
        [1, 0, 0, 1],
        [6000, 100_000, 202_999, 6000],
        [8009, 1, 41_999, 8009],
        [5000, 600_000, 604_999, 5000],
      ]);
      const stats =
        major === 14
          ? []
          : await side.sql("SELECT stream_txns::int AS n FROM pg_stat_replication_slots");
      test.ok(stats.every((row) => Number(row["n"]) > 0));
      await stream.close();
    },
  );
}

await t.test(
  "a savepoint that changes a table and is undone leaves its shape as it was",
  async (test) => {
    const side = await sourceSide(test, 16, SOON);
    await side.sql("CREATE TABLE items (id int PRIMARY KEY, name text)");
    const stream = await side.open(await side.prepare("items"));
    const one = await side.work();
    const rows = (first: number): string =>
      `INSERT INTO public.items (id, name) SELECT i, repeat('x', 50) FROM generate_series(${first}, ${first + 1999}) i`;
    await one.execute(
      `BEGIN; ${rows(1)}; SAVEPOINT a; ALTER TABLE public.items ADD more int DEFAULT 1; ${rows(10_000)}`,
    );
    await one.execute(`ROLLBACK TO a; ${rows(20_000)}`);
    await one.execute(`ALTER TABLE public.items ADD other int DEFAULT 2; ${rows(30_000)}; COMMIT`);
    await side.sql("INSERT INTO items VALUES (0, 'small', 3)");
    const [large = [], small] = await readTo(stream, await side.end());
    test.equal(large.length, 6000);
    test.equal(large.filter((line) => line.endsWith("x, 2)")).length, 2000);
    test.equal(large.filter((line) => line.endsWith("x)")).length, 4000);
    test.same(small, ["insert items (0, small, 3)"]);
  },
);
