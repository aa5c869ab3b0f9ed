import { openControlStore } from "../../src/control/embedded-control-store.ts";
import { openEmbeddedDatabase } from "../../src/control/embedded-database.ts";
import { systemClock } from "../../src/base/clock.ts";

/**
 * A process that owns a store folder and counts epochs up as fast as it can, saying each number
 * once it is stored. Killed by the test that started it.
 */
const folder = process.argv[2] ?? "";
try {
  const store = await openControlStore(openEmbeddedDatabase(folder), { clock: systemClock });
  let revision = (await store.read("orders"))?.revision ?? 0;
  console.log("open");
  while (process.argv[3] === "write") {
    const outcome = await store.compareAndSet({
      migration: "orders",
      expectedRevision: revision,
      route: { phase: "in_sync", primary: "old", epoch: revision },
      attempt: undefined,
      attempts: [{ id: `a${revision}`, migration: "orders", startedAt: `${revision}` }],
    });
    if (outcome.kind === "conflict") throw new Error("nobody else writes here");
    revision = outcome.record.revision;
    console.log(`stored ${revision}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  setInterval(() => {}, 1000);
} catch (error) {
  console.log(`refused ${error instanceof Error ? error.message : String(error)}`);
}
