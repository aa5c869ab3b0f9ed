import pg from "pg";
import t from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { startMirrored, until } from "./mirrored.ts";
import { DATABASE, PASSWORD, USER } from "./two-sides.ts";
import type { Row } from "./two-sides.ts";

const old = await startPostgres({ major: 16 });
t.teardown(() => old.stop());
const fresh = await old.standby();
t.teardown(() => fresh.stop());

async function on(server: typeof old, database: string, sql: string): Promise<Row[]> {
  const client = new pg.Client(server.url(database));
  await client.connect();
  try {
    return [await client.query<Record<string, unknown>>(sql)].flat().at(-1)?.rows ?? [];
  } finally {
    await client.end();
  }
}

await on(old, "postgres", `create role ${USER} login password '${PASSWORD}'`);
await on(old, "postgres", `create database ${DATABASE} owner ${USER}`);
await on(
  old,
  DATABASE,
  `create table notes (id int primary key, what text);
   insert into notes select n, 'note ' || n from generate_series(1, 20) n;
   alter table notes owner to ${USER}`,
);
await until("the standby to have the table", () => on(fresh, DATABASE, "select 1 from notes"));
const sides = {
  old,
  new: fresh,
  on: (side: "old" | "new", sql: string) => on(side === "old" ? old : fresh, DATABASE, sql),
  both: async () => {},
  stop: async () => {},
};
const twinwire = await startMirrored(sides, {
  migration: { compare: { recheck: { patience: "10s" } }, shadow: { lag_wait: "10s" } },
});
t.teardown(() => twinwire.stop());

await t.test("a physical standby's position is known, and reads wait for it", async (test) => {
  const client = await twinwire.client();
  await sides.on("new", "select pg_wal_replay_pause()");
  await client.query("update notes set what = 'mine' where id = 3");
  await client.query("select what from notes where id = 3");
  const before = await twinwire.status();
  test.equal(before.verdicts.match, 0, "it has not been asked yet");
  await sides.on("new", "select pg_wal_replay_resume()");
  const { verdicts, incomparable } = await twinwire.judged();
  test.match(verdicts, { match: 1, divergent: 0 });
  test.strictSame(incomparable, {});
  await until("the lag to be gone", async () => {
    const { forward } = (await twinwire.status()).replication;
    return forward.position !== null && forward.lagBytes === 0;
  });
  await client.end();
});

await t.test("what it is late with is transient", async (test) => {
  const client = await twinwire.client();
  await sides.on("new", "select pg_wal_replay_pause()");
  await sides.on("old", "update notes set what = 'changed' where id = 7");
  // Late for long enough to be asked as it is.
  const lagging = await startMirrored(sides, {
    migration: { compare: { recheck: { patience: "10s" } }, shadow: { lag_wait: "1ms" } },
  });
  test.teardown(() => lagging.stop());
  const late = await lagging.client();
  await late.query("select what from notes where id = 7");
  await until("it to be asked about again", async () =>
    /twinwire_rechecks_waiting\{[^}]*\} 1/.test(await lagging.api.getText("/metrics")),
  );
  await sides.on("new", "select pg_wal_replay_resume()");
  const { verdicts, incomparable } = await lagging.judged();
  test.match(verdicts, { match: 0, divergent: 0 });
  test.strictSame(incomparable, { transient: 1 });
  await late.end();
  await client.end();
});
