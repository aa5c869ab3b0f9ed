/** The traffic is moved back and forth under load: no error at a client, no write lost, none doubled. */
import pg from "pg";
import postgres from "postgres";
import t from "tap";
import { startMirrored, until } from "../mirror/mirrored.ts";
import type { Mirrored } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";

const SWITCHES = 20;

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(
  `create table ledger (client int, number int, note text, primary key (client, number));
   create table counters (client int primary key, total int not null);
   insert into counters select id, 0 from generate_series(1, 8) as id`,
);
const twinwire: Mirrored = await startMirrored(sides, {
  migration: {
    shadow: { writes: "apply", timeout: "20s", queue: { exchanges: 20_000, bytes: "32MiB" } },
    cutover: { max_pause: "20s" },
  },
});
t.teardown(() => twinwire.stop());

/** Writes the nth entry of a client, and what it needs to know that it is still the same session. */
type Worker = {
  /** Writes the entries of one turn. @returns their numbers, which the server has acknowledged */
  turn(turn: number): Promise<readonly number[]>;
  close(): Promise<void>;
};

const ZONES = ["UTC", "Asia/Tokyo", "America/Lima", "Europe/Paris"];
const INSERT = "insert into ledger values ($1, $2, $3)";
const COUNT = "update counters set total = total + $2 where client = $1 returning total";

async function connected(number: number): Promise<pg.Client> {
  const client = await twinwire.client({ application_name: `worker ${number}` });
  await client.query(`set timezone = '${ZONES[number % 4]}'`);
  await client.query(`set app.worker = 'worker ${number}'`);
  await client.query("prepare who as select current_setting('app.worker') as worker");
  return client;
}

/** The session is the one it was: settings and statements included. */
async function check(client: pg.Client, number: number): Promise<void> {
  const { rows } = await client.query<{ worker: string }>("execute who");
  const { rows: zones } = await client.query<{ TimeZone: string }>("show timezone");
  const is = `${rows[0]?.worker} ${zones[0]?.TimeZone}`;
  const was = `worker ${number} ${ZONES[number % 4]}`;
  if (is !== was) throw new Error(`the session is ${is} and was ${was}`);
}

const WORKERS: readonly ((number: number) => Promise<Worker>)[] = [
  async function simple(number) {
    const client = await connected(number);
    return {
      async turn(turn) {
        await client.query(`insert into ledger values (${number}, ${turn}, 'simple')`);
        await client.query(`update counters set total = total + 1 where client = ${number}`);
        await check(client, number);
        return [turn];
      },
      close: () => client.end(),
    };
  },
  async function prepared(number) {
    const client = await connected(number);
    return {
      async turn(turn) {
        const values = [number, turn, "prepared"];
        await client.query({ name: "insert", text: INSERT, values });
        await client.query({ name: "count", text: COUNT, values: [number, 1] });
        await check(client, number);
        return [turn];
      },
      close: () => client.end(),
    };
  },
  async function transactions(number) {
    const client = await connected(number);
    return {
      async turn(turn) {
        await client.query("begin");
        await client.query(INSERT, [number, 2 * turn, "first"]);
        await client.query("savepoint s");
        await client.query(INSERT, [number, 2 * turn, "again"]).catch(expectDuplicate);
        await client.query("rollback to s");
        await client.query(INSERT, [number, 2 * turn + 1, "second"]);
        await client.query(COUNT, [number, 2]);
        await check(client, number);
        if (turn % 4 === 3) {
          await client.query("rollback");
          return [];
        }
        await client.query("commit");
        return [2 * turn, 2 * turn + 1];
      },
      close: () => client.end(),
    };
  },
  async function pipelined(number) {
    let closed = 0;
    const sql = postgres(twinwire.connection, { max: 1, onclose: () => closed++ });
    await sql`select 1`;
    return {
      async turn(turn) {
        const numbers = [0, 1, 2, 3].map((index) => 4 * turn + index);
        await Promise.all([
          ...numbers.map((entry) => sql`insert into ledger values (${number}, ${entry}, 'piped')`),
          sql`update counters set total = total + 4 where client = ${number}`,
          sql`select count(*) from ledger where client = ${number}`,
        ]);
        if (closed > 0) throw new Error("the connection was closed");
        return numbers;
      },
      close: () => sql.end(),
    };
  },
];

function expectDuplicate(error: unknown): void {
  if (!(error instanceof pg.DatabaseError) || error.code !== "23505") throw error;
}

type Running = { readonly acknowledged: Set<string>; stop(): Promise<void> };

async function run(number: number): Promise<Running> {
  const open = WORKERS[number % WORKERS.length];
  if (open === undefined) throw new Error("no such worker");
  const worker = await open(number);
  const acknowledged = new Set<string>();
  let running = true;
  const work = async (): Promise<void> => {
    for (let turn = 0; running; turn++) {
      for (const entry of await worker.turn(turn)) acknowledged.add(`${number}/${entry}`);
    }
    await worker.close();
  };
  const done = work();
  done.catch(() => {}); // told by stop
  return {
    acknowledged,
    async stop() {
      running = false;
      await done;
    },
  };
}

await t.test(`${SWITCHES} switches under the load of eight clients`, async (test) => {
  const running = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(run));
  const written = (): number =>
    running.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
  for (let turn = 0; turn < SWITCHES; turn++) {
    const before = written();
    await until("more writes", () => written() > before + 40);
    const attempt = await twinwire.switchTo(turn % 2 === 0 ? "new" : "old");
    if (attempt.state !== "succeeded") test.fail(attempt.outcome ?? "no outcome");
    const { verdicts } = await twinwire.status();
    await until("comparing to go on", async () => {
      return (await twinwire.status()).verdicts.match > verdicts.match;
    });
  }
  const errors: string[] = [];
  for (const each of running) await each.stop().catch((error) => errors.push(String(error)));
  test.same(errors, [], "no client saw an error, and every one kept its connection");
  const status = await twinwire.judged();
  test.equal(status.epoch, SWITCHES);
  test.equal(status.route.primary, "old");
  test.same(status.drifted, []);
  const acknowledged = running.flatMap((each) => [...each.acknowledged]).toSorted();
  test.ok(acknowledged.length > SWITCHES * 40, `${acknowledged.length} entries`);
  for (const side of ["old", "new"] as const) {
    const rows = await sides.on(side, "select client || '/' || number as entry from ledger");
    test.same(rows.map(({ entry }) => String(entry)).toSorted(), acknowledged, side);
    const [odd] = await sides.on(
      side,
      `select count(*)::int as odd from counters as c
       where total <> (select count(*) from ledger as l where l.client = c.client)`,
    );
    test.same(odd, { odd: 0 }, "and each was counted once");
  }
  const metrics = await twinwire.api.getText("/metrics");
  test.match(
    metrics,
    new RegExp(`twinwire_toggles_total\\{[^}]*state="succeeded"[^}]*\\} ${SWITCHES}`),
  );
  test.match(metrics, new RegExp(`twinwire_toggle_pause_seconds_count\\{[^}]*\\} ${SWITCHES}`));
});
