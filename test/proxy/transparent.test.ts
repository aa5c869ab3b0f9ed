import t from "tap";
import type { Test } from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { startTwinwire } from "../twinwire.ts";
import { ask, difference, heardIn, untilTrue } from "./raw-compare.ts";
import type { Venue } from "./raw-compare.ts";
import { conversations } from "./raw-conversations.ts";
import { cancelling, ENDLESS, large, rare } from "./raw-conversations-rare.ts";
import { query, terminate } from "./raw-messages.ts";
import { eventually } from "./raw-process.ts";
import { streamSlot, streamWal } from "./raw-replication.ts";
import { cancelRaw, openRaw } from "./raw-session.ts";
import { FIXTURE } from "./raw-talk.ts";
import type { Conversation } from "./raw-talk.ts";

const hba = "host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust";
const [old14, old16, new16, old18] = await Promise.all([
  startPostgres({ major: 14, hba }),
  startPostgres({ major: 16, hba }),
  startPostgres({ major: 16, hba }),
  startPostgres({ major: 18, hba }),
]);
const servers = [old14, old16, new16, old18];
t.teardown(() => Promise.all(servers.map((server) => server.stop())));
await Promise.all(servers.map((server) => ask(server, FIXTURE)));

const migration = (name: string, old: EmbeddedPostgres, mirrored: boolean): object => ({
  name,
  listen: { address: "127.0.0.1:0" },
  old: { url: old.url() },
  new: { url: new16.url() },
  auth: { trust: true },
  shadow: { enabled: mirrored, timeout: "60s" },
});
const twinwire = await startTwinwire({
  migrations: [
    migration("plain16", old16, false),
    migration("mirrored16", old16, true),
    migration("mirrored14", old14, true),
    migration("plain18", old18, false),
  ],
});
t.teardown(() => twinwire.stop());

const direct = (server: EmbeddedPostgres): Venue => ({
  name: `PostgreSQL ${server.major}`,
  port: server.port,
  server,
});
const through = (name: string, server: EmbeddedPostgres): Venue => ({
  name,
  port: Number(new URL(twinwire.url(name, "postgres", "", "postgres")).port),
  server,
});
const plain16 = through("plain16", old16);
const mirrored16 = through("mirrored16", old16);
const mirrored14 = through("mirrored14", old14);
const plain18 = through("plain18", old18);

async function verdicts(): Promise<{ readonly match: number; readonly divergent: number }> {
  const response = await fetch(`${twinwire.admin}/api/v1/migrations/mirrored16`);
  return ((await response.json()) as { verdicts: { match: number; divergent: number } }).verdicts;
}

/** Plays it on the server and on each Twinwire before it. */
async function compare(
  test: Test,
  conversation: Conversation,
  server: EmbeddedPostgres,
  venues: readonly Venue[],
): Promise<void> {
  const expected = await heardIn(direct(server), conversation);
  for (const venue of venues) {
    const actual = await heardIn(venue, conversation);
    const differences = expected.map((heard, n) => difference(heard, actual[n]));
    const none = expected.map(() => "");
    test.strictSame(differences, none, `${conversation.name}: ${venue.name}`);
  }
}

await t.test(
  "a client hears through Twinwire what the server says, byte for byte",
  async (test) => {
    for (const conversation of [...conversations, ...rare]) {
      await Promise.all([
        compare(test, conversation, old16, [plain16, mirrored16]),
        compare(test, conversation, old14, [mirrored14]),
      ]);
    }
  },
);

await t.test(
  "protocol 3.2 with its long cancel keys is spoken as PostgreSQL 18 does",
  async (test) => {
    await compare(test, cancelling(2), old18, [plain18]);
    const session = await openRaw(plain18.port, { minor: 2 });
    test.equal(session.key.secretKey.length, 32);
    session.socket.destroy();
  },
);

await t.test("large rows, values and COPY pass through unchanged", async (test) => {
  for (const conversation of large) {
    await compare(test, conversation, old16, [plain16, mirrored16]);
  }
});

await t.test("replication connections pass to the primary as they are", async (test) => {
  const ports = { direct: old16.port, plain: plain16.port, mirrored: mirrored16.port };
  const slots = Object.keys(ports);
  await ask(old16, "create publication changes for table inbox, items");
  for (const slot of slots) {
    await ask(old16, `select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  }
  const [[from]] = (await ask(old16, "select pg_current_wal_lsn()")) as [[string]];
  await ask(
    old16,
    "begin; insert into inbox select n, repeat('y', 1000) from generate_series(1, 300) n; update items set price = 0 where id < 9; commit; truncate inbox; update items set price = id * 1.25",
  );
  const streams = await Promise.all(
    Object.entries(ports).map(async ([slot, port]) => ({
      logical: await streamSlot(port, slot),
      physical: await streamWal(port, from, 200_000),
    })),
  );
  for (const slot of slots) await ask(old16, `select pg_drop_replication_slot('${slot}')`);
  const [original, ...passedOn] = streams;
  for (const { logical, physical } of passedOn) {
    test.ok(original?.logical.equals(logical), `${logical.length} bytes of pgoutput`);
    test.ok(original?.physical.equals(physical), `${physical.length} bytes of WAL`);
  }
  const [[walsenders]] = (await ask(new16, "select count(*) from pg_stat_replication")) as [
    [string],
  ];
  test.equal(walsenders, "0", "and not to the shadow");
});

const running = `select count(*) = 1 from pg_stat_activity where state = 'active' and query = '${ENDLESS}'`;
const idle = running.replace("= 1", "= 0");

await t.test("a statement whose client is gone is ended on the shadow", async (test) => {
  await untilTrue(new16, idle);
  const session = await openRaw(mirrored16.port);
  session.send(query(ENDLESS));
  await Promise.all([untilTrue(old16, running), untilTrue(new16, running)]);
  session.socket.resetAndDestroy();
  await untilTrue(new16, idle);
  // The primary does not look after its client while it works, here as without Twinwire.
  await ask(
    old16,
    `select pg_terminate_backend(pid) from pg_stat_activity where query = '${ENDLESS}'`,
  );
  await untilTrue(old16, idle);
  test.pass();
});

await t.test("a client's cancel reaches the shadow's copy of its statement", async (test) => {
  const session = await openRaw(mirrored16.port);
  session.send(query(ENDLESS));
  await Promise.all([untilTrue(old16, running), untilTrue(new16, running)]);
  await cancelRaw(mirrored16.port, session.key);
  await session.until("EZ");
  await Promise.all([untilTrue(old16, idle), untilTrue(new16, idle)]);
  const before = await verdicts();
  session.send(query("select 'compared again'"));
  await session.until("Z");
  await eventually("compared", async () => (await verdicts()).match === before.match + 1);
  test.equal((await verdicts()).divergent, 0);
  session.send(terminate);
  await session.closed();
});

await t.test("equal databases have heard all of this without a divergence", async (test) => {
  const response = await fetch(`${twinwire.admin}/api/v1/migrations/mirrored16/divergences`);
  const { items } = (await response.json()) as { readonly items: readonly unknown[] };
  test.strictSame(items, []);
  test.ok((await verdicts()).match > 150);
});
