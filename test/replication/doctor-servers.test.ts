import pg from "pg";
import tap from "tap";
import { DATABASE, examinePair, inShort, startPair } from "./doctor-pair.ts";

const PASSWORD = "weak-password";

void tap.test("servers and rights are examined by trying, and the cures hold", async (t) => {
  const pair = await startPair(
    { major: 14, settings: { wal_level: "replica", max_replication_slots: "0" } },
    {
      major: 18,
      settings: { max_slot_wal_keep_size: "64MB", idle_replication_slot_timeout: "1h" },
    },
  );
  t.teardown(() => pair.stop());
  for (const side of ["old", "new"] as const) {
    await pair.run(
      side,
      `create role weak login password '${PASSWORD}'`,
      "create role app login",
      "create schema closed",
      "create table closed.orders (id serial primary key)",
      "create table secret (id int primary key)",
      "alter table secret enable row level security",
      "grant all on secret to weak",
    );
  }
  const how = { role: "weak", password: PASSWORD };
  const wanted = [
    "blocker wal_level old",
    "blocker room old max_replication_slots",
    "warning max_slot_wal_keep_size old",
    "warning max_slot_wal_keep_size new",
    "warning idle_replication_slot_timeout new",
    "blocker replication_login old weak",
    "blocker replication_login new weak",
    "blocker create_in_database old weak",
    "blocker create_in_database new weak",
    "blocker table_owner old closed.orders",
    "warning table_owner new closed.orders",
    "blocker schema_usage old closed.orders",
    "blocker table_select old closed.orders",
    "warning table_write old closed.orders",
    "blocker table_write new closed.orders",
    "warning sequence_rights new closed.orders_id_seq",
    "warning session_replication_role old weak",
    "warning session_replication_role new weak",
    "note replication_origin new weak",
    "note read_all_stats old weak",
    "blocker row_security old public.secret",
    "note event_trigger new weak",
  ];
  const before = await examinePair(pair, how);
  const found = new Map(before.findings.map((finding) => [inShort(finding), finding]));
  for (const each of wanted) t.ok(found.get(each)?.cure, each);
  t.notOk([...found.keys()].find((each) => each.includes("not_examined")));
  for (const [name, { cure, check }] of found) {
    // The superuser's cure would hide what the smaller ones do.
    if (cure === undefined || check === "event_trigger") continue;
    if (cure.at === "old" || cure.at === "new")
      await t.resolves(pair.run(cure.at, ...cure.lines), `${name}: ${cure.lines.join("; ")}`);
  }
  await Promise.all([pair.old.restart(), pair.new.restart()]);
  const after = (await examinePair(pair, how)).findings.map(inShort);
  const left = wanted.filter((each) => after.includes(each));
  t.same(left, ["note event_trigger new weak"]);
});

void tap.test("nothing is changed by looking, and what others do is seen", async (t) => {
  const pair = await startPair({ major: 16 }, { major: 18 });
  t.teardown(() => pair.stop());
  for (const side of ["old", "new"] as const)
    await pair.run(side, "create table orders (id int primary key)", "create role app login");
  await pair.run("old", "create publication theirs for table orders");
  await pair.run(
    "new",
    `create subscription someone connection '${pair.old.url(DATABASE)}' publication theirs
       with (create_slot = false, copy_data = false, enabled = false)`,
    "select pg_create_physical_replication_slot('spare', true)",
  );
  const state = async (side: "old" | "new"): Promise<unknown> => {
    const client = new pg.Client(pair[side].url(DATABASE));
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(
      `select (select count(*) from pg_class) as classes, (select count(*) from pg_namespace) as schemas,
         (select count(*) from pg_event_trigger) as triggers, (select count(*) from pg_replication_slots) as slots,
         (select count(*) from pg_publication) as publications`,
    );
    await client.end();
    return rows;
  };
  const writer = new pg.Client(pair.old.url(DATABASE));
  writer.on("error", () => {}); // the cure ends it
  await writer.connect();
  t.teardown(() => writer.end().catch(() => {}));
  await writer.query("begin");
  await writer.query("insert into orders values (1)");
  const before = [await state("old"), await state("new")];
  const report = await examinePair(pair, {
    deps: { longTransactionMs: 0, pgDumpMajor: undefined },
  });
  t.same([await state("old"), await state("new")], before);
  const found = new Map(report.findings.map((finding) => [finding.check, finding]));
  t.equal(found.get("long_transaction")?.side, "old");
  await pair.run("old", ...(found.get("long_transaction")?.cure?.lines ?? []));
  t.match(found.get("subscription"), { severity: "blocker", side: "new", subject: "someone" });
  await pair.run("new", ...(found.get("subscription")?.cure?.lines ?? []));
  t.equal(found.get("idle_slot")?.subject, "spare");
  const again = await examinePair(pair, { deps: { longTransactionMs: 0 } });
  t.notOk(again.findings.some(({ check }) => ["long_transaction", "subscription"].includes(check)));
});
