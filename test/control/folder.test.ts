import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import Database from "libsql";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { CodedError } from "../../src/base/errors.ts";
import { openControlStore } from "../../src/control/embedded-control-store.ts";
import { openEmbeddedDatabase } from "../../src/control/embedded-database.ts";
import { lockFolder } from "../../src/control/folder-lock.ts";
import { STORE_PROCESS } from "./store-process.ts";
import { temporaryFolder } from "./temporary-folder.ts";

type Teardown = { teardown(callback: () => void): void };

/** The lines a store process says, one at a time. */
function startStoreProcess(
  test: Teardown,
  folder: string,
  mode: "hold" | "write",
): { child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, [STORE_PROCESS, folder, mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  test.teardown(() => child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, lines };
}

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const line = await lines.next();
  return line.done === true ? "" : line.value;
}

async function killed(child: ChildProcess): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

function caught(work: () => unknown): CodedError {
  try {
    work();
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
  throw new Error("it was expected to throw");
}

await t.test("a second process is refused in words that name the first", async (test) => {
  const folder = temporaryFolder(test);
  const first = startStoreProcess(test, folder, "hold");
  test.equal(await nextLine(first.lines), "open");
  const second = startStoreProcess(test, folder, "hold");
  const answer = await nextLine(second.lines);
  test.match(answer, `in use by process ${first.child.pid}`);
  test.match(answer, "store.path", "and says what to do");
  await killed(first.child);
});

await t.test(
  "one process cannot open its own folder twice, and can again after closing",
  async (test) => {
    const folder = temporaryFolder(test);
    const database = openEmbeddedDatabase(folder);
    const error = caught(() => openEmbeddedDatabase(folder));
    test.equal(error.code, "conflict");
    test.match(error.message, `process ${process.pid}`);
    database.close();
    openEmbeddedDatabase(folder).close();
    test.equal(caught(() => database.all("SELECT 1")).code, "store_failed", "closed means closed");
  },
);

await t.test(
  "the folder of a process killed with -9 is taken over, with all it had stored",
  async (test) => {
    const folder = temporaryFolder(test);
    for (let round = 0; round < 3; round++) {
      const writer = startStoreProcess(test, folder, "write");
      test.equal(await nextLine(writer.lines), "open");
      let stored = 0;
      while (stored % 40 !== 39) {
        stored = Number((await nextLine(writer.lines)).replace("stored ", ""));
      }
      await killed(writer.child);
      const database = openEmbeddedDatabase(folder);
      const store = await openControlStore(database, { clock: systemClock });
      const record = await store.read("orders");
      test.ok(
        record !== undefined && record.revision >= stored,
        "nothing it said it stored is lost",
      );
      test.equal(record?.route.epoch, (record?.revision ?? 0) - 1);
      const attempts = await store.attempts("orders", 100_000);
      test.equal(attempts.length, record?.revision, "record and attempt were stored together");
      database.close();
    }
  },
);

await t.test("the folder and the file are closed to other users", async (test) => {
  const folder = join(temporaryFolder(test), "deeper", "store");
  const database = openEmbeddedDatabase(folder);
  database.migrate("test", ["CREATE TABLE one (a)"]);
  test.equal(statSync(folder).mode & 0o777, 0o700);
  test.equal(statSync(join(folder, "twinwire.db")).mode & 0o777, 0o600);
  test.equal(statSync(join(folder, "twinwire.db-wal")).mode & 0o777, 0o600);
  database.close();
});

await t.test("a damaged file stops the start and says what to do", async (test) => {
  const damages: readonly { name: string; damage: (path: string) => void }[] = [
    {
      name: "another kind of file altogether",
      damage: (path) => writeFileSync(path, "this is not a store. ".repeat(500)),
    },
    { name: "cut off in the middle", damage: (path) => truncateSync(path, 6000) },
    {
      name: "pages overwritten",
      damage: (path) => {
        const bytes = readFileSync(path);
        writeFileSync(path, bytes.fill(0xff, 8192, bytes.length - 4096));
      },
    },
  ];
  for (const { name, damage } of damages) {
    const folder = temporaryFolder(test);
    const database = openEmbeddedDatabase(folder);
    database.migrate("test", [
      "CREATE TABLE filler (a TEXT, b TEXT); CREATE INDEX i ON filler (b)",
    ]);
    database.transaction("durable", () => {
      for (let row = 0; row < 1000; row++) {
        database.run("INSERT INTO filler VALUES (?, ?)", [`${row}`, "x".repeat(100)]);
      }
    });
    database.close();
    damage(join(folder, "twinwire.db"));
    const error = caught(() => openEmbeddedDatabase(folder));
    test.equal(error.code, "store_failed", name);
    test.match(error.message, "is damaged", name);
    test.match(error.message, "Restore the folder from a backup", name);
    // The refusal gave the folder back.
    lockFolder(folder).release();
  }
});

await t.test("a folder that cannot be made or written is refused by name", async (test) => {
  const folder = temporaryFolder(test);
  writeFileSync(join(folder, "file"), "");
  const error = caught(() => openEmbeddedDatabase(join(folder, "file")));
  test.equal(error.code, "store_failed");
  test.match(error.message, join(folder, "file"));
});

await t.test("each schema version runs once, and a newer store is not touched", async (test) => {
  const folder = temporaryFolder(test);
  const versions = ["CREATE TABLE one (a TEXT)", "ALTER TABLE one ADD COLUMN b TEXT"];
  let database = openEmbeddedDatabase(folder);
  database.migrate("test", versions.slice(0, 1));
  database.run("INSERT INTO one (a) VALUES (?)", ["kept"]);
  database.close();
  database = openEmbeddedDatabase(folder);
  database.migrate("test", versions);
  database.migrate("test", versions);
  test.strictSame({ ...database.all("SELECT a, b FROM one")[0] }, { a: "kept", b: null });
  const error = caught(() => database.migrate("test", versions.slice(0, 1)));
  test.match(error.message, "newer Twinwire");
  database.close();
});

await t.test("a version that fails half way leaves nothing of itself", async (test) => {
  const database = openEmbeddedDatabase(temporaryFolder(test));
  test.throws(() => database.migrate("test", ["CREATE TABLE one (a); CREATE TABLE one (a)"]));
  database.migrate("test", ["CREATE TABLE one (a)"]);
  test.equal(database.all("SELECT * FROM one").length, 0);
  database.close();
});

await t.test("a transaction is stored whole or not at all", async (test) => {
  const database = openEmbeddedDatabase(temporaryFolder(test));
  database.migrate("test", ["CREATE TABLE one (a INTEGER PRIMARY KEY)"]);
  const insert = "INSERT INTO one VALUES (?)";
  test.throws(() => {
    database.transaction("lazy", () => {
      database.run(insert, [1]);
      throw new RangeError("the caller's own");
    });
  }, RangeError);
  const duplicate = caught(() =>
    database.transaction("durable", () => {
      database.run(insert, [2]);
      database.run(insert, [2]);
    }),
  );
  test.equal(duplicate.code, "store_failed");
  test.equal(database.all("SELECT * FROM one").length, 0);
  database.close();
});

await t.test("a route that is not understood is never guessed", async (test) => {
  const folder = temporaryFolder(test);
  let database = openEmbeddedDatabase(folder);
  await openControlStore(database, { clock: systemClock });
  database.close();
  const raw = new Database(join(folder, "twinwire.db"));
  raw.exec("INSERT INTO migration VALUES ('orders', 'sideways', 'old', 1, NULL, 1)");
  raw.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  raw.close();
  database = openEmbeddedDatabase(folder);
  const store = await openControlStore(database, { clock: systemClock });
  await test.rejects(store.read("orders"), { code: "store_failed", message: /not understood/ });
  database.close();
});
