import { arrayFamily } from "./array.ts";
import { HSTORE, TSVECTOR } from "./extensions.ts";
import { geometricFamily } from "./geometric.ts";
import { INTERVAL } from "./interval.ts";
import { JSON_DOCUMENT } from "./json.ts";
import { BITS, MAC, NETWORK } from "./network.ts";
import { FLOAT4, FLOAT8, INTEGER, MONEY, NUMERIC, UNSIGNED } from "./numbers.ts";
import { multirangeFamily, rangeFamily } from "./range.ts";
import { recordFamily, unknownFamily } from "./record.ts";
import { BOOLEAN, BYTEA, LABEL, PADDED, TEXT, UUID } from "./texts.ts";
import { DATE, TIMESTAMP, TIMESTAMPTZ, TIME_OF_DAY, TIME_OF_DAY_ZONED } from "./times.ts";
import type { Family } from "./value.ts";

/** The family of a type by its name in `pg_type`; for a name unknown to us, bytes compared. */
export function familyOf(typeName: string | undefined): Family {
  if (typeName === undefined) return UNKNOWN;
  const known = FAMILIES.get(typeName);
  if (known !== undefined) return known;
  const bound = RANGES.get(typeName);
  if (bound !== undefined) return rangeFamily(bound, familyOf);
  const multiBound = RANGES.get(typeName.replace(/multirange$/, "range"));
  if (multiBound !== undefined) return multirangeFamily(multiBound, familyOf);
  if (typeName.startsWith("_")) return arrayFamily(typeName.slice(1), familyOf);
  return UNKNOWN;
}

/** Whether we know how values of the type are written. */
export function isKnownType(typeName: string | undefined): boolean {
  return familyOf(typeName) !== UNKNOWN;
}

const UNKNOWN: Family = unknownFamily(familyOf);

const RANGES: ReadonlyMap<string, string> = new Map([
  ["int4range", "int4"],
  ["int8range", "int8"],
  ["numrange", "numeric"],
  ["daterange", "date"],
  ["tsrange", "timestamp"],
  ["tstzrange", "timestamptz"],
]);

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
  ["bpchar", PADDED],
  ["char", LABEL],
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
  ...["point", "line", "lseg", "box", "path", "polygon", "circle"].map((name): [string, Family] => [
    name,
    geometricFamily(name),
  ]),
  ["tsvector", TSVECTOR],
  ["hstore", HSTORE],
  ["record", recordFamily(familyOf, "value")],
]);
