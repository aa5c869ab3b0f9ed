/**
 * What is asked of two real servers of different majors and settings. `text` is the verdict on what
 * they answer in text, by simple query and by the extended protocol; `binary` on what they answer in
 * binary, `match` unless said otherwise.
 */
export type ServerQuery = {
  readonly sql: string;
  readonly text: string;
  readonly binary?: string;
};

/** Settings of the session on the primary and on the shadow, and what is asked under them. */
export type QueryGroup = {
  readonly name: string;
  readonly primary: Readonly<Record<string, string>>;
  readonly shadow: Readonly<Record<string, string>>;
  readonly queries: readonly ServerQuery[];
};

/** Made on both; other types come first on the shadow, so that the oids differ. */
export const PRIMARY_SCHEMA: readonly string[] = [
  "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
  "CREATE TYPE address AS (street text, number int4, feeling mood)",
  "CREATE DOMAIN positive AS int4 CHECK (value > 0)",
];
export const SHADOW_SCHEMA: readonly string[] = [
  "CREATE TYPE filler AS ENUM ('a')",
  "CREATE TABLE filler_table (a int4)",
  ...PRIMARY_SCHEMA,
];
export const TABLES: readonly string[] = [
  `CREATE TABLE items (id int4 PRIMARY KEY, name text, price numeric(10,2), score float8,
     made timestamptz, feeling mood, lives address, tags text[], data jsonb, raw bytea)`,
  `INSERT INTO items SELECT n, 'item ' || n, n * 1.25, n / 3.0::float8,
     '2024-01-15 10:00:00+00'::timestamptz + n * interval '1 hour',
     (ARRAY['sad','ok','happy']::mood[])[1 + n % 3], ROW('Main St', n, 'ok')::address,
     ARRAY['a', 'b ' || n], jsonb_build_object('n', n), decode(lpad(to_hex(n), 4, '0'), 'hex')
   FROM generate_series(1, 20) n`,
];

const same = (...statements: readonly string[]): ServerQuery[] =>
  statements.map((sql) => ({ sql, text: "match" }));
const all = (text: string, ...statements: readonly string[]): ServerQuery[] =>
  statements.map((sql) => ({ sql, text }));
const both = (verdict: string, ...statements: readonly string[]): ServerQuery[] =>
  statements.map((sql) => ({ sql, text: verdict, binary: verdict }));

const MOMENTS: readonly string[] = [
  "SELECT '2024-02-29 23:30:00.123456+00'::timestamptz AS v",
  "SELECT '0044-03-15 12:00:00+00 BC'::timestamptz AS v",
  "SELECT '12345-06-07 01:02:03+00'::timestamptz AS v",
  "SELECT '1999-12-31 23:59:59.9+00'::timestamptz AS v, 1 AS n",
  "SELECT ARRAY['2024-01-15 10:00:00+00'::timestamptz, NULL] AS v",
  "SELECT tstzrange('2024-01-15 10:00:00+00', NULL) AS v",
  "SELECT ROW(1, '2024-01-15 10:00:00+00'::timestamptz) AS v",
  "SELECT made FROM items ORDER BY id",
];

export const QUERY_GROUPS: readonly QueryGroup[] = [
  {
    name: "the same settings",
    primary: {},
    shadow: {},
    queries: [
      ...same(
        "SELECT 1 AS v",
        "SELECT 1::int2 AS v, 2::int4 AS w, 3::int8 AS x",
        "SELECT -32768::int2 AS v, -2147483648::int4 AS w, '-9223372036854775808'::int8 AS x",
        "SELECT true AS v, false AS w, NULL::bool AS x",
        "SELECT 'abc'::text AS v, 'abc'::varchar(5) AS w, 'abc'::char(5) AS x, 'abc'::name AS y",
        "SELECT 'r'::\"char\" AS v",
        "SELECT 1.50::numeric AS v, 1e30::numeric AS w, 1e-30::numeric AS x, -0.001::numeric AS y",
        "SELECT 'NaN'::numeric AS v, 'Infinity'::numeric AS w, '-Infinity'::numeric AS x",
        "SELECT 123456789012345678901234567890.12345::numeric AS v, 10000::numeric AS w, 0.00::numeric AS x",
        "SELECT 12345.6789::numeric(12,2) AS v",
        "SELECT 0.1::float8 AS v, 1/3.0::float8 AS w, 'NaN'::float8 AS x, '-Infinity'::float8 AS y",
        "SELECT 1e300::float8 AS v, 5e-324::float8 AS w, '-0'::float8 AS x",
        "SELECT 0.1::float4 AS v, 1/3.0::float4 AS w, 16777216::float4 AS x, 1e38::float4 AS y",
        "SELECT 1234.56::numeric::money AS v, '-0.01'::numeric::money AS w",
        "SELECT '\\xdeadbeef'::bytea AS v, ''::bytea AS w, 'a\\\\b'::bytea AS x",
        "SELECT '2024-02-29'::date AS v, 'infinity'::date AS w, '-infinity'::date AS x, '0044-03-15 BC'::date AS y",
        "SELECT '12:34:56.789'::time AS v, '24:00'::time AS w, '12:34:56+05:30'::timetz AS x",
        "SELECT '2024-02-29 12:34:56.789012'::timestamp AS v, 'infinity'::timestamp AS w",
        "SELECT '2024-02-29 12:34:56+02'::timestamptz AS v, '-infinity'::timestamptz AS w",
        "SELECT '1 year 2 mons -3 days 04:05:06.7'::interval AS v, '0'::interval AS w",
        "SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS v",
        `SELECT '{"b": [1, 2.50, null], "a": "x"}'::json AS v, '{"b": [1, 2.50, null], "a": "x"}'::jsonb AS w`,
        "SELECT '<a>b</a>'::text AS v",
        "SELECT '10.0.0.1'::inet AS v, '10.0.0.1/8'::inet AS w, '10.0.0.0/8'::cidr AS x",
        "SELECT '::1'::inet AS v, '2001:db8::1/64'::inet AS w, '2001:db8::/32'::cidr AS x",
        "SELECT '08:00:2b:01:02:03'::macaddr AS v, '08:00:2b:01:02:03:04:05'::macaddr8 AS w",
        "SELECT B'10110'::bit(5) AS v, B'101'::varbit AS w, B''::varbit AS x",
        "SELECT '(1,2)'::point AS v, '{1,-1,0}'::line AS w, '[(1,2),(3,4)]'::lseg AS x",
        "SELECT '(3,4),(1,2)'::box AS v, '[(1,2),(3,4)]'::path AS w, '((1,2),(3,4))'::path AS x",
        "SELECT '((1,2),(3,4))'::polygon AS v, '<(1,2),3>'::circle AS w",
        "SELECT 'a:1A b:2'::tsvector AS v",
        "SELECT 'a & b'::tsquery AS v",
        "SELECT ARRAY[1,2,NULL] AS v, '{}'::int4[] AS w, ARRAY[[1,2],[3,4]] AS x, '[0:1]={7,8}'::int4[] AS y",
        `SELECT ARRAY['a', 'b c', 'd"e', 'f\\g', '', 'NULL', NULL, '{x}'] AS v`,
        "SELECT ARRAY[true,false] AS v, ARRAY[1.50,2] AS w, ARRAY['\\xab'::bytea] AS x",
        "SELECT ARRAY['(3,4),(1,2)'::box, '(1,1),(0,0)'::box] AS v",
        "SELECT ROW(1, 'a b', NULL, '') AS v",
        "SELECT int4range(1, 10) AS v, int4range(5, 5) AS w, int4range(NULL, 5) AS x, int8range(1, NULL) AS y",
        "SELECT numrange(1.0, 2.50, '[]') AS v, daterange('2024-01-01', '2024-02-01') AS w",
        "SELECT tsrange('2024-01-01', '2024-02-01') AS v, int4multirange(int4range(1,3), int4range(5,8)) AS w",
        "SELECT 'happy'::mood AS v, ARRAY['sad','ok']::mood[] AS w",
        "SELECT ROW('Main St', 12, 'ok')::address AS v, ARRAY[ROW('a b', 1, 'sad')::address] AS w",
        "SELECT 7::positive AS v",
        "SELECT 1::oid AS v, 'pg_class'::regclass AS w, '16/B374D848'::pg_lsn AS x",
        "SELECT '$.a[*]'::jsonpath AS v",
        "SELECT generate_series(1, 5) AS v",
        "SELECT NULL AS v",
        "SELECT 'Ünïcödé 😀' AS v",
        "SELECT repeat('x', 5000) AS v",
        "SELECT",
        "VALUES (1, 'a'), (2, 'b')",
        "SELECT id, name, price, feeling, lives, tags, data, raw FROM items ORDER BY id",
        "SELECT * FROM items WHERE id = 3",
        "SELECT items FROM items WHERE id < 4 ORDER BY id",
        "SELECT count(*), sum(price), avg(price), min(name), max(made) FROM items",
        "SELECT sum(score), avg(score), stddev(score) FROM items",
        "SELECT feeling, count(*) FROM items GROUP BY feeling ORDER BY feeling",
        "SELECT json_agg(name ORDER BY id), array_agg(id ORDER BY id) FROM items",
        "SELECT row_to_json(items) FROM items WHERE id = 1",
        "SELECT extract(epoch FROM '2024-01-15 10:00:00+00'::timestamptz) AS v",
        "SELECT round(2.5) AS v, round(2.567, 2) AS w, 7 / 2 AS x, 7 / 2.0 AS y, 2 ^ 10 AS z",
        "SELECT to_char(1234.5, '9G999D99') AS v, to_char('2024-01-15'::date, 'Day, DD Mon YYYY') AS w",
        "SELECT upper('straße') AS v, lower('ÄÖ') AS w, initcap('ab cd') AS x",
        "SELECT string_to_array('a,b,,c', ',') AS v, regexp_match('foobar', '(o+)(b)') AS w",
        "SELECT 1 AS v WHERE false",
        "SHOW server_encoding",
        "BEGIN",
        "ROLLBACK",
        "SELECT 1/0",
        "SELECT no_such_column",
        "SELECT 'abc'::int4",
        "SELEC 1",
        "SELECT 'unhappy'::mood",
        "SELECT (-1)::positive",
      ),
      // Numbers with letters and underscores: 16 reads what 14 took for a number and an alias.
      ...both(
        "divergent column_name",
        "SELECT 1_000",
        "SELECT 0x1F",
        "SELECT 0b101",
        "SELECT 0o17",
      ),
      ...both("divergent error_on_shadow", "SELECT 123abc", "SELECT 1a"),
      ...both(
        "divergent error_on_primary",
        "SELECT any_value(id) FROM items WHERE id = 1",
        "SELECT '[1, 2]' IS JSON AS v",
        "SELECT array_sample(ARRAY[1], 1)",
        "SELECT random_normal(0, 0)",
        "SELECT json_array(1, 2)",
        "SELECT * FROM (SELECT 1 AS a)",
        "SELECT date_add('2024-01-15 10:00:00+00'::timestamptz, '1 day', 'UTC')",
      ),
      ...both(
        "divergent numeric_value",
        "SELECT current_setting('server_version_num')::int4 / 10000 AS v",
      ),
      ...both("divergent text_value", "SELECT current_setting('server_version') AS v"),
      ...both(
        "divergent row_count",
        "SELECT generate_series(1, current_setting('server_version_num')::int4 / 10000) AS v",
      ),
      ...both(
        "divergent null_value",
        "SELECT nullif(current_setting('server_version_num')::int4 / 10000, 14) AS v",
      ),
      ...both(
        "divergent boolean_value",
        "SELECT current_setting('server_version_num')::int4 < 150000 AS v",
      ),
      ...both(
        "divergent array_value",
        "SELECT ARRAY[1, current_setting('server_version_num')::int4] AS v",
      ),
      ...both(
        "divergent json_value",
        "SELECT jsonb_build_object('v', current_setting('server_version_num')) AS v",
      ),
      ...both(
        "divergent interval_value",
        "SELECT make_interval(days => current_setting('server_version_num')::int4 / 10000) AS v",
      ),
      ...both(
        "divergent timestamp_value",
        "SELECT '2024-01-01'::date + current_setting('server_version_num')::int4 / 10000 AS v",
      ),
      ...both(
        "divergent bytea_value",
        "SELECT convert_to(current_setting('server_version'), 'UTF8') AS v",
      ),
      ...both(
        "divergent value",
        "SELECT (ARRAY['sad','ok','happy']::mood[])[current_setting('server_version_num')::int4 / 10000 - 13] AS v",
      ),
      ...both(
        "divergent value",
        "SELECT ROW('a', current_setting('server_version_num')::int4, 'ok')::address AS v",
      ),
      ...both(
        "divergent value",
        "SELECT int4range(1, current_setting('server_version_num')::int4) AS v",
      ),
      ...both(
        "tolerated numeric_scale",
        "SELECT round(1.5, current_setting('server_version_num')::int4 / 10000) AS v",
        "SELECT ARRAY[round(1.5, current_setting('server_version_num')::int4 / 10000)] AS v",
      ),
      ...both(
        "tolerated float_precision",
        "SELECT 0.1::float8 + (current_setting('server_version_num')::int4 / 150000) * 1.4e-17::float8 AS v",
      ),
    ],
  },
  {
    name: "another time zone",
    primary: { TimeZone: "UTC" },
    shadow: { TimeZone: "America/St_Johns" },
    queries: [
      ...all("tolerated timestamp_zone", ...MOMENTS),
      ...same(
        "SELECT 'infinity'::timestamptz AS v",
        "SELECT '2024-01-15 10:00:00'::timestamp AS v",
      ),
      ...both("divergent text_value", "SELECT '2024-01-15 10:00:00+00'::timestamptz::text AS v"),
      ...both("divergent timestamp_value", "SELECT '2024-01-15 10:00:00'::timestamptz AS v"),
      ...both(
        "divergent timestamp_value",
        "SELECT '2024-01-15 02:00:00+00'::timestamptz::date AS v",
      ),
      ...both(
        "divergent timestamp_value",
        "SELECT '2024-01-15 10:00:00+00'::timestamptz::timestamp AS v",
      ),
      // to_json writes the instant with the session's zone, and a document holds no instants.
      ...both("divergent json_value", "SELECT to_json('2024-01-15 10:00:00+00'::timestamptz) AS v"),
    ],
  },
  ...["SQL, MDY", "SQL, DMY", "German", "Postgres, MDY", "Postgres, DMY"].map(
    (style): QueryGroup => ({
      name: `DateStyle ${style}`,
      primary: { DateStyle: "ISO, MDY", TimeZone: "UTC" },
      shadow: { DateStyle: style, TimeZone: "Europe/Berlin" },
      queries: [
        ...all(
          "tolerated date_style",
          "SELECT '2024-02-29'::date AS v",
          "SELECT '2024-03-04'::date AS v",
          "SELECT '0044-03-15 BC'::date AS v",
          "SELECT '2024-03-04 05:06:07.89'::timestamp AS v",
          "SELECT ARRAY['2024-03-04'::date, '2024-12-31'::date] AS v",
          "SELECT daterange('2024-01-01', '2024-02-01') AS v",
          "SELECT '2024-03-04 05:06:07+00'::timestamptz AS v",
          "SELECT '2024-07-04 05:06:07+00'::timestamptz AS v",
          "SELECT made FROM items ORDER BY id",
        ),
        ...same("SELECT 'infinity'::date AS v", "SELECT '12:34:56'::time AS v"),
        ...both("divergent text_value", "SELECT '2024-02-29'::date::text AS v"),
      ],
    }),
  ),
  ...["sql_standard", "iso_8601", "postgres_verbose"].map((style): QueryGroup => ({
    name: `IntervalStyle ${style}`,
    primary: { IntervalStyle: "postgres" },
    shadow: { IntervalStyle: style },
    queries: [
      ...all(
        "tolerated interval_style",
        "SELECT '1 year 2 mons 3 days 04:05:06.7'::interval AS v",
        "SELECT '-1 year -2 mons -3 days -04:05:06.7'::interval AS v",
        "SELECT '1 year -2 mons 3 days -04:05:06.7'::interval AS v",
        "SELECT '-1 days +02:03:00'::interval AS v",
        "SELECT '1 day -00:00:01'::interval AS v",
        "SELECT '1 year'::interval AS v",
        "SELECT '5 days'::interval AS v",
        "SELECT '0'::interval AS v",
        "SELECT '-00:00:00.000001'::interval AS v",
        "SELECT ARRAY['1 mon'::interval, '30 days'::interval] AS v",
      ),
      ...both("divergent text_value", "SELECT '1 year 2 mons'::interval::text AS v"),
    ],
  })),
  {
    name: "extra_float_digits 0",
    primary: { extra_float_digits: "1" },
    shadow: { extra_float_digits: "0" },
    queries: [
      ...all(
        "tolerated float_precision",
        "SELECT 1/3.0::float8 AS v",
        "SELECT 0.1::float8 + 0.2::float8 AS v",
        "SELECT pi() AS v, -pi() * 1e200 AS w",
        "SELECT (1/3.0)::float4 AS v",
        "SELECT 123456.789::float4 AS v",
        "SELECT ARRAY[1/3.0::float8, 2] AS v",
        "SELECT point(1/3.0, 2) AS v",
        "SELECT ROW(1, 1/3.0::float8) AS v",
        "SELECT score FROM items",
      ),
      ...same("SELECT 0.5::float8 AS v, 0.25::float4 AS w", "SELECT 'NaN'::float8 AS v"),
    ],
  },
  {
    name: "bytea_output escape",
    primary: { bytea_output: "hex" },
    shadow: { bytea_output: "escape" },
    queries: [
      ...all(
        "tolerated bytea_format",
        "SELECT '\\xdeadbeef'::bytea AS v",
        "SELECT '\\x61625c00'::bytea AS v",
        "SELECT ''::bytea AS v",
        "SELECT ARRAY['\\x6162'::bytea, NULL] AS v",
        "SELECT raw FROM items",
      ),
      ...both("divergent text_value", "SELECT '\\x6162'::bytea::text AS v"),
    ],
  },
];
