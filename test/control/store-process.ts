import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { openControlStore } from "../../src/control/embedded-control-store.ts";
import { openEmbeddedDatabase } from "../../src/control/embedded-database.ts";

/** This file as a program: `node <it> <folder> hold|write`. */
export const STORE_PROCESS: string = fileURLToPath(import.meta.url);

/**
 * A process that owns a store folder and, for `write`, counts epochs up as fast as it can, saying
 * each number once it is stored. Killed by the test that started it.
 */
async function main(folder: string, mode: string): Promise<void> {
  const store = await openControlStore(openEmbeddedDatabase(folder), { clock: systemClock });
  let revision = (await store.read("orders"))?.revision ?? 0;
  console.log("open");
  while (mode === "write") {
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
}

if (process.argv[1] === STORE_PROCESS) {
  main(process.argv[2] ?? "", process.argv[3] ?? "").catch((error: unknown) => {
    console.log(`refused ${error instanceof Error ? error.message : String(error)}`);
  });
}
