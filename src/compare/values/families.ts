import { arrayFamily, vectorFamily } from "./array.ts";
import { HSTORE, TSVECTOR } from "./extensions.ts";
import { geometricFamily } from "./geometric.ts";
import { LSN, OBJECT_NAME, SINGLE_BYTE, SNAPSHOT, TID, VERSIONED_TEXT } from "./internals.ts";
import { INTERVAL } from "./interval.ts";
import { JSON_DOCUMENT } from "./json.ts";
import { BITS, MAC, NETWORK } from "./network.ts";
import { FLOAT4, FLOAT8, INTEGER, MONEY, NUMERIC, UNSIGNED } from "./numbers.ts";
import { multirangeFamily, rangeFamily } from "./range.ts";
import { RECORD, UNKNOWN } from "./record.ts";
import { BOOLEAN, BYTEA, PADDED, TEXT, UUID } from "./texts.ts";
import { DATE, TIMESTAMP, TIMESTAMPTZ, TIME_OF_DAY, TIME_OF_DAY_ZONED } from "./times.ts";
import { TSQUERY } from "./tsquery.ts";
import type { Family } from "./value.ts";

/** The family of one of PostgreSQL's own types or an extension's by its name in `pg_type`. */
export function familyOf(typeName: string | undefined): Family {
  if (typeName === undefined) return UNKNOWN;
  const known = FAMILIES.get(typeName);
  if (known !== undefined) return known;
  const bound = RANGES.get(typeName);
  if (bound !== undefined) return rangeFamily(bound);
  const multiBound = RANGES.get(typeName.replace(/multirange$/, "range"));
  if (multiBound !== undefined) return multirangeFamily(rangeFamily(multiBound));
  if (typeName.startsWith("_")) return arrayFamily(familyOf(typeName.slice(1)));
  return UNKNOWN;
}

/** What their bounds are. */
const RANGES: ReadonlyMap<string, Family> = new Map([
  ["int4range", INTEGER],
  ["int8range", INTEGER],
  ["numrange", NUMERIC],
  ["daterange", DATE],
  ["tsrange", TIMESTAMP],
  ["tstzrange", TIMESTAMPTZ],
]);

const OBJECT_TYPES: readonly string[] = [
  "regproc",
  "regprocedure",
  "regoper",
  "regoperator",
  "regclass",
  "regtype",
  "regrole",
  "regnamespace",
  "regcollation",
  "regconfig",
  "regdictionary",
];

const FAMILIES: ReadonlyMap<string, Family> = new Map([
  ["int2", INTEGER],
  ["int4", INTEGER],
  ["int8", INTEGER],
  ["oid", UNSIGNED],
  ["xid", UNSIGNED],
  ["xid8", UNSIGNED],
  ["cid", UNSIGNED],
  ["numeric", NUMERIC],
  ["float4", FLOAT4],
  ["float8", FLOAT8],
  ["money", MONEY],
  ["text", TEXT],
  ["varchar", TEXT],
  ["name", TEXT],
  ["citext", TEXT],
  ["unknown", TEXT],
  ["cstring", TEXT],
  ["xml", TEXT],
  ["refcursor", TEXT],
  ["bpchar", PADDED],
  ["char", SINGLE_BYTE],
  ["bool", BOOLEAN],
  ["bytea", BYTEA],
  ["uuid", UUID],
  ["date", DATE],
  ["time", TIME_OF_DAY],
  ["timetz", TIME_OF_DAY_ZONED],
  ["timestamp", TIMESTAMP],
  ["timestamptz", TIMESTAMPTZ],
  ["interval", INTERVAL],
  ["json", JSON_DOCUMENT],
  ["jsonb", JSON_DOCUMENT],
  ["inet", NETWORK],
  ["cidr", NETWORK],
  ["macaddr", MAC],
  ["macaddr8", MAC],
  ["bit", BITS],
  ["varbit", BITS],
  ...["point", "line", "lseg", "box", "path", "polygon", "circle", "cube"].map(
    (name): [string, Family] => [name, geometricFamily(name)],
  ),
  ["tsvector", TSVECTOR],
  ["tsquery", TSQUERY],
  ["pg_lsn", LSN],
  ["tid", TID],
  ["pg_snapshot", SNAPSHOT],
  ["txid_snapshot", SNAPSHOT],
  ["int2vector", vectorFamily(INTEGER)],
  ["oidvector", vectorFamily(UNSIGNED)],
  ...["jsonpath", "ltree", "lquery", "ltxtquery"].map((name): [string, Family] => [
    name,
    VERSIONED_TEXT,
  ]),
  ...OBJECT_TYPES.map((name): [string, Family] => [name, OBJECT_NAME]),
  ["hstore", HSTORE],
  ["record", RECORD],
]);
