import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import tap from "tap";
import { OWN_SCHEMA_SQL } from "../../src/replication/own-schema.ts";
import { inProcess } from "../cli/twinwire-command.ts";
import { DATABASE, configFile, startPair } from "./doctor-pair.ts";

void tap.test("everything of ours is listed and removed; what is in use stays", async (t) => {
  const pair = await startPair({ major: 14 }, { major: 16 });
  t.teardown(() => pair.stop());
  const folder = await mkdtemp(join(tmpdir(), "twinwire-gc-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = await configFile(pair, folder);
  t.match((await inProcess(["gc", "-c", file])).out, /^Nothing of Twinwire's is left/);
  for (const side of ["old", "new"] as const) {
    const direction = side === "old" ? "forward" : "reverse";
    await pair.run(
      side,
      OWN_SCHEMA_SQL,
      "create table mine (id int primary key)",
      `insert into twinwire.progress (stream, worker, epoch, pos) values ('orders.forward', 0, 1, '0/0'), ('other.forward', 0, 1, '0/0')`,
      `create publication twinwire_orders_${direction} for table mine`,
      `create publication twinwire_other_${direction} for table mine`,
      `select pg_create_logical_replication_slot('twinwire_orders_${direction}', 'pgoutput')`,
      `select pg_create_logical_replication_slot('twinwire_other_${direction}', 'pgoutput')`,
      "select pg_create_logical_replication_slot('theirs', 'pgoutput')",
      "select pg_replication_origin_create('twinwire_orders_forward'), pg_replication_origin_create('twinwire_strange_forward')",
      "create function twinwire.note() returns event_trigger language plpgsql as 'begin end'",
      "create event trigger twinwire_ddl on ddl_command_end execute function twinwire.note()",
      "create function public.twinwire_f(int) returns int language sql as 'select 1'",
    );
  }
  const listed = await inProcess(["gc", "-c", file, "--json"]);
  const { found } = JSON.parse(listed.out) as {
    found: { side: string; kind: string; name: string }[];
  };
  t.same(
    found.filter(({ side }) => side === "old").map(({ kind, name }) => `${kind} ${name}`),
    [
      "event_trigger twinwire_ddl",
      "function twinwire_f(integer)",
      "slot twinwire_orders_forward",
      "slot twinwire_other_forward",
      "publication twinwire_orders_forward",
      "publication twinwire_other_forward",
      "schema twinwire",
      "origin twinwire_orders_forward",
      "origin twinwire_strange_forward",
    ],
  );
  const one = await inProcess(["gc", "-c", file, "--migration", "orders", "--remove"]);
  t.equal(one.exitCode, 0, one.err);
  t.match(one.out, "OLD  SELECT pg_catalog.pg_drop_replication_slot('twinwire_orders_forward');\n");
  const old = pair.admin("old");
  t.same(await old.query("select stream from twinwire.progress"), [["other.forward"]]);

  const reader = new pg.Client({
    connectionString: pair.old.url(DATABASE),
    replication: "database",
  } as pg.ClientConfig);
  reader.on("error", () => {}); // --force ends it
  await reader.connect();
  reader
    .query(
      "START_REPLICATION SLOT twinwire_other_forward LOGICAL 0/0 (proto_version '1', publication_names 'twinwire_other_forward')",
    )
    .catch(() => {});
  while (
    (await old.query("select active from pg_replication_slots where active"))[0] === undefined
  );
  const kept = await inProcess(["gc", "-c", file, "--remove"]);
  t.equal(kept.exitCode, 3);
  t.match(kept.err, /kept: slot twinwire_other_forward on OLD: a worker uses it/);
  t.match(
    kept.err,
    /kept: schema twinwire on OLD: .*\n(.*\n)*kept: schema twinwire on NEW: a worker uses it/,
  );
  t.match(
    kept.err,
    /kept: origin twinwire_strange_forward on NEW: it may belong to a migration of another database/,
  );
  const forced = await inProcess(["gc", "-c", file, "--remove", "--force"]);
  t.equal(forced.exitCode, 0, forced.err);
  t.match((await inProcess(["gc", "-c", file])).out, /^Nothing of Twinwire's is left/);
  t.same(await old.query("select slot_name from pg_replication_slots"), [["theirs"]]);
  await reader.end().catch(() => {});
});
