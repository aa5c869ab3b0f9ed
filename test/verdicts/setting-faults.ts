import type { Fault } from "./fault.ts";
import type { Ask } from "./ask.ts";

type Setting = {
  readonly name: string;
  readonly value: string;
  readonly both?: string;
  readonly ask: Ask;
  readonly found: Fault["found"];
  /** The binary format has no spelling, so there is nothing to see. */
  readonly matchesInBinary?: true;
};

const DAY = "2024-02-01 12:00:00+00";

const SETTINGS: readonly Setting[] = [
  {
    name: "search_path",
    value: "elsewhere, public",
    both: `create schema elsewhere; grant usage on schema elsewhere to app;
      create table c_path (v int); insert into c_path values (1);
      create table elsewhere.c_path (v int); insert into elsewhere.c_path values (2);
      grant select on elsewhere.c_path to app`,
    ask: { sql: "select v from c_path" },
    found: "divergent numeric_value",
  },
  {
    name: "default_text_search_config",
    value: "simple",
    both: "alter role app set default_text_search_config = 'english'",
    ask: { sql: "select to_tsvector('running dogs')" },
    found: "divergent value",
  },
  {
    name: "default_text_search_config",
    value: "simple",
    both: "alter role app set default_text_search_config = 'english'",
    ask: { sql: "show default_text_search_config" },
    found: "divergent text_value",
  },
  {
    name: "DateStyle",
    value: "German",
    ask: { sql: "select date '2024-02-01' as d" },
    found: "tolerated date_style",
    matchesInBinary: true,
  },
  {
    name: "DateStyle",
    value: "German",
    ask: { sql: "select date '2024-02-01'::text as d_as_text" },
    found: "divergent text_value",
  },
  {
    name: "DateStyle",
    value: "ISO, DMY",
    ask: { sql: "select '01/02/2024'::date as d_from_text" },
    found: "divergent timestamp_value",
  },
  {
    name: "DateStyle",
    value: "German",
    ask: { sql: "show datestyle" },
    found: "divergent text_value",
  },
  {
    name: "IntervalStyle",
    value: "sql_standard",
    ask: { sql: "select interval '1 day 02:03:04' as i" },
    found: "tolerated interval_style",
    matchesInBinary: true,
  },
  {
    name: "IntervalStyle",
    value: "iso_8601",
    ask: { sql: "select interval '1 day'::text as i_as_text" },
    found: "divergent text_value",
  },
  {
    name: "TimeZone",
    value: "Europe/Berlin",
    ask: { sql: `select timestamptz '${DAY}' as t` },
    found: "tolerated timestamp_zone",
    matchesInBinary: true,
  },
  {
    name: "TimeZone",
    value: "Pacific/Auckland",
    ask: { sql: `select timestamptz '${DAY}'::date as t_day` },
    found: "divergent timestamp_value",
  },
  {
    name: "extra_float_digits",
    value: "0",
    ask: { sql: "select 1::float8 / 3 as third" },
    found: "tolerated float_precision",
    matchesInBinary: true,
  },
  {
    name: "extra_float_digits",
    value: "0",
    ask: { sql: "select (1::float8 / 3)::text as third_as_text" },
    found: "divergent text_value",
  },
  {
    name: "bytea_output",
    value: "escape",
    ask: { sql: "select '\\x00ff'::bytea as b" },
    found: "tolerated bytea_format",
    matchesInBinary: true,
  },
  {
    name: "array_nulls",
    value: "off",
    ask: { sql: "select '{NULL}'::text[] as a" },
    found: "divergent array_value",
  },
  {
    name: "standard_conforming_strings",
    value: "off",
    ask: { sql: String.raw`select 'a\tb' as s` },
    found: "divergent text_value",
  },
  {
    name: "transform_null_equals",
    value: "on",
    ask: { sql: "select count(*) from (values (null::int)) as t (x) where x = null" },
    found: "divergent numeric_value",
  },
  {
    name: "quote_all_identifiers",
    value: "on",
    ask: { sql: "show quote_all_identifiers" },
    found: "divergent text_value",
  },
  {
    name: "default_transaction_isolation",
    value: "serializable",
    ask: { sql: "show default_transaction_isolation" },
    found: "divergent text_value",
  },
  {
    name: "app.tenant",
    value: "7",
    ask: { sql: "select current_setting('app.tenant', true) as tenant" },
    found: "divergent null_value",
  },
];

/** What the role or the database sets on one side only: it changes how the same rows read. */
export const SETTING_FAULTS: readonly Fault[] = SETTINGS.map((setting) => ({
  why: `${setting.name} ${setting.value}: ${setting.ask.sql}`,
  ...(setting.both === undefined ? {} : { both: setting.both }),
  login: {
    set: `alter role app in database shop set ${setting.name} = ${valueOf(setting)}`,
    reset: `alter role app in database shop reset ${setting.name}`,
  },
  ask: setting.ask,
  found: setting.found,
  ...(setting.matchesInBinary ? { except: { "extended binary": "match" } as const } : {}),
}));

function valueOf({ name, value }: Setting): string {
  return name === "search_path" ? value : `'${value}'`;
}
