import t from "tap";
import type { Test } from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { startTwinwire } from "../twinwire.ts";
import { ask, difference, heardIn } from "./raw-compare.ts";
import type { Venue } from "./raw-compare.ts";
import { conversations } from "./raw-conversations.ts";
import { cancelling, large, rare } from "./raw-conversations-rare.ts";
import { openRaw } from "./raw-session.ts";
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

await t.test("equal databases have heard all of this without a divergence", async (test) => {
  const response = await fetch(`${twinwire.admin}/api/v1/migrations/mirrored16/divergences`);
  const { items } = (await response.json()) as { readonly items: readonly unknown[] };
  test.strictSame(items, []);
});
