import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { openEmbeddedDatabase } from "../../src/control/embedded-database.ts";
import { openDivergenceStore } from "../../src/divergence/divergence-store.ts";
import { occurrenceOf, statementOf } from "./statements.ts";

/** This file as a program: `node <it> <folder>`. */
export const COUNT_PROCESS: string = fileURLToPath(import.meta.url);

/** Counts without end and says how far the file has got, until it is killed by its test. */
async function main(folder: string): Promise<void> {
  const database = openEmbeddedDatabase(folder);
  const store = openDivergenceStore({
    migration: "orders",
    database,
    clock: systemClock,
    log: silentLogger,
    randomBytes,
    samples: { perDivergence: 5, reveal: [], storeRequests: false },
    analyse: () => [],
    flushEveryMs: 20,
  });
  const statement = statementOf("aaaa");
  for (;;) {
    store.coverage(statement).seen++;
    store.divergent(occurrenceOf(statement, { primary: "1", shadow: "2" }));
    const [row] = database.all("SELECT count FROM divergence");
    console.log(`stored ${row?.["count"] ?? 0}`);
    await setTimeout(1);
  }
}

if (process.argv[1] === COUNT_PROCESS) await main(process.argv[2] ?? "");
