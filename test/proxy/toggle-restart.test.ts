/** The route outlives the process, however and whenever that ends. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import t from "tap";
import type { AttemptItem } from "../../src/admin/ports.ts";
import type { Side } from "../../src/routing/side.ts";
import { startMirrored, until } from "../mirror/mirrored.ts";
import type { Mirrored } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";

const ROOT = "/api/v1/migrations/shop";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
const folder = mkdtempSync(join(tmpdir(), "twinwire-route-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const OPTIONS = {
  migration: { cutover: { max_pause: "20s" } },
  config: { store: { path: join(folder, "store") } },
};
let twinwire: Mirrored = await startMirrored(sides, OPTIONS);
t.teardown(() => twinwire.stop());

async function restart(how: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (how === "SIGKILL") await twinwire.kill();
  await twinwire.stop();
  twinwire = await startMirrored(sides, OPTIONS);
}

async function answersFrom(): Promise<Side> {
  const client = new pg.Client(twinwire.connection);
  await client.connect();
  const { rows } = await client.query<{ n: string }>(
    "select current_setting('server_version_num') as n",
  );
  await client.end();
  return Number(rows[0]?.n) >= 160_000 ? "new" : "old";
}

for (const how of ["SIGTERM", "SIGKILL"] as const) {
  for (const to of ["new", "old"] as const) {
    await t.test(`a switch to ${to} is still there after ${how}`, async (test) => {
      const attempt = await twinwire.switchTo(to);
      test.equal(attempt.state, "succeeded");
      const before = await twinwire.status();
      await restart(how);
      const after = await twinwire.status();
      test.same([after.route.primary, after.epoch], [to, before.epoch]);
      test.equal(after.phase, to === "new" ? "on_new" : "in_sync");
      test.equal(await answersFrom(), to);
      const { items } = await twinwire.api.get<{ items: AttemptItem[] }>(`${ROOT}/attempts`);
      test.same(items[0], attempt, "and the attempt is on record");
    });
  }
}

await t.test("killed in the pause, before anything was decided", async (test) => {
  const holder = await twinwire.client();
  await holder.query("begin");
  const begun = await twinwire.api.post<AttemptItem>(`${ROOT}/route`, { primary: "new" });
  await until("the pause", async () => (await twinwire.status()).phase === "pausing");
  await restart("SIGKILL");
  const { route, phase } = await twinwire.status();
  test.same([route.primary, phase], ["old", "in_sync"]);
  test.equal(await answersFrom(), "old");
  const attempt = await twinwire.attemptEnd(begun);
  test.not(attempt.state, "succeeded");
  test.equal((await twinwire.switchTo("new")).state, "succeeded", "and the next attempt is free");
  test.equal((await twinwire.switchTo("old")).state, "succeeded");
});

await t.test("killed at any moment of a switch under load", async (test) => {
  for (const looks of [0, 1, 2, 4, 8]) {
    const before = await twinwire.status();
    const clients = await Promise.all([1, 2, 3, 4].map(() => twinwire.client()));
    const loops = clients.map(async (client) => {
      for (;;) await client.query("select 1");
    });
    const ends = loops.map((loop) => loop.catch((error: Error) => error.message));
    const to = before.route.primary === "old" ? "new" : "old";
    await twinwire.api.post(`${ROOT}/route`, { primary: to });
    for (let look = 0; look < looks; look++) await twinwire.status();
    await restart("SIGKILL");
    await Promise.all(ends);
    const after = await twinwire.status();
    test.equal(await answersFrom(), after.route.primary, `killed ${looks} looks later`);
    test.equal(after.phase, after.route.primary === "new" ? "on_new" : "in_sync");
    test.ok(after.epoch >= before.epoch);
  }
});
