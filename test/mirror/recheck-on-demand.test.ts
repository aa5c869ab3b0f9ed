import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { DivergenceItem, Recheck } from "../../src/admin/ports.ts";
import { startMirrored } from "./mirrored.ts";
import type { Mirrored } from "./mirrored.ts";
import { startTwoSides } from "./two-sides.ts";

const SECRET = "Zwetschgenkuchen";
const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both("create table people (id int primary key, name text)");
await sides.on("old", `insert into people values (1, 'Ada'), (2, '${SECRET}')`);
await sides.on("new", "insert into people values (1, 'Bob'), (2, 'none')");

const folder = mkdtempSync(join(tmpdir(), "twinwire-on-demand-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

let twinwire: Mirrored | undefined;
t.teardown(() => twinwire?.stop());

/** Twinwire on a store of its own, or on the one that the last had. */
async function start(store: string, stored: boolean): Promise<Mirrored> {
  await twinwire?.stop();
  twinwire = await startMirrored(sides, {
    migration: { compare: { samples: { store_requests: stored }, recheck: { patience: "50ms" } } },
    config: { store: { path: join(folder, store) }, log: { level: "debug" } },
  });
  return twinwire;
}

async function onlyDivergence(running: Mirrored): Promise<DivergenceItem> {
  await running.judged();
  const [item, another] = await running.divergences();
  if (item === undefined || another !== undefined) throw new Error("there is not exactly one");
  return item;
}

async function askAgain(running: Mirrored, id: string): Promise<Recheck> {
  return running.api.post<Recheck>(`/api/v1/migrations/shop/divergences/${id}/recheck`, {});
}

async function see(running: Mirrored): Promise<DivergenceItem> {
  const client = await running.client();
  const text = "select name from people where id = 1 or name = $1 order by id limit 1";
  await client.query({ text, values: [SECRET] });
  await client.end();
  return onlyDivergence(running);
}

function onDisk(store: string): Buffer {
  const files = readdirSync(join(folder, store), { withFileTypes: true });
  return Buffer.concat(
    files
      .filter((file) => file.isFile())
      .map((file) => readFileSync(join(folder, store, file.name))),
  );
}

/** Requests are stored as base64 of their frames, so a value is looked for at each of its three alignments. */
function holdsSecret(bytes: Buffer): boolean {
  const text = bytes.toString("latin1");
  const spelled = ["", "x", "xx"].map((before) =>
    Buffer.from(before + SECRET)
      .toString("base64")
      .slice(4, 16),
  );
  return [SECRET, ...spelled].some((form) => text.includes(form));
}

await t.test(
  "on demand both sides are asked again, and it is noted what came of it",
  async (test) => {
    const running = await start("memory", false);
    const item = await see(running);
    test.match(item, { state: "confirmed", repeatable: { ok: true } });
    test.match(await askAgain(running, item.id), { outcome: "divergent", column: "name" });
    await sides.on("new", "update people set name = 'Ada' where id = 1");
    const cured = await askAgain(running, item.id);
    test.match(cured, { outcome: "transient", attempts: 1 });
    test.match((await onlyDivergence(running)).settled, /Asked again on demand, the sides agreed/);
    await sides.on("new", "update people set name = 'Bob' where id = 1");
    await test.rejects(askAgain(running, "nonesuch"), "what is not there is not asked");
  },
);

await t.test("after a restart what was in memory only cannot be asked again", async (test) => {
  const running = await start("memory", false);
  const item = await onlyDivergence(running);
  test.match(item.repeatable, { ok: false, reason: /memory/ });
  await test.rejects(askAgain(running, item.id), /memory/);
  test.notOk(holdsSecret(onDisk("memory")), "no value of a client is on the disk");
});

await t.test("with store_requests it can, and the values are on the disk", async (test) => {
  const first = await start("disk", true);
  const item = await see(first);
  const running = await start("disk", true);
  test.ok(holdsSecret(onDisk("disk")));
  test.match(await askAgain(running, item.id), { outcome: "divergent", column: "name" });
  test.notOk(first.log().includes(SECRET) || running.log().includes(SECRET), "logs know nothing");
  await start("disk", false);
  await twinwire?.stop();
  test.notOk(holdsSecret(onDisk("disk")), "switched off again, they are gone");
});
