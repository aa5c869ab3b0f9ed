/**
 * Of every type: a value, the same value written otherwise, and another value. `type` is what the
 * literals are cast to.
 */
export type TypeCase = {
  readonly type: string;
  readonly value: string;
  readonly other: string;
  /** What the verdict says when the shadow has `other`. */
  readonly reason: string;
  /** A literal, or settings of the shadow's session, under which the same value is written otherwise. */
  readonly respelled?: {
    readonly value?: string;
    readonly settings?: Readonly<Record<string, string>>;
    readonly text: string;
    /** `match` unless said otherwise. */
    readonly binary?: string;
  };
  /** In binary `other` is told as this. */
  readonly binaryReason?: string;
  /** The type has no binary form. */
  readonly textOnly?: true;
  /** Binary and text of the value are not compared with each other. */
  readonly unmixed?: string;
};

/** Types of a user, made in another order on the shadow, so that no oid is the same. */
const USER_TYPES: readonly string[] = [
  "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
  "CREATE DOMAIN cents AS numeric(12,2) CHECK (value > -1000000)",
  "CREATE DOMAIN moment AS timestamptz",
  "CREATE DOMAIN moods AS mood[]",
  "CREATE TYPE address AS (street text, number int4, feeling mood, since timestamptz)",
  "CREATE TYPE person AS (name varchar(20), lives address, worth cents, weight float8)",
  "CREATE TYPE span AS RANGE (subtype = float8)",
  "CREATE TYPE mood_range AS RANGE (subtype = mood)",
  "CREATE TYPE \"Odd Name\" AS ENUM ('x', 'y')",
  "CREATE TABLE _things (id int4, at timestamptz, gone int4, f float8)",
  "ALTER TABLE _things DROP COLUMN gone",
];
const EXTENSIONS: readonly string[] = ["hstore", "citext", "ltree", "cube", "seg", "isn"];
const MADE = EXTENSIONS.map((name) => `CREATE EXTENSION ${name}`);

export const SCHEMAS: readonly [readonly string[], readonly string[]] = [
  [...USER_TYPES, ...MADE],
  ["CREATE TYPE filler AS ENUM ('a')", "CREATE TABLE filling (a filler)", ...MADE, ...USER_TYPES],
];

const ZONE = { settings: { TimeZone: "Asia/Kolkata" }, text: "tolerated timestamp_zone" };
const STYLE = { settings: { DateStyle: "German, DMY" }, text: "tolerated date_style" };
const INTERVAL = { settings: { IntervalStyle: "iso_8601" }, text: "tolerated interval_style" };
const DIGITS = { settings: { extra_float_digits: "0" }, text: "tolerated float_precision" };
const ESCAPED = { settings: { bytea_output: "escape" }, text: "tolerated bytea_format" };
const scaled = (value: string): NonNullable<TypeCase["respelled"]> => ({
  value,
  text: "tolerated numeric_scale",
  binary: "tolerated numeric_scale",
});
const ROW = "1.50,10";

export const TYPE_CASES: readonly TypeCase[] = [
  { type: "bool", value: "true", other: "false", reason: "boolean_value" },
  { type: "int2", value: "-32768", other: "-32767", reason: "numeric_value" },
  { type: "int4", value: "2147483647", other: "-2147483648", reason: "numeric_value" },
  {
    type: "int8",
    value: "9223372036854775807",
    other: "9223372036854775806",
    reason: "numeric_value",
  },
  { type: "oid", value: "4294967295", other: "0", reason: "numeric_value" },
  { type: "xid", value: "3", other: "4", reason: "numeric_value" },
  { type: "xid8", value: "18446744073709551615", other: "1", reason: "numeric_value" },
  { type: "cid", value: "3", other: "4", reason: "numeric_value" },
  { type: "tid", value: "(7,8)", other: "(7,9)", reason: "value" },
  {
    type: "numeric",
    value: "1.50",
    other: "1.51",
    reason: "numeric_value",
    respelled: scaled("1.5"),
  },
  { type: "numeric", value: "NaN", other: "0", reason: "numeric_value" },
  { type: "numeric", value: "Infinity", other: "-Infinity", reason: "numeric_value" },
  {
    type: "numeric",
    value: "100000",
    other: "1000000",
    reason: "numeric_value",
    respelled: scaled("100000.000"),
  },
  {
    type: "numeric",
    value: "-0.000123",
    other: "0.000123",
    reason: "numeric_value",
    respelled: scaled("-0.00012300"),
  },
  {
    type: "float8",
    value: "0.3333333333333333",
    other: "0.33333333333",
    reason: "numeric_value",
    respelled: DIGITS,
  },
  { type: "float8", value: "-Infinity", other: "NaN", reason: "numeric_value" },
  {
    type: "float8",
    value: "0",
    other: "1e-300",
    reason: "numeric_value",
    respelled: { value: "-0", text: "tolerated value_format", binary: "tolerated value_format" },
  },
  {
    type: "float4",
    value: "0.33333334",
    other: "0.3334",
    reason: "numeric_value",
    respelled: DIGITS,
  },
  { type: "money", value: "1234.56", other: "1234.57", reason: "numeric_value" },
  { type: "money", value: "-0.01", other: "0.01", reason: "numeric_value" },
  { type: "text", value: "abc", other: "abd", reason: "text_value" },
  { type: "text", value: "abc", other: "ABC", reason: "text_case" },
  { type: "text", value: "abc", other: "abc ", reason: "trailing_space" },
  { type: "text", value: "Ünïcödé 😀", other: "Unïcödé 😀", reason: "text_value" },
  { type: "varchar(5)", value: "abc", other: "abcd", reason: "text_value" },
  {
    type: "bpchar",
    value: "ab",
    other: "abc",
    reason: "text_value",
    respelled: {
      value: "ab  ",
      text: "tolerated trailing_space",
      binary: "tolerated trailing_space",
    },
  },
  { type: "char(4)", value: "ab", other: "abc", reason: "text_value" },
  { type: "name", value: "abc", other: "abd", reason: "text_value" },
  { type: '"char"', value: "r", other: "v", reason: "value" },
  { type: "citext", value: "Abc", other: "abc", reason: "text_case" },
  {
    type: "bytea",
    value: "\\xdeadbeef",
    other: "\\xdeadbeee",
    reason: "bytea_value",
    respelled: ESCAPED,
  },
  {
    type: "date",
    value: "2024-02-29",
    other: "2024-03-01",
    reason: "timestamp_value",
    respelled: STYLE,
  },
  {
    type: "date",
    value: "0044-03-15 BC",
    other: "0044-03-15",
    reason: "timestamp_value",
    respelled: STYLE,
  },
  { type: "date", value: "infinity", other: "-infinity", reason: "timestamp_value" },
  { type: "time", value: "12:34:56.789", other: "12:34:56.788", reason: "timestamp_value" },
  {
    type: "timetz",
    value: "12:34:56+02",
    other: "12:34:56+03",
    reason: "timestamp_value",
    respelled: {
      value: "10:34:56+00",
      text: "tolerated timestamp_zone",
      binary: "tolerated timestamp_zone",
    },
  },
  {
    type: "timestamp",
    value: "2024-02-29 23:59:59.5",
    other: "2024-02-29 23:59:59",
    reason: "timestamp_value",
    respelled: STYLE,
  },
  { type: "timestamp", value: "infinity", other: "2024-01-01", reason: "timestamp_value" },
  {
    type: "timestamptz",
    value: "2024-02-29 23:30:00+00",
    other: "2024-02-29 23:30:00+01",
    reason: "timestamp_value",
    respelled: ZONE,
  },
  {
    type: "timestamptz",
    value: "0044-03-15 12:00:00+00 BC",
    other: "0044-03-15 12:00:00+00",
    reason: "timestamp_value",
    respelled: ZONE,
  },
  {
    type: "interval",
    value: "1 year 2 mons -3 days 04:05:06.7",
    other: "1 year 2 mons 3 days 04:05:06.7",
    reason: "interval_value",
    respelled: INTERVAL,
  },
  {
    type: "interval",
    value: "1 mon",
    other: "30 days",
    reason: "interval_value",
    respelled: INTERVAL,
  },
  {
    type: "json",
    value: '{"a": 1, "b": [true, null]}',
    other: '{"a": 1, "b": [true, 0]}',
    reason: "json_value",
    respelled: {
      value: '{"b":[true,null],"a":1.0}',
      text: "tolerated json_format",
      binary: "tolerated json_format",
    },
  },
  {
    type: "jsonb",
    value: '{"a": 1, "b": "é"}',
    other: '{"a": "1", "b": "é"}',
    reason: "json_value",
    respelled: {
      value: '{"a": 1.00, "b": "é"}',
      text: "tolerated json_format",
      binary: "tolerated json_format",
    },
  },
  { type: "jsonpath", value: "$.a[*]", other: "$.b[*]", reason: "value" },
  { type: "xml", value: "<a>b</a>", other: "<a>c</a>", reason: "text_value" },
  {
    type: "uuid",
    value: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    other: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
    reason: "value",
  },
  { type: "inet", value: "10.0.0.1/8", other: "10.0.0.1", reason: "value" },
  { type: "inet", value: "2001:db8::1", other: "2001:db8::2", reason: "value" },
  { type: "inet", value: "::ffff:1.2.3.4", other: "1.2.3.4", reason: "value" },
  { type: "cidr", value: "10.0.0.0/8", other: "10.0.0.0/9", reason: "value" },
  { type: "macaddr", value: "08:00:2b:01:02:03", other: "08:00:2b:01:02:04", reason: "value" },
  {
    type: "macaddr8",
    value: "08:00:2b:01:02:03:04:05",
    other: "08:00:2b:01:02:03:04:06",
    reason: "value",
  },
  { type: "bit(5)", value: "10110", other: "10111", reason: "value" },
  { type: "varbit", value: "101", other: "1010", reason: "value" },
  {
    type: "point",
    value: "(0.3333333333333333,2)",
    other: "(0.3,2)",
    reason: "value",
    respelled: DIGITS,
  },
  {
    type: "line",
    value: "{1,-1,0.3333333333333333}",
    other: "{1,-1,1}",
    reason: "value",
    respelled: DIGITS,
  },
  { type: "lseg", value: "[(1,2),(3,4)]", other: "[(1,2),(3,5)]", reason: "value" },
  { type: "box", value: "(3,4),(1,2)", other: "(3,4),(1,1)", reason: "value" },
  { type: "path", value: "[(1,2),(3,4)]", other: "((1,2),(3,4))", reason: "value" },
  {
    type: "polygon",
    value: "((1,2),(3,4),(0.3333333333333333,6))",
    other: "((1,2),(3,4),(5,7))",
    reason: "value",
    respelled: DIGITS,
  },
  { type: "circle", value: "<(1,2),3>", other: "<(1,2),4>", reason: "value" },
  { type: "tsvector", value: "a:1A b:2 'it''s':3", other: "a:1 b:2 'it''s':3", reason: "value" },
  {
    type: "tsquery",
    value: "a & (b | !c:*A) <2> d",
    other: "a & (b | c:*A) <2> d",
    reason: "value",
  },
  { type: "tsquery", value: "'it''s' & b & c", other: "'it''s' & c & b", reason: "value" },
  { type: "pg_lsn", value: "16/B374D848", other: "16/B374D849", reason: "value" },
  { type: "pg_snapshot", value: "10:20:10,14,15", other: "10:20:10,14", reason: "value" },
  { type: "txid_snapshot", value: "10:20:10,14,15", other: "10:20:", reason: "value" },
  { type: "refcursor", value: "c", other: "d", reason: "text_value" },
  { type: "int2vector", value: "1 2 3", other: "1 2 4", reason: "array_value" },
  { type: "oidvector", value: "1 2 3", other: "", reason: "array_value" },
  {
    type: "regclass",
    value: "pg_class",
    other: "pg_proc",
    reason: "value",
    binaryReason: "incomparable server",
    unmixed: "incomparable server",
  },
  {
    type: "regtype",
    value: "int4",
    other: "int8",
    reason: "value",
    binaryReason: "incomparable server",
    unmixed: "incomparable server",
  },
  {
    type: "regconfig",
    value: "simple",
    other: "english",
    reason: "value",
    binaryReason: "incomparable server",
    unmixed: "incomparable server",
  },
  { type: "int4[]", value: "{1,NULL,3}", other: "{1,NULL,4}", reason: "array_value" },
  { type: "int4[]", value: "{}", other: "{0}", reason: "array_value" },
  { type: "int4[]", value: "[0:1]={7,8}", other: "{7,8}", reason: "array_value" },
  { type: "int4[]", value: "{{1,2},{3,4}}", other: "{{1,2},{3,5}}", reason: "array_value" },
  {
    type: "text[]",
    value: '{a,"b c","d\\"e",NULL,"NULL",""}',
    other: '{a,"b c","d\\"e",NULL,NULL,""}',
    reason: "array_value",
  },
  {
    type: "numeric[]",
    value: "{1.50,2}",
    other: "{1.51,2}",
    reason: "array_value",
    respelled: scaled("{1.5,2}"),
  },
  {
    type: "float8[]",
    value: "{0.3333333333333333}",
    other: "{0.34}",
    reason: "array_value",
    respelled: DIGITS,
  },
  {
    type: "timestamptz[]",
    value: '{"2024-02-29 23:30:00+00"}',
    other: '{"2024-02-29 23:31:00+00"}',
    reason: "array_value",
    respelled: ZONE,
  },
  {
    type: "interval[]",
    value: '{"1 mon"}',
    other: '{"1 day"}',
    reason: "array_value",
    respelled: INTERVAL,
  },
  {
    type: "bytea[]",
    value: '{"\\\\xdead"}',
    other: '{"\\\\xdeae"}',
    reason: "array_value",
    respelled: ESCAPED,
  },
  {
    type: "box[]",
    value: "{(3,4),(1,2);(1,1),(0,0)}",
    other: "{(3,4),(1,2)}",
    reason: "array_value",
  },
  { type: "jsonb[]", value: '{"{\\"a\\": 1}"}', other: '{"{\\"a\\": 2}"}', reason: "array_value" },
  { type: "tsquery[]", value: "{'a & b'}", other: "{'a | b'}", reason: "array_value" },
  { type: "int4range", value: "[1,10)", other: "[1,11)", reason: "value" },
  { type: "int8range", value: "(,5)", other: "(,6)", reason: "value" },
  { type: "int4range", value: "empty", other: "[1,2)", reason: "value" },
  {
    type: "numrange",
    value: "[1.0,2.50]",
    other: "[1.0,2.51]",
    reason: "value",
    respelled: scaled("[1,2.5]"),
  },
  {
    type: "daterange",
    value: "[2024-01-01,2024-02-01)",
    other: "[2024-01-01,2024-02-02)",
    reason: "value",
    respelled: STYLE,
  },
  {
    type: "tsrange",
    value: "[2024-01-01,infinity)",
    other: "[2024-01-01,)",
    reason: "value",
    respelled: STYLE,
  },
  {
    type: "tstzrange",
    value: '["2024-01-15 10:00:00+00",)',
    other: '["2024-01-15 11:00:00+00",)',
    reason: "value",
    respelled: ZONE,
  },
  { type: "int4multirange", value: "{[1,3),[5,8)}", other: "{[1,3),[5,9)}", reason: "value" },
  {
    type: "tstzmultirange",
    value: '{["2024-01-15 10:00:00+00",)}',
    other: "{}",
    reason: "value",
    respelled: ZONE,
  },
  {
    type: "nummultirange",
    value: "{[1.0,2.0)}",
    other: "{[1.0,2.1)}",
    reason: "value",
    respelled: scaled("{[1,2)}"),
  },
  { type: "int4range[]", value: '{"[1,3)"}', other: '{"[1,4)"}', reason: "array_value" },
  {
    type: "hstore",
    value: 'a=>1, b=>NULL, "c d"=>"e,f"',
    other: 'a=>1, b=>"NULL", "c d"=>"e,f"',
    reason: "value",
  },
  { type: "ltree", value: "Top.A", other: "Top.B", reason: "value" },
  { type: "lquery", value: "*.A*", other: "*.B*", reason: "value" },
  { type: "ltxtquery", value: "A & B", other: "A & C", reason: "value" },
  {
    type: "cube",
    value: "(0.3333333333333333,2),(3,4)",
    other: "(1,2),(3,5)",
    reason: "value",
    respelled: DIGITS,
  },
  { type: "cube", value: "(1,2)", other: "(1,2,3)", reason: "value" },
  {
    type: "isbn",
    value: "0-393-04002-X",
    other: "0-306-40615-2",
    reason: "value",
    textOnly: true,
  },
  { type: "seg", value: "1.5 .. 2.5", other: "1.5 .. 3", reason: "value", textOnly: true },
  { type: "mood", value: "happy", other: "sad", reason: "value" },
  { type: '"Odd Name"', value: "x", other: "y", reason: "value" },
  { type: "mood[]", value: "{happy,NULL}", other: "{sad,NULL}", reason: "array_value" },
  { type: "moods", value: "{happy}", other: "{ok}", reason: "array_value" },
  { type: "cents", value: "7", other: "8", reason: "numeric_value" },
  { type: "cents[]", value: "{7,8.5}", other: "{7,8.51}", reason: "array_value" },
  {
    type: "moment",
    value: "2024-02-29 23:30:00+00",
    other: "2024-02-29 23:30:01+00",
    reason: "timestamp_value",
    respelled: ZONE,
  },
  {
    type: "moment[]",
    value: '{"2024-02-29 23:30:00+00"}',
    other: '{"2024-02-29 23:30:01+00"}',
    reason: "array_value",
    respelled: ZONE,
  },
  {
    type: "address",
    value: '("Main St, 1",12,ok,"2024-01-15 10:00:00+00")',
    other: '("Main St, 1",13,ok,"2024-01-15 10:00:00+00")',
    reason: "value",
    respelled: ZONE,
  },
  {
    type: "address[]",
    value: '{"(\\"a b\\",,ok,\\"2024-01-15 10:00:00+00\\")"}',
    other: '{"(\\"a b\\",,sad,\\"2024-01-15 10:00:00+00\\")"}',
    reason: "array_value",
    respelled: ZONE,
  },
  {
    type: "person",
    value: `(Ann,"(a,1,happy,\\"2024-01-15 10:00:00+00\\")",${ROW})`,
    other: `(Ann,"(a,1,happy,\\"2024-01-15 10:00:01+00\\")",${ROW})`,
    reason: "value",
    respelled: ZONE,
  },
  {
    type: "person",
    value: "(Ann,,1.50,0.3333333333333333)",
    other: "(Ann,,1.50,0.34)",
    reason: "value",
    respelled: DIGITS,
  },
  {
    type: "_things",
    value: '(1,"2024-01-15 10:00:00+00",2)',
    other: '(2,"2024-01-15 10:00:00+00",2)',
    reason: "value",
    respelled: ZONE,
  },
  {
    type: "span",
    value: "[0.3333333333333333,2)",
    other: "[0.3333333333333333,3)",
    reason: "value",
    respelled: DIGITS,
  },
  {
    type: "span_multirange",
    value: "{[0.3333333333333333,2)}",
    other: "{[0.4,2)}",
    reason: "value",
    respelled: DIGITS,
  },
  {
    type: "span[]",
    value: '{"[0.3333333333333333,2)"}',
    other: '{"[1,2)"}',
    reason: "array_value",
    respelled: DIGITS,
  },
  { type: "mood_range", value: "[sad,ok]", other: "[sad,happy]", reason: "value" },
];
