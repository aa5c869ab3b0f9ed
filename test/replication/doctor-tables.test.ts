import tap from "tap";
import { examinePair, inShort, startPair } from "./doctor-pair.ts";
import type { Side } from "./doctor-pair.ts";

/** What is done to the databases, and what the doctor has to say of it. */
type Row = {
  readonly old?: readonly string[];
  readonly new?: readonly string[];
  readonly finds: string;
  /** The cure is no SQL, or there is none. */
  readonly stays?: true;
};

const table = (sql: string): Pick<Row, "old" | "new"> => ({ old: [sql], new: [sql] });

const ROWS: readonly Row[] = [
  { ...table("create table nokey (a int)"), finds: "blocker no_key old public.nokey" },
  {
    ...table("create table other_key (a int not null unique, b text)"),
    finds: "blocker no_key old public.other_key",
  },
  {
    ...table("create table late_key (a int primary key deferrable)"),
    finds: "blocker no_key old public.late_key",
  },
  { finds: "warning deferrable new public.late_key" },
  {
    old: ["create table silent (a int primary key)", "alter table silent replica identity nothing"],
    new: ["create table silent (a int primary key)"],
    finds: "blocker identity_nothing old public.silent",
  },
  {
    old: ["create table loud (a int primary key)", "alter table loud replica identity full"],
    new: ["create table loud (a int primary key)"],
    finds: "note identity_full old public.loud",
  },
  {
    ...table(
      "create table parted (a int, b int) partition by range (a); create table parted_1 partition of parted for values from (0) to (10)",
    ),
    finds: "blocker no_key old public.parted_1",
  },
  { finds: "blocker no_key old public.parted" },
  { finds: "note partitioned old public.parted", stays: true },
  { finds: "warning single_partition old public.parted", stays: true },
  { finds: "note single_partition new public.parted", stays: true },
  {
    old: [
      "create table swap (a int primary key, b int, constraint swap_b unique (b) deferrable initially deferred)",
    ],
    new: ["create table swap (a int primary key, b int, constraint swap_b unique (b))"],
    finds: "warning deferrable old public.swap",
  },
  {
    ...table(`create table booked (a int primary key, during int4range,
      constraint no_overlap exclude using gist (during with &&) where (a > 0) deferrable initially deferred)`),
    finds: "warning deferrable_exclusion old public.booked",
  },
  { finds: "warning deferrable_exclusion new public.booked" },
  {
    old: ["create table strict (a int primary key, b text)"],
    new: [
      "create table strict (a int primary key, b text)",
      "create unique index strict_b on strict (lower(b))",
    ],
    finds: "warning stricter_unique new public.strict",
  },
  {
    ...table(`create table fired (a int primary key);
      create function f() returns trigger language plpgsql as 'begin return new; end';
      create trigger always after insert on fired for each row execute function f();
      alter table fired enable always trigger always`),
    finds: "warning trigger new public.fired",
  },
  { finds: "warning trigger old public.fired" },
  {
    ...table(`create table ruled (a int primary key); create rule r as on delete to ruled do instead nothing;
      alter table ruled enable always rule r`),
    finds: "warning rule new public.ruled",
  },
  {
    ...table(
      "create table made (a int generated always as identity primary key, b int generated always as (a + 1) stored)",
    ),
    finds: "note generated old public.made",
    stays: true,
  },
  { finds: "note identity_always new public.made", stays: true },
  {
    old: ["create unlogged table loose (a int primary key)"],
    new: ["create table loose (a int primary key)"],
    finds: "blocker unlogged old public.loose",
  },
  {
    ...table(
      "create table base (a int primary key); create table derived (b int, primary key (a)) inherits (base)",
    ),
    finds: "warning inheritance old public.derived",
  },
  {
    ...table("create table full_up (a int primary key)"),
    new: ["create table full_up (a int primary key)", "insert into full_up values (1)"],
    finds: "blocker not_empty new public.full_up",
  },
  {
    old: ["create table only_old (a int primary key)"],
    finds: "blocker missing_table new public.only_old",
    stays: true,
  },
  {
    ...table("create table kin (a int primary key, b int constraint kin_b references fired)"),
    finds: "note foreign_key new public.kin",
  },
  {
    old: [
      "create table counted (a serial primary key)",
      "select setval('counted_a_seq', 2000000000)",
    ],
    new: ["create table counted (a serial primary key)"],
    finds: "warning sequence old public.counted_a_seq",
  },
  {
    old: ["create table small (a int2 primary key)", "insert into small values (30000)"],
    new: ["create table small (a int8 primary key)"],
    finds: "warning small_key old public.small",
  },
  {
    old: ["create extension citext", "create table ci (a citext primary key)"],
    new: ["create table ci (a text primary key)"],
    finds: "blocker extension new citext",
  },
  {
    old: [
      "create type mood as enum ('low', 'so so', 'high')",
      "create table moods (a mood primary key)",
    ],
    new: ["create type mood as enum ('high')", "create table moods (a mood primary key)"],
    finds: "blocker enum_labels new public.mood",
  },
  {
    old: ["create domain age as int check (value > 0)", "create table ages (a age primary key)"],
    new: ["create table ages (a int primary key)"],
    finds: "warning type new public.age",
  },
  { old: ["select lo_create(0)"], finds: "warning large_objects old", stays: true },
  {
    old: ["create materialized view seen as select 1 as a"],
    finds: "note materialized_view old public.seen",
    stays: true,
  },
  {
    old: [
      "create table granted (a serial primary key)",
      "grant select, insert on granted to app",
      "grant usage on sequence granted_a_seq to app",
    ],
    new: ["create table granted (a serial primary key)", "grant select on granted to app"],
    finds: "warning role_rights new app: public.granted",
  },
  { finds: "warning role_rights new app: public.granted_a_seq" },
  {
    old: ["create role staff", "grant staff to app"],
    finds: "warning role_membership new app",
  },
  { new: ["alter role app nologin"], finds: "blocker role new app" },
  {
    old: ["alter database shop set timezone = 'Europe/Vienna'"],
    finds: "warning setting new TimeZone",
  },
  { old: ["alter role app set work_mem = '64MB'"], finds: "warning role_setting new app.work_mem" },
  {
    old: [
      "begin",
      "create table prepared_one (a int primary key)",
      "prepare transaction 'pay''ment'",
    ],
    finds: "blocker prepared_transaction old pay'ment",
  },
  {
    new: ["select pg_create_logical_replication_slot('twinwire_older_reverse', 'pgoutput')"],
    finds: "warning left_over new twinwire_older_reverse",
  },
  {
    new: ["create publication twinwire_older_reverse"],
    finds: "note left_over new twinwire_older_reverse",
  },
];

void tap.test("what is wrong with tables is found, and the cure makes it vanish", async (t) => {
  const settings = { max_prepared_transactions: "5" };
  const pair = await startPair({ major: 14, settings }, { major: 16, settings });
  t.teardown(() => pair.stop());
  for (const side of ["old", "new"] as const) {
    await pair.run(side, "create role app login");
    for (const row of ROWS) await pair.run(side, ...(row[side] ?? []));
  }
  const wanted = ROWS.filter(({ finds }) => finds !== "");
  const before = await examinePair(pair);
  const found = new Map(before.findings.map((finding) => [inShort(finding), finding]));
  for (const { finds, stays } of wanted) {
    const finding = found.get(finds);
    t.ok(finding, finds);
    if (stays === undefined) t.ok(finding?.cure, `cure of ${finds}`);
  }
  t.notOk([...found.keys()].find((each) => each.includes("not_examined")));
  for (const { finds, stays } of wanted) {
    const cure = found.get(finds)?.cure;
    if (stays !== undefined || cure === undefined) continue;
    await t.resolves(
      pair.run(cure.at as Side, ...cure.lines),
      `${finds}: ${cure.lines.join("; ")}`,
    );
  }
  const after = new Set((await examinePair(pair)).findings.map(inShort));
  for (const { finds, stays } of wanted)
    t.equal(after.has(finds), stays === true, `after: ${finds}`);
});
