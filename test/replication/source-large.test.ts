import process from "node:process";
import t from "tap";
import { sourceSide } from "./source-side.ts";

const ROWS = 240_000;
const MOST_BYTES = 300_000_000;

/** The most this process has held while `work` ran. */
async function peakDuring(work: Promise<unknown>): Promise<number> {
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  try {
    await work;
  } finally {
    clearInterval(timer);
  }
  return peak;
}

for (const workMem of ["64MB", "2GB"] as const) {
  const how = workMem === "2GB" ? "after its end" : "before its end";
  await t.test(`a transaction sent ${how} stays within bounded memory`, async (test) => {
    const side = await sourceSide(test, 16, { logical_decoding_work_mem: workMem });
    await side.sql(
      "CREATE TABLE items (id int, name text); ALTER TABLE items ALTER name SET STORAGE EXTERNAL",
    );
    const stream = await side.open(await side.prepare("items"));
    let rows = 0;
    const reading = async (): Promise<void> => {
      await side.sql(
        `INSERT INTO items SELECT i, repeat('x', 1400) FROM generate_series(1, ${ROWS}) i`,
      );
      while (rows < ROWS) {
        const item = await stream.next();
        if (item?.kind !== "transaction") continue;
        for await (const batch of item.changes()) rows += batch.length;
        item.release();
      }
    };
    const peak = await peakDuring(reading());
    test.equal(rows, ROWS);
    test.ok(peak < MOST_BYTES, `${Math.round(peak / 1e6)} MB`);
    test.comment(
      `figure: ${Math.round(peak / 1e6)} MB for a transaction of ${Math.round((ROWS * 1400) / 1e6)} MB sent ${how}`,
    );
    await stream.close();
    await side.server.stop();
  });
}
