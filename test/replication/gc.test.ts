import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import tap from "tap";
import { OWN_SCHEMA_SQL } from "../../src/replication/own-schema.ts";
import { inProcess } from "../cli/twinwire-command.ts";
import { migrationConfig } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";
import type { Row } from "../mirror/two-sides.ts";
import { DATABASE, configFile, startPair } from "./doctor-pair.ts";
import { startReplicating } from "./replicating.ts";

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

const EVERYTHING = `
  select slot_name as name from pg_replication_slots union all select pubname from pg_publication
  union all select evtname from pg_event_trigger union all select roname from pg_replication_origin
  union all select nspname from pg_namespace where nspname like 'twinwire%'
  union all select proname from pg_proc where proname ~ 'twinwire|notice_ddl'
  union all select tgname from pg_trigger where tgname like 'twinwire%' order by 1`;

void tap.test("a migration that ran leaves nothing on either side", async (t) => {
  const sides = await startTwoSides();
  t.teardown(() => sides.stop());
  const folder = await mkdtemp(join(tmpdir(), "twinwire-gc-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "t.yaml");
  await writeFile(file, JSON.stringify({ migrations: [migrationConfig(sides)] }));
  await sides.both("create table things (id int primary key)");
  const traces = async (): Promise<readonly (readonly Row[])[]> => [
    await sides.on("old", EVERYTHING),
    await sides.on("new", EVERYTHING),
  ];
  const twinwire = await startReplicating(sides);
  t.teardown(() => twinwire.stop());
  for (const options of [["--migration", "shop"], []]) {
    await twinwire.startReplication();
    const refused = await inProcess(["gc", "-c", file, ...options, "--remove"]);
    t.equal(refused.exitCode, 3, "it runs");
    await twinwire.stopReplication();
    const [old, fresh] = await traces();
    t.same(
      old?.map(({ name }) => name),
      [
        "notice_ddl",
        "twinwire",
        "twinwire_ddl_drop",
        "twinwire_ddl_end",
        "twinwire_shop_forward",
        "twinwire_shop_forward",
        "twinwire_shop_reverse",
      ],
    );
    t.equal(fresh?.length, 4, "schema, slot, publication, origin");
    const removed = await inProcess(["gc", "-c", file, ...options, "--remove"]);
    t.equal(removed.exitCode, 0, removed.err);
    t.same(await traces(), [[], []]);
    await sides.on("new", "truncate things");
  }
  await sides.both("create schema twinwire");
  await inProcess(["gc", "-c", file, "--migration", "shop", "--remove"]);
  t.same(await traces(), [[], []], "the schema alone goes too");
});

void tap.test("the schema stays for another migration that has only begun", async (t) => {
  const pair = await startPair({ major: 16 }, { major: 18 });
  t.teardown(() => pair.stop());
  const folder = await mkdtemp(join(tmpdir(), "twinwire-gc-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = await configFile(pair, folder);
  for (const side of ["old", "new"] as const) {
    await pair.run(
      side,
      OWN_SCHEMA_SQL,
      "insert into twinwire.canary select m, 'old', 0, now() from unnest('{orders,other}'::text[]) as m",
    );
  }
  const one = await inProcess(["gc", "-c", file, "--migration", "orders", "--remove"]);
  t.equal(one.exitCode, 0, one.err);
  for (const side of ["old", "new"] as const) {
    const rows = await pair.admin(side).query("select migration from twinwire.canary");
    t.same(rows, [["other"]], side);
  }
});
