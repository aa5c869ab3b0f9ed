/** A shadow that is slow, hung, refusing or gone costs a client nothing, and what was missed is counted. */
import { readFileSync } from "node:fs";
import type pg from "pg";
import t from "tap";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { startMirrored, until } from "./mirrored.ts";
import type { Mirrored } from "./mirrored.ts";
import { DATABASE, startTwoSides, USER } from "./two-sides.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(
  `create table stock (id int primary key, name text, left_over numeric);
   insert into stock select id, 'item ' || id, id * 1.5 from generate_series(1, 50) as id;
   create function slow_on_new() returns int language sql stable as 'select 1'`,
);
await sides.on(
  "new",
  `create or replace function slow_on_new() returns int language sql stable as
     'select 1 from (select pg_sleep(0.1)) as nap'`,
);

const SHADOW = { timeout: "400ms", queue: { exchanges: 8, bytes: "256KiB", total_bytes: "1MiB" } };

/** A client that reads in its own way, with settings of its own, until it is told to stop. */
type Loop = { readonly answers: () => number; stop(): Promise<void> };

async function startLoop(twinwire: Mirrored, number: number): Promise<Loop> {
  const client = await twinwire.client();
  const zone = ["UTC", "Asia/Tokyo", "America/Lima", "Europe/Paris"][number % 4];
  await client.query(`set timezone = '${zone}'`);
  let answers = 0;
  let running = true;
  const run = async (): Promise<void> => {
    while (running) {
      await ask(client, number, answers);
      answers++;
    }
  };
  const done = run();
  done.catch(() => {}); // reported by whoever stops it
  return {
    answers: () => answers,
    async stop() {
      running = false;
      await done;
      await client.end();
    },
  };
}

async function ask(client: pg.Client, number: number, turn: number): Promise<void> {
  const id = (turn % 50) + 1;
  if (number % 2 === 0) await client.query(`select * from stock where id = ${id}`);
  else {
    const text = "select name, left_over from stock where id = $1";
    await client.query({ name: "stock", text, values: [id] });
  }
  await client.query("select timestamptz '2026-01-01 00:00+00'::text");
  if (turn % 5 !== 0) return;
  await client.query("begin");
  await client.query("select count(*) from stock");
  await client.query("commit");
}

async function answered(loops: readonly Loop[], more: number): Promise<void> {
  const wanted = loops.map((loop) => loop.answers() + more);
  await until(`${more} more answers of every client`, () =>
    loops.every((loop, index) => loop.answers() >= (wanted[index] ?? 0)),
  );
}

async function skipped(twinwire: Mirrored, reason: string): Promise<number> {
  return (await twinwire.status()).exchanges.skipped[reason] ?? 0;
}

async function matchesGrow(twinwire: Mirrored): Promise<void> {
  const { verdicts } = await twinwire.status();
  await until("comparing to go on", async () => {
    const now = await twinwire.status();
    return now.verdicts.match > verdicts.match + 50;
  });
}

/** The postmaster and its children; a hung machine answers nothing at all. */
function signalAll({ pid }: EmbeddedPostgres, name: NodeJS.Signals): void {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  for (const each of [pid, ...children.map(Number)]) process.kill(each, name);
}

async function metric(twinwire: Mirrored, name: string): Promise<number> {
  const text = await twinwire.api.getText("/metrics");
  return Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, "m").exec(text)?.[1]);
}

await t.test("a shadow that is killed under load and comes back", async (test) => {
  const twinwire = await startMirrored(sides, { migration: { shadow: SHADOW } });
  test.teardown(() => twinwire.stop());
  const loops = await Promise.all([0, 1, 2, 3].map((number) => startLoop(twinwire, number)));
  await matchesGrow(twinwire);
  sides.new.kill();
  await until("the loss to be counted", async () => (await skipped(twinwire, "shadow_down")) > 100);
  test.equal((await twinwire.status()).route.shadow.state, "down");
  const failures = await metric(twinwire, "twinwire_shadow_connect_failures_total");
  await answered(loops, 100);
  const more = (await metric(twinwire, "twinwire_shadow_connect_failures_total")) - failures;
  test.ok(more < 40, `it was dialled ${more} times for 800 exchanges and more`);
  await sides.new.restart();
  await matchesGrow(twinwire);
  test.equal((await twinwire.status()).route.shadow.state, "on");
  await Promise.all(loops.map((loop) => loop.stop()));
  await twinwire.judged();
  test.same(await twinwire.divergences(), [], "settings and statements were in step again");
});

await t.test("a shadow that hangs and wakes up again", async (test) => {
  const twinwire = await startMirrored(sides, { migration: { shadow: SHADOW } });
  test.teardown(() => twinwire.stop());
  const loops = await Promise.all([0, 1, 2, 3].map((number) => startLoop(twinwire, number)));
  await matchesGrow(twinwire);
  signalAll(sides.new, "SIGSTOP");
  try {
    await answered(loops, 200);
    await until("a time limit", async () => (await twinwire.status()).incomparable["timeout"]);
    await until("a full queue", async () => (await skipped(twinwire, "queue_full")) > 0);
    await answered(loops, 200);
    const held = await metric(twinwire, "twinwire_shadow_queue_bytes");
    test.ok(held <= 1024 * 1024, `${held} bytes are held`);
    test.ok((await metric(twinwire, "twinwire_shadow_queue_exchanges")) <= 4 * 8);
  } finally {
    signalAll(sides.new, "SIGCONT");
  }
  await matchesGrow(twinwire);
  await Promise.all(loops.map((loop) => loop.stop()));
  await twinwire.judged();
  test.same(await twinwire.divergences(), []);
  const sessions = `select pid from pg_stat_activity where usename = '${USER}' and state = 'active'`;
  await until("the shadow to have nothing left to do", async () => {
    return (await sides.on("new", sessions)).length === 0;
  });
  test.equal(await metric(twinwire, "twinwire_shadow_queue_bytes"), 0);
  test.equal(await metric(twinwire, "twinwire_shadow_queue_exchanges"), 0);
});

await t.test("a slow shadow is left behind, exchange by exchange", async (test) => {
  const twinwire = await startMirrored(sides, { migration: { shadow: SHADOW } });
  test.teardown(() => twinwire.stop());
  const client = await twinwire.client();
  for (let turn = 0; turn < 100; turn++) await client.query("select slow_on_new()");
  await client.end();
  const { exchanges, verdicts } = await twinwire.judged();
  const { queue_full: full = 0 } = exchanges.skipped;
  test.ok(full >= 80, `${full} found the queue full`);
  test.equal(full + verdicts.match, 100);
});

await t.test("answers larger than the shadow's memory are not held", async (test) => {
  const shadow = { ...SHADOW, timeout: "10s", queue: { ...SHADOW.queue, bytes: "64KiB" } };
  const migration = { shadow, compare: { keep: "1MiB" } };
  const twinwire = await startMirrored(sides, { migration });
  test.teardown(() => twinwire.stop());
  const client = await twinwire.client();
  for (let turn = 0; turn < 8; turn++) {
    await client.query("select slow_on_new(), repeat('x', 300000)");
  }
  await client.end();
  const after = await twinwire.judged();
  test.ok((after.incomparable["overflow"] ?? 0) > 0);
  test.same(await twinwire.divergences(), []);
  test.equal(await metric(twinwire, "twinwire_shadow_queue_bytes"), 0);
});

const UNREACHABLE = [
  { why: "is not there", url: `postgres://${USER}:x@127.0.0.1:1/${DATABASE}` },
  { why: "refuses the login", url: sides.new.url(DATABASE, USER, "wrong") },
];

for (const { why, url } of UNREACHABLE) {
  await t.test(`a shadow that ${why} from the start`, async (test) => {
    const twinwire = await startMirrored(sides, { migration: { shadow: SHADOW, new: { url } } });
    test.teardown(() => twinwire.stop());
    const loop = await startLoop(twinwire, 1);
    // Some are on their way to the shadow before it is known that there is none.
    await answered([loop], 60);
    await loop.stop();
    const { exchanges, verdicts } = await twinwire.judged();
    test.ok((exchanges.skipped["shadow_down"] ?? 0) > 20);
    const left = Object.values(exchanges.skipped).reduce((total, count) => total + count, 0);
    test.equal(left + verdicts.incomparable, exchanges.seen, "nothing is compared, all is counted");
    const ready = await twinwire.api.get<{ ready: boolean }>("/api/v1/migrations/shop/readiness");
    test.equal(ready.ready, false);
    test.match(twinwire.log(), /catalogue could not be read/);
    test.notMatch(twinwire.log(), /wrong|app-password/);
  });
}
