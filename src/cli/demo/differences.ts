/**
 * What really differs between PostgreSQL 14 and 16 for an application that does nothing unusual.
 * Each row was seen on both servers, and a test sees it again: `old` and `new` are what they say.
 */
import type { DifferenceReason } from "../../compare/verdict.ts";

/** One difference in behaviour between the two major versions, shown by one statement. */
export type Difference = {
  /** Short and stable; what the summary calls it. */
  readonly name: string;
  readonly statement: string;
  /** Parameters: the statement then goes through the extended protocol. */
  readonly values?: readonly string[];
  /** What PostgreSQL 14 answers: `column = value, …` of the first row, or `error SQLSTATE`. */
  readonly old: string;
  /** What PostgreSQL 16 answers. */
  readonly new: string;
  /** The word for it while old is primary; with new as primary the two `error_on_…` change places. */
  readonly reason: DifferenceReason;
  /** The version that brought the change. */
  readonly since: 15 | 16;
  readonly why: string;
};

export const DIFFERENCES: readonly Difference[] = [
  {
    name: "digits grouped with an underscore",
    statement: "SELECT sku, price * 1_000 FROM products WHERE id = 7",
    old: "sku = P-0007, _000 = 60.33",
    new: "sku = P-0007, ?column? = 60330.00",
    reason: "column_name",
    since: 16,
    why: "16 reads 1_000 as a thousand; before, it was the number 1 with the column name _000.",
  },
  {
    name: "hexadecimal number",
    statement: "SELECT sku, flags & 0x0F FROM products WHERE id = 7",
    old: "sku = P-0007, x0f = 0",
    new: "sku = P-0007, ?column? = 3",
    reason: "column_name",
    since: 16,
    why: "16 reads 0x0F as fifteen; before, it was the number 0 with the column name x0f.",
  },
  {
    name: "octal number",
    statement: "SELECT name, 0o17 FROM shops WHERE id = 1",
    old: "name = Zürich, o17 = 0",
    new: "name = Zürich, ?column? = 15",
    reason: "column_name",
    since: 16,
    why: "16 reads 0o17 as fifteen; before, it was the number 0 with the column name o17.",
  },
  {
    name: "number running into a name",
    statement: "SELECT 123abc",
    old: "abc = 123",
    new: "error 42601",
    reason: "error_on_shadow",
    since: 15,
    why: "Since 15 a number must end before a letter; before, the rest became the column's name.",
  },
  {
    name: "number running into a keyword",
    statement: "SELECT sku FROM products WHERE id > 3and id < 6 ORDER BY id",
    old: "sku = P-0004",
    new: "error 42601",
    reason: "error_on_shadow",
    since: 15,
    why: "A space forgotten when SQL is put together from pieces went unnoticed before 15.",
  },
  {
    name: "rights in the public schema",
    statement: "SELECT has_schema_privilege('public', 'CREATE')",
    old: "has_schema_privilege = t",
    new: "has_schema_privilege = f",
    reason: "boolean_value",
    since: 15,
    why: "Since 15 an ordinary role may no longer create tables in the schema public of a new database.",
  },
  {
    name: "fractions of a year",
    statement: "SELECT timestamp '2024-03-01' + interval '2.9 years' AS warranty_until",
    old: "warranty_until = 2027-01-01 00:00:00",
    new: "warranty_until = 2027-02-01 00:00:00",
    reason: "timestamp_value",
    since: 15,
    why: "A fraction of a unit above the month is now rounded to whole months; before, it was cut off.",
  },
  {
    name: "time zone offset in to_char",
    statement:
      "SELECT to_char(placed_at, 'YYYY-MM-DD HH24:MI of') AS placed FROM orders WHERE id = md5('order 0')::uuid",
    old: "placed = 2023-01-01 08:00 of",
    new: "placed = 2023-01-01 08:00 +00",
    reason: "text_value",
    since: 15,
    why: "The pattern of (and tzh, tzm) works in lower case since 15; before, the letters were printed.",
  },
  {
    name: "empty word in a text search vector",
    statement: "SELECT array_to_tsvector(string_to_array('red,,blue', ','))",
    old: "array_to_tsvector = '' 'blue' 'red'",
    new: "error 2200F",
    reason: "error_on_shadow",
    since: 15,
    why: "An empty string was taken as a word before 15 and is refused now.",
  },
  {
    name: "column called system_user",
    statement: "SELECT id, system_user FROM support_tickets WHERE id = 1",
    old: "id = 1, system_user = agent1",
    new: "id = 1, system_user = scram-sha-256:app",
    reason: "text_value",
    since: 16,
    why: "system_user is a keyword in 16 and gives how the session logged in, not the column of that name.",
  },
  {
    name: "negative character number",
    statement: "SELECT chr(-1)",
    old: "error 54000",
    new: "error 22023",
    reason: "error_code",
    since: 15,
    why: "Both refuse it, with different SQLSTATEs; code that looks at the SQLSTATE notices.",
  },
  {
    name: "rounding to tens by type",
    statement: "SELECT sku, price::numeric(4, -1) FROM products WHERE id = 7",
    old: "error 22023",
    new: "sku = P-0007, price = 60",
    reason: "error_on_primary",
    since: 15,
    why: "A numeric may have a negative scale since 15.",
  },
  {
    name: "subquery without an alias",
    statement: "SELECT count(*) FROM (SELECT id FROM products WHERE id < 10)",
    old: "error 42601",
    new: "count = 9",
    reason: "error_on_primary",
    since: 16,
    why: "16 no longer asks for a name; code that uses this freedom cannot go back to 14.",
  },
  {
    name: "hexadecimal text as an integer",
    statement: "SELECT sku FROM products WHERE id = $1::integer",
    values: ["0x1F"],
    old: "error 22P02",
    new: "sku = P-0031",
    reason: "error_on_primary",
    since: 16,
    why: "16 takes 0x1F and 1_000 as input of integers too; a check of user input by a cast now lets them in.",
  },
  {
    name: "dates written y…m…d…",
    statement: "SELECT count(*) FROM orders WHERE placed_at < 'y2024m02d29'::date",
    old: "count = 1962",
    new: "error 22007",
    reason: "error_on_shadow",
    since: 16,
    why: "This undocumented way to write a date was removed.",
  },
  {
    name: "petabytes",
    statement: "SELECT pg_size_pretty(20000000000000000)",
    old: "pg_size_pretty = 18190 TB",
    new: "pg_size_pretty = 18 PB",
    reason: "text_value",
    since: 15,
    why: "The unit PB is known since 15; before, the greatest was TB.",
  },
  {
    name: "numbers in JSON paths",
    statement: "SELECT count(*) FROM products WHERE attributes @? '$.weight ? (@ > .5)'",
    old: "error 42601",
    new: "count = 190",
    reason: "error_on_primary",
    since: 15,
    why: "A number may begin with its decimal point in a JSON path since 15.",
  },
  {
    name: "new regular expression functions",
    statement: "SELECT sku, regexp_count(name, 'e') FROM products WHERE id = 7",
    old: "error 42883",
    new: "sku = P-0007, regexp_count = 1",
    reason: "error_on_primary",
    since: 15,
    why: "regexp_count and its kin came with 15; what uses them cannot go back to 14.",
  },
  {
    name: "IS JSON",
    statement: "SELECT count(*) FROM products WHERE attributes::text IS JSON OBJECT",
    old: "error 42601",
    new: "count = 240",
    reason: "error_on_primary",
    since: 16,
    why: "The predicate came with 16; what uses it cannot go back to 14.",
  },
  {
    name: "setting lc_collate",
    statement: "SHOW lc_collate",
    old: "lc_collate = C",
    new: "error 42704",
    reason: "error_on_shadow",
    since: 16,
    why: "The settings lc_collate and lc_ctype are gone; pg_database has them for each database.",
  },
  {
    name: "time zone of a plain time",
    statement: "SELECT extract(timezone FROM time '10:00')",
    old: "error 22023",
    new: "error 0A000",
    reason: "error_code",
    since: 15,
    why: "Both refuse it, with different SQLSTATEs.",
  },
];
