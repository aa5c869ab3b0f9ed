import type { Ask } from "./ask.ts";
import type { Outcome } from "./outcome.ts";

/** One thing that differs between two correct servers and harms nobody, and where it is to be found. */
export type Noise = {
  /** The kind of difference, in words. */
  readonly why: string;
  readonly both?: string;
  readonly old?: string;
  readonly new?: string;
  /** Of the role on NEW, in place from the next login on. */
  readonly login?: { readonly set: string; readonly reset: string };
  readonly before?: readonly string[];
  readonly after?: readonly string[];
  readonly ask: Ask;
  /** One of these, in any form; where there are several, chance decides between them. */
  readonly counted: readonly Outcome[];
};

const NINE = "select id, id % 3 from generate_series(1, 9) as id";
const NINE_BACKWARDS = "select id, id % 3 from generate_series(9, 1, -1) as id";

/** A table `name (id, kind)` with the same rows, which NEW holds in another order. */
function turned(name: string): Pick<Noise, "both" | "old" | "new"> {
  return {
    both: `create table ${name} (id int, kind int)`,
    old: `insert into ${name} ${NINE}`,
    new: `insert into ${name} ${NINE_BACKWARDS}`,
  };
}

/** Known from the text of the statement alone. */
const FROM_THE_TEXT: readonly Noise[] = [
  { why: "now()", ask: { sql: "select now()" }, counted: ["incomparable clock"] },
  {
    why: "current_timestamp and its kin",
    ask: { sql: "select current_timestamp, localtimestamp, current_time" },
    counted: ["incomparable clock"],
  },
  {
    why: "'now' as a literal",
    ask: { sql: "select 'now'::timestamptz" },
    counted: ["incomparable clock"],
  },
  {
    why: "age of now",
    ask: { sql: "select age(now()::timestamp), extract(epoch from now())" },
    counted: ["incomparable clock"],
  },
  {
    why: "filter by the clock",
    ask: { sql: "select count(*) from pg_class where now() > '2020-01-01'" },
    counted: ["incomparable clock", "incomparable server"],
  },
  {
    why: "clock_timestamp()",
    ask: { sql: "select clock_timestamp()" },
    counted: ["skipped volatile_function"],
  },
  { why: "random()", ask: { sql: "select random()" }, counted: ["skipped volatile_function"] },
  {
    why: "gen_random_uuid()",
    ask: { sql: "select gen_random_uuid()" },
    counted: ["skipped volatile_function"],
  },
  {
    why: "TABLESAMPLE",
    both: "create table n_sample (id int); insert into n_sample select generate_series(1, 9999)",
    ask: { sql: "select count(*) from n_sample tablesample bernoulli (50)" },
    counted: ["incomparable volatile"],
  },
  {
    why: "nextval",
    both: "create sequence n_seq",
    ask: { sql: "select nextval('n_seq')" },
    counted: ["skipped side_effect"],
  },
  {
    why: "currval",
    before: ["select nextval('n_seq')"],
    ask: { sql: "select currval('n_seq')" },
    counted: ["skipped session"],
  },
  {
    why: "state of a sequence, which no replication carries over",
    new: "alter sequence n_seq restart with 500",
    ask: { sql: "select last_value from n_seq" },
    counted: ["incomparable server"],
  },
  {
    why: "last values of all sequences",
    both: "create sequence n_seq_2",
    new: "select setval('n_seq_2', 77)",
    ask: {
      sql: "select sequencename, last_value from pg_sequences where sequencename = 'n_seq_2'",
    },
    counted: ["incomparable server"],
  },
  {
    why: "row addresses",
    ...turned("n_ctid"),
    ask: { sql: "select ctid, id from n_ctid where id = 1" },
    counted: ["incomparable server"],
  },
  {
    why: "transaction ids of rows",
    ...turned("n_xmin"),
    ask: { sql: "select xmin, id from n_xmin where id = 1" },
    counted: ["incomparable server"],
  },
  {
    why: "oid of a table",
    both: "create table n_oid (id int); insert into n_oid values (1)",
    new: "create table n_oid_shift (id int)",
    ask: { sql: "select tableoid, id from n_oid" },
    counted: ["incomparable server", "match"],
  },
  {
    why: "oids in the catalogue",
    both: "create table n_class (id int)",
    ask: { sql: "select oid, relfilenode from pg_class where relname = 'n_class'" },
    counted: ["incomparable server"],
  },
  {
    why: "oid by cast",
    both: "create table n_regclass (id int)",
    ask: { sql: "select 'n_regclass'::regclass::oid" },
    counted: ["incomparable server"],
  },
  {
    why: "statistics of tables",
    both: "create table n_stat (id int)",
    new: "insert into n_stat values (1)",
    ask: { sql: "select relname, n_tup_ins, last_autovacuum, now() from pg_stat_user_tables" },
    counted: ["incomparable clock", "incomparable server"],
  },
  {
    why: "activity",
    ask: { sql: "select pid, query, backend_start from pg_stat_activity" },
    counted: ["incomparable server"],
  },
  {
    why: "size of a table",
    ...turned("n_size"),
    new: `insert into n_size select id, id from generate_series(1, 9999) as id; delete from n_size;
      insert into n_size ${NINE}`,
    ask: { sql: "select pg_relation_size('n_size')" },
    counted: ["incomparable server"],
  },
  { why: "version()", ask: { sql: "select version()" }, counted: ["incomparable server"] },
  {
    why: "SHOW of what belongs to a server",
    ask: { sql: "show server_version" },
    counted: ["incomparable server"],
  },
  {
    why: "SHOW ALL",
    ask: { sql: "show all" },
    // It shows the limits that a rehearsing session has, so it does not run there.
    counted: ["incomparable server", "skipped session"],
  },
  {
    why: "current_setting of what belongs to a server",
    ask: { sql: "select current_setting('port')" },
    counted: ["incomparable server"],
  },
  {
    why: "pg_settings",
    ask: { sql: "select name, setting from pg_settings order by name" },
    counted: ["incomparable server"],
  },
  {
    why: "address of the server",
    ask: { sql: "select inet_server_port()" },
    counted: ["incomparable server"],
  },
  {
    why: "pid of the backend",
    ask: { sql: "select pg_backend_pid()" },
    counted: ["skipped session"],
  },
  {
    why: "transaction id",
    ask: { sql: "select txid_current()" },
    counted: ["skipped session"],
  },
  {
    why: "snapshot",
    ask: { sql: "select pg_current_snapshot()" },
    counted: ["incomparable server"],
  },
  {
    why: "EXPLAIN",
    both: "create table n_plan (id int primary key); insert into n_plan select generate_series(1, 5000)",
    new: "analyze n_plan; alter table n_plan drop constraint n_plan_pkey",
    ask: { sql: "explain select * from n_plan where id = 7" },
    counted: ["incomparable explain"],
  },
  {
    why: "EXPLAIN ANALYZE",
    ask: { sql: "explain (analyze) select * from n_plan where id = 7" },
    counted: ["incomparable explain"],
  },
  {
    why: "LIMIT without order",
    ...turned("n_limit"),
    ask: { sql: "select id, kind from n_limit limit 2" },
    counted: ["incomparable underspecified"],
  },
  {
    why: "LIMIT of one over a key that is not unique",
    ...turned("n_kind"),
    ask: { sql: "select id from n_kind where kind = $1 limit 1", values: ["1"] },
    counted: ["incomparable underspecified"],
  },
  {
    why: "OFFSET without order",
    ...turned("n_offset"),
    ask: { sql: "select id from n_offset offset 7" },
    counted: ["incomparable underspecified"],
  },
  {
    why: "DISTINCT ON without order",
    ...turned("n_distinct_on"),
    ask: { sql: "select distinct on (kind) kind, id from n_distinct_on" },
    counted: ["incomparable underspecified"],
  },
  {
    why: "row numbers without order",
    ...turned("n_number"),
    ask: { sql: "select id, row_number() over () from n_number" },
    counted: ["incomparable underspecified"],
  },
  {
    why: "first rows of a cursor without order",
    ...turned("n_fetch"),
    before: ["begin", "declare c cursor for select id from n_fetch"],
    ask: { sql: "fetch 3 from c" },
    after: ["rollback"],
    counted: ["incomparable underspecified"],
  },
  {
    why: "tied keys at the edge of a LIMIT",
    ...turned("n_tied"),
    ask: { sql: "select kind, id as item from n_tied order by kind limit 2" },
    counted: ["incomparable underspecified"],
  },
  ...[
    "array_agg(id)",
    "string_agg(id::text, ',')",
    "json_agg(id)",
    "xmlagg(xmlelement(name i, id))",
  ].map((call, index): Noise => ({
    why: `unordered aggregate ${call}`,
    ...turned(`n_agg_${index}`),
    ask: { sql: `select ${call} from n_agg_${index}` },
    counted: ["incomparable unordered_aggregate"],
  })),
  {
    why: "ARRAY of a subquery",
    ...turned("n_array"),
    ask: { sql: "select array(select id from n_array)" },
    counted: ["incomparable unordered_aggregate"],
  },
];

/** Another order, which nobody asked for. */
const ORDER: readonly Noise[] = [
  {
    why: "other order of rows",
    ...turned("n_order"),
    ask: { sql: "select id, kind from n_order" },
    counted: ["tolerated row_order_free"],
  },
  {
    why: "order among tied keys",
    ...turned("n_ties"),
    ask: { sql: "select id, kind from n_ties order by kind" },
    counted: ["tolerated row_order_free"],
  },
  {
    why: "order of DISTINCT, groups and unions",
    ...turned("n_union"),
    ask: {
      sql: "select distinct kind from n_union union all select kind from n_union group by kind, id",
    },
    counted: ["tolerated row_order_free", "match"],
  },
  {
    why: "order inside a subquery only",
    ...turned("n_inner"),
    ask: { sql: "select kind, id from (select * from n_inner order by kind) as t" },
    counted: ["tolerated row_order_free"],
  },
  {
    why: "order of COPY",
    ...turned("n_copy"),
    ask: { sql: "copy n_copy to stdout" },
    counted: ["tolerated row_order_free"],
  },
  {
    why: "order of a cursor's rows",
    ...turned("n_cursor"),
    before: ["begin", "declare c cursor for select id from n_cursor"],
    ask: { sql: "fetch all from c" },
    after: ["rollback"],
    counted: ["tolerated row_order_free"],
  },
  {
    why: "parallel plan on one side",
    both: "create table n_wide as select id, id % 7 as kind from generate_series(1, 20000) as id",
    new: "alter table n_wide set (parallel_workers = 2)",
    login: {
      set: `alter role app in database shop set parallel_setup_cost = 0;
        alter role app in database shop set parallel_tuple_cost = 0;
        alter role app in database shop set min_parallel_table_scan_size = 0`,
      reset: "alter role app in database shop reset all",
    },
    ask: { sql: "select id, kind from n_wide where kind = 3" },
    counted: ["tolerated row_order_free", "match"],
  },
  {
    why: "hash instead of sort",
    both: "create table n_hash as select id % 100 as kind from generate_series(1, 5000) as id",
    login: {
      set: "alter role app in database shop set enable_hashagg = off",
      reset: "alter role app in database shop reset enable_hashagg",
    },
    ask: { sql: "select kind, count(*) from n_hash group by kind" },
    counted: ["tolerated row_order_free"],
  },
  {
    why: "float sum over another order",
    both: "create table n_float (v float8)",
    old: "insert into n_float select 1.0 / id from generate_series(1, 999) as id",
    new: "insert into n_float select 1.0 / id from generate_series(999, 1, -1) as id",
    ask: { sql: "select sum(v), avg(v) from n_float" },
    counted: ["tolerated float_precision"],
  },
];

function setting(name: string, value: string): NonNullable<Noise["login"]> {
  return {
    set: `alter role app in database shop set ${name} = '${value}'`,
    reset: `alter role app in database shop reset ${name}`,
  };
}

/** The same value in another spelling. The binary format has only one. */
const SPELLING: readonly Noise[] = [
  {
    why: "the same instant in another zone",
    login: setting("TimeZone", "Asia/Tokyo"),
    ask: { sql: "select timestamptz '2024-02-01 12:00+00' as at" },
    counted: ["tolerated timestamp_zone", "match"],
  },
  {
    why: "DateStyle",
    login: setting("DateStyle", "SQL, DMY"),
    ask: { sql: "select date '2024-02-13' as day, timestamp '2024-02-13 10:00' as at" },
    counted: ["tolerated date_style", "match"],
  },
  {
    why: "IntervalStyle",
    login: setting("IntervalStyle", "iso_8601"),
    ask: { sql: "select interval '1 year 2 mons 3 days 04:05:06' as i" },
    counted: ["tolerated interval_style", "match"],
  },
  {
    why: "bytea_output",
    login: setting("bytea_output", "escape"),
    ask: { sql: String.raw`select '\x00ff41'::bytea as b` },
    counted: ["tolerated bytea_format", "match"],
  },
  {
    why: "extra_float_digits",
    login: setting("extra_float_digits", "0"),
    ask: { sql: "select 1::float8 / 3 as third" },
    counted: ["tolerated float_precision", "match"],
  },
  {
    why: "planner's settings",
    login: setting("work_mem", "64kB"),
    ask: { sql: "select count(*), sum(id) from generate_series(1, 50000) as id" },
    counted: ["match"],
  },
  {
    why: "numeric scale",
    both: "create table n_scale (v numeric)",
    old: "insert into n_scale values (1.5)",
    new: "insert into n_scale values (1.500)",
    ask: { sql: "select v from n_scale" },
    counted: ["tolerated numeric_scale"],
  },
  {
    why: "white space and order of keys in json",
    both: "create table n_json (v json)",
    old: `insert into n_json values ('{"a": 1, "b": [1, 2]}')`,
    new: `insert into n_json values ('{"b":[1,2],"a":1}')`,
    ask: { sql: "select v from n_json" },
    counted: ["tolerated json_format", "match"],
  },
  {
    why: "json on one side, jsonb on the other",
    both: "create table n_jsonb (v json)",
    old: `insert into n_jsonb values ('{"b": 1.0, "a": 2}')`,
    new: `alter table n_jsonb alter v type jsonb; insert into n_jsonb values ('{"b": 1.0, "a": 2}')`,
    ask: { sql: "select v from n_jsonb" },
    counted: ["tolerated column_type_alias"],
  },
  {
    why: "text and varchar",
    both: "create table n_varchar (v varchar(20)); insert into n_varchar values ('Ada')",
    new: "alter table n_varchar alter v type text",
    ask: { sql: "select v from n_varchar" },
    counted: ["tolerated column_type_alias"],
  },
  {
    why: "oids of enums, composites and domains",
    new: "create type n_shift as enum ('x')",
    both: `create type n_mood as enum ('calm', 'busy'); create type n_pair as (a int, b n_mood);
      create table n_types (m n_mood, p n_pair, a n_mood[]);
      insert into n_types values ('calm', row(1, 'busy'), '{calm,busy}')`,
    ask: { sql: "select * from n_types" },
    counted: ["match"],
  },
  {
    why: "oids of tables in the description of rows",
    both: "create table n_described (id int)",
    new: "drop table n_described; create table n_described (id int)",
    ask: { sql: "select id from n_described" },
    counted: ["match"],
  },
];

/** Not part of the answer, or not in the statement's text. */
const HIDDEN: readonly Noise[] = [
  {
    why: "a notice on one side",
    old: "create function n_notice() returns int language plpgsql stable as $$ begin return 1; end $$",
    new: `create function n_notice() returns int language plpgsql stable as $$
      begin raise notice 'moved'; return 1; end $$`,
    ask: { sql: "select n_notice()" },
    counted: ["match"],
  },
  {
    why: "another message with the same SQLSTATE",
    old: "create function n_message() returns int language plpgsql stable as $$ begin raise 'old words'; end $$",
    new: "create function n_message() returns int language plpgsql stable as $$ begin raise 'new words'; end $$",
    ask: { sql: "select n_message()" },
    counted: ["match"],
  },
  {
    why: "the same mistake, told by another version",
    ask: { sql: "select nothing_of_the_kind from nowhere" },
    counted: ["match"],
  },
  {
    why: "the clock in a view",
    both: "create view n_clock as select 1 as id, now() as at",
    ask: { sql: "select id, at from n_clock" },
    counted: ["incomparable nondeterministic", "match"],
  },
  {
    why: "chance in a view",
    both: "create view n_chance as select random() as r",
    ask: { sql: "select r from n_chance" },
    counted: ["incomparable nondeterministic"],
  },
  {
    why: "the clock in a function that is called stable, as it is",
    both: "create function n_age() returns interval language sql stable as 'select now() - timestamptz ''2024-01-01'''",
    ask: { sql: "select n_age()" },
    counted: ["incomparable nondeterministic"],
  },
  {
    why: "chance in a function that is called stable, wrongly",
    both: "create function n_dice() returns float8 language sql stable as 'select random()'",
    ask: { sql: "select n_dice() as dice" },
    counted: ["incomparable nondeterministic"],
  },
  {
    why: "LIMIT without order in a view",
    ...turned("n_top"),
    both: "create table n_top (id int, kind int); create view n_top_v as select id, kind from n_top limit 2",
    ask: { sql: "select id, kind from n_top_v" },
    counted: ["incomparable underspecified"],
  },
  {
    why: "unordered aggregate in a view",
    both: `create table n_list (id int, kind int);
      create view n_list_v as select string_agg(id::text, ',') as ids from n_list`,
    old: `insert into n_list ${NINE}`,
    new: `insert into n_list ${NINE_BACKWARDS}`,
    ask: { sql: "select ids from n_list_v" },
    counted: ["incomparable unordered_aggregate"],
  },
  {
    why: "row addresses in a view",
    both: "create table n_place (id int); create view n_place_v as select ctid as place, id from n_place",
    old: "insert into n_place values (1)",
    new: "insert into n_place values (0); delete from n_place; insert into n_place values (1)",
    ask: { sql: "select place, id from n_place_v" },
    counted: ["incomparable server"],
  },
  {
    why: "a volatile function of a user",
    both: "create function n_touch() returns int language sql volatile as 'select 1'",
    ask: { sql: "select n_touch()" },
    counted: ["skipped volatile_function"],
  },
];

/** Generated by each side for itself when a row is written. Rehearsed, it must not look like a difference. */
export const WRITTEN_NOISE: readonly Noise[] = [
  {
    why: "defaults of the clock, of chance and of a sequence",
    both: `create table n_made (id serial, at timestamptz default now(),
      key uuid default gen_random_uuid(), note text)`,
    new: "alter sequence n_made_id_seq restart with 900",
    ask: { sql: "insert into n_made (note) values ('a') returning *" },
    counted: ["match", "tolerated generated_key", "incomparable volatile", "incomparable clock"],
  },
  {
    why: "now() in a write",
    both: "create table n_wrote (at timestamptz)",
    ask: { sql: "insert into n_wrote values (now()) returning at" },
    counted: ["match", "incomparable clock"],
  },
];

export const NOISE: readonly Noise[] = [...FROM_THE_TEXT, ...ORDER, ...SPELLING, ...HIDDEN];
