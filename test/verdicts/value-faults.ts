import type { Fault } from "./fault.ts";
import { nameOf } from "./fault.ts";

/** One value of a type on OLD and on NEW, as SQL expressions, and the word for the difference. */
type Cell = readonly [why: string, type: string, old: string, fresh: string, found: string];

const CELLS: readonly Cell[] = [
  ["rounding", "numeric(12,2)", "10.01", "10.02", "numeric_value"],
  ["truncated fraction", "numeric", "3.14159", "3.14", "numeric_value"],
  ["NaN became zero", "numeric", "'NaN'", "0", "numeric_value"],
  ["off by one", "int", "41", "42", "numeric_value"],
  ["lost sign", "smallint", "-7", "7", "numeric_value"],
  [
    "bigint went through a double",
    "bigint",
    "9007199254740993",
    "9007199254740992",
    "numeric_value",
  ],
  ["float digits", "float8", "0.123456789012", "0.123456789013", "numeric_value"],
  ["float stored as single", "float8", "0.1", "0.1::float4", "numeric_value"],
  ["single float", "float4", "1.25", "1.26", "numeric_value"],
  ["infinite float", "float8", "'Infinity'", "1e308", "numeric_value"],
  ["money", "money", "12.50::numeric::money", "12.05::numeric::money", "numeric_value"],
  ["truncated text", "text", "'Zwetschgenkuchen'", "'Zwetschgenkuche'", "text_value"],
  ["null versus empty", "text", "null", "''", "null_or_empty"],
  ["null versus zero", "int", "0", "null", "null_value"],
  ["text case", "text", "'Ada@example.org'", "'ada@example.org'", "text_case"],
  ["trailing space", "text", "'Ada'", "'Ada '", "trailing_space"],
  [
    "char padding kept in a varchar",
    "varchar(8)",
    "'ab'",
    "'ab'::char(8)::text || '  '",
    "trailing_space",
  ],
  ["leading space", "varchar", "'Ada'", "' Ada'", "text_value"],
  ["line ends", "text", "E'a\\nb'", "E'a\\r\\nb'", "text_value"],
  ["unicode normalisation", "text", "'Zürich'", "normalize('Zürich', NFD)", "text_value"],
  ["encoding broken twice", "text", "'Zürich'", "'ZÃ¼rich'", "text_value"],
  ["fixed char", "char(3)", "'EUR'", "'USD'", "text_value"],
  ["single-byte char", '"char"', "'a'", "'b'", "value"],
  ["name", "name", "'orders'", "'order'", "text_value"],
  ["bytea", "bytea", "'\\x00ff'", "'\\x00fe'", "bytea_value"],
  ["bytea cut at a zero byte", "bytea", "'\\x610062'", "'\\x61'", "bytea_value"],
  ["boolean", "bool", "true", "false", "boolean_value"],
  ["date a day off", "date", "'2024-02-29'", "'2024-03-01'", "timestamp_value"],
  ["date with day and month swapped", "date", "'2024-02-01'", "'2024-01-02'", "timestamp_value"],
  [
    "timestamp an hour off",
    "timestamp",
    "'2024-03-31 12:00'",
    "'2024-03-31 13:00'",
    "timestamp_value",
  ],
  [
    "time zone applied twice",
    "timestamptz",
    "'2024-03-01 12:00+00'",
    "'2024-03-01 12:00+02'",
    "timestamp_value",
  ],
  [
    "microseconds cut off",
    "timestamptz",
    "'2024-03-01 12:00:00.123456+00'",
    "'2024-03-01 12:00:00.123+00'",
    "timestamp_value",
  ],
  ["infinity", "timestamptz", "'infinity'", "'9999-12-31 00:00+00'", "timestamp_value"],
  ["time of day", "time", "'10:00'", "'22:00'", "timestamp_value"],
  ["time of day with a zone", "timetz", "'10:00+01'", "'10:00+02'", "timestamp_value"],
  ["interval", "interval", "'1 day'", "'24 hours'", "interval_value"],
  ["interval of months", "interval", "'1 month'", "'30 days'", "interval_value"],
  ["json value", "json", `'{"price": 1}'`, `'{"price": 2}'`, "json_value"],
  ["json key", "jsonb", `'{"price": 1}'`, `'{"Price": 1}'`, "json_value"],
  ["json number as string", "jsonb", `'{"price": 1}'`, `'{"price": "1"}'`, "json_value"],
  ["json array order", "jsonb", "'[1, 2]'", "'[2, 1]'", "json_value"],
  ["json null versus absent", "jsonb", `'{"a": null}'`, "'{}'", "json_value"],
  ["json null versus null", "jsonb", "'null'", "null", "null_value"],
  ["array element", "int[]", "'{1,2,3}'", "'{1,2,4}'", "array_value"],
  ["array order", "text[]", "'{a,b}'", "'{b,a}'", "array_value"],
  ["array null versus its name", "text[]", "'{NULL}'", `'{"NULL"}'`, "array_value"],
  ["array lower bound", "int[]", "'[0:1]={1,2}'", "'{1,2}'", "array_value"],
  ["uuid", "uuid", `'${uuid(1)}'`, `'${uuid(2)}'`, "value"],
  ["inet address", "inet", "'10.0.0.1'", "'10.0.0.2'", "value"],
  ["inet netmask", "inet", "'10.0.0.1/8'", "'10.0.0.1/16'", "value"],
  ["cidr", "cidr", "'10.1.0.0/16'", "'10.2.0.0/16'", "value"],
  ["macaddr", "macaddr", "'08:00:2b:01:02:03'", "'08:00:2b:01:02:04'", "value"],
  ["bit", "bit(4)", "B'1010'", "B'1011'", "value"],
  ["bit varying", "varbit", "B'1010'", "B'10100'", "value"],
  ["point", "point", "'(1,2)'", "'(2,1)'", "value"],
  ["polygon", "polygon", "'((0,0),(0,1),(1,1))'", "'((0,0),(0,1),(1,2))'", "value"],
  ["range bound", "int4range", "'[1,5)'", "'[1,5]'", "value"],
  ["range end open", "tsrange", "'[2024-01-01,2024-02-01)'", "'[2024-01-01,)'", "value"],
  ["multirange", "int4multirange", "'{[1,3),[5,7)}'", "'{[1,3)}'", "value"],
  [
    "text search words of another configuration",
    "tsvector",
    "to_tsvector('english', 'running dogs')",
    "to_tsvector('simple', 'running dogs')",
    "value",
  ],
  ["text search weight", "tsvector", "setweight('a:1', 'A')", "'a:1'", "value"],
  ["tsquery", "tsquery", "'a & b'", "'a | b'", "value"],
  ["xml", "xml", "'<a>1</a>'", "'<a>2</a>'", "text_value"],
  ["hstore value", "hstore", "'a=>1'", "'a=>2'", "value"],
  ["hstore key", "hstore", "'a=>1'", "'b=>1'", "value"],
  ["citext", "citext", "'Ada'", "'ADA'", "text_case"],
  ["enum label", "mood", "'calm'", "'busy'", "value"],
  ["enum array", "mood[]", "'{calm}'", "'{busy}'", "array_value"],
  ["composite field", "address", "row('Main St', 1)", "row('Main St', 2)", "value"],
  ["composite null field", "address", "row('Main St', null)", "row('Main St', 0)", "value"],
  ["domain", "positive", "1", "2", "numeric_value"],
  ["log position", "pg_lsn", "'0/16'", "'0/17'", "value"],
];

function uuid(last: number): string {
  return `01234567-89ab-cdef-0123-00000000000${last}`;
}

/** Types that the cells need, on both sides. */
export const TYPES = `
  create extension hstore; create extension citext;
  create type mood as enum ('calm', 'busy');
  create type address as (street text, number int);
  create domain positive as int check (value > 0)`;

/** One row whose value is another on NEW, for every family of types. */
export const VALUE_FAULTS: readonly Fault[] = CELLS.map(([why, type, old, fresh, found]) => {
  const table = `v_${nameOf(why)}`;
  const insert = (value: string): string => `insert into ${table} values (1, ${value})`;
  return {
    why,
    both: `create table ${table} (id int primary key, v ${type})`,
    old: insert(old),
    new: insert(fresh),
    ask: { sql: `select id, v from ${table} where id = $1`, values: ["1"] },
    found: `divergent ${found}`,
  };
});
