import pg from "pg";
import t from "tap";
import type { Lsn } from "../../src/wire/position.ts";
import { linesOf, positionOf, readTo, sourceSide } from "./source-side.ts";
import type { SourceSide } from "./source-side.ts";

/** Clients that commit at the same time, some of them much, some of them nothing in the end. */
async function commitTogether(side: SourceSide, first: number): Promise<string[]> {
  const written: string[] = [];
  const clients = Array.from({ length: 6 }, (_, index) => index);
  await Promise.all(
    clients.map(async (index) => {
      const client = new pg.Client(side.server.url());
      await client.connect();
      for (let round = 0; round < 12; round++) {
        const id = first + index * 100_000 + round * 2_000;
        const rows = round % 4 === 3 ? 1_500 : 1;
        const isUndone = round % 5 === 4;
        await client.query(
          `BEGIN; INSERT INTO items SELECT i, repeat('x', 60) FROM generate_series(${id}, ${id + rows - 1}) i; ${isUndone ? "ROLLBACK" : "COMMIT"}`,
        );
        for (let row = 0; row < rows && !isUndone; row++) written.push(String(id + row));
      }
      await client.end();
    }),
  );
  return written;
}

const idsOf = (lines: readonly string[]): string[] =>
  lines.map((line) => /\((\d+)/.exec(line)?.[1] ?? "");

for (const major of [14, 16, 18] as const) {
  await t.test(
    `PostgreSQL ${major}: from the end of any transaction the rest comes once`,
    async (test) => {
      const side = await sourceSide(test, major, { logical_decoding_work_mem: "64kB" });
      await side.sql("CREATE TABLE items (id int PRIMARY KEY, name text)");
      const from = await side.prepare("items");
      const written = await commitTogether(side, 0);
      const end = await side.end();
      const all: { readonly endLsn: Lsn; readonly ids: readonly string[] }[] = [];
      const stream = await side.open(from);
      for (let at = from; at < end;) {
        const item = await stream.next();
        if (item === undefined) break;
        if (item.kind === "transaction")
          all.push({ endLsn: item.endLsn, ids: idsOf(await linesOf(item)) });
        at = positionOf(item);
      }
      await stream.close();
      test.same(all.flatMap(({ ids }) => ids).toSorted(), written.toSorted());
      // Some at the beginning, the middle and the end: each is a process and a reading of its own.
      for (const index of [0, 1, 2, 20, 21, 22, all.length - 2, all.length - 1]) {
        const place = all[index];
        if (place === undefined) continue;
        const again = await side.open(place.endLsn);
        const rest = place.endLsn < end ? await readTo(again, end) : [];
        const wanted = all.slice(index + 1).map(({ ids }) => ids);
        test.same(rest.map(idsOf), wanted, `after transaction ${index}`);
        await again.close();
      }
    },
  );

  await t.test(
    `PostgreSQL ${major}: a server killed at any moment loses and repeats nothing`,
    async (test) => {
      const side = await sourceSide(test, major, {
        logical_decoding_work_mem: "64kB",
        wal_sender_timeout: "2s",
      });
      await side.sql("CREATE TABLE items (id int PRIMARY KEY, name text)");
      let from = await side.prepare("items");
      const seen: string[] = [];
      const written = await commitTogether(side, 0);
      for (const stopAfter of [5, 30]) {
        const stream = await side.open(from);
        for (let count = 0; count < stopAfter; count++) {
          const item = await stream.next();
          if (item?.kind === "transaction") seen.push(...idsOf(await linesOf(item)));
          if (item !== undefined && item.kind !== "message") from = positionOf(item);
          if (count % 3 === 0) stream.acknowledge(from);
        }
        side.server.kill();
        await test.rejects(
          (async () => {
            for (;;) {
              const item = await stream.next();
              if (item?.kind === "transaction") seen.push(...idsOf(await linesOf(item)));
              if (item !== undefined && item.kind !== "message") from = positionOf(item);
            }
          })(),
          { code: "backend_lost" },
        );
        await stream.close();
        await side.server.restart();
      }
      const stream = await side.open(from);
      const client = new pg.Client(side.server.url());
      await client.connect();
      await client.query("INSERT INTO items VALUES (999999, 'last')");
      for (;;) {
        const item = await stream.next();
        if (item?.kind === "transaction") seen.push(...idsOf(await linesOf(item)));
        if (seen.at(-1) === "999999") break;
      }
      await client.end();
      test.same(seen.toSorted(), [...written, "999999"].toSorted());
    },
  );
}
