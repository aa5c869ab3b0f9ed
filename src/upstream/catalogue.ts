import { AdminQueryError } from "./admin-client.ts";
import type { AdminClient } from "./admin-client.ts";
import { CodedError } from "../base/errors.ts";
import { readRelations } from "./relations.ts";
import type { Relations } from "./relations.ts";

/** What Twinwire knows of a database from its system catalogue, at the moment it was read. */
export type Catalogue = {
  /** As `server_version_num`: 160014. */
  readonly serverVersion: number;
  /** Functions and procedures with a volatile overload in any schema: lower case, without schema. */
  readonly volatileFunctions: ReadonlySet<string>;
  /** `pg_type.typname` by oid, users' types, domains and arrays (`_int4`) included. */
  readonly typeNames: ReadonlyMap<number, string>;
  readonly relations: Relations;
  /** What users' types are made of, by oid. */
  readonly typeShapes: ReadonlyMap<number, TypeShape>;
};

/** `parts`: the base type, the element, the bounds, the range, or the fields in order. */
export type TypeShape = {
  readonly kind: "enum" | "domain" | "array" | "composite" | "range" | "multirange";
  readonly parts: readonly number[];
};

/** Since PostgreSQL 8.2. */
const SERVER_VERSION = "SELECT pg_catalog.current_setting('server_version_num')";

/** Since PostgreSQL 7.2. An aggregate is as volatile as its own entry says, which is never. */
const VOLATILE_FUNCTIONS =
  "SELECT DISTINCT pg_catalog.lower(p.proname) FROM pg_catalog.pg_proc AS p WHERE p.provolatile = 'v'";

/** Since PostgreSQL 7.2. */
const TYPE_NAMES = "SELECT t.oid, t.typname FROM pg_catalog.pg_type AS t";

/**
 * Since PostgreSQL 9.5. Oids below 10000 are PostgreSQL's own types, which need no asking. Through
 * JSON, because a range has had a multirange only since PostgreSQL 14.
 */
const TYPE_SHAPES = `
  SELECT t.oid, 'enum', '' FROM pg_catalog.pg_type AS t WHERE t.typtype = 'e'
  UNION ALL
  SELECT t.oid, 'domain', t.typbasetype::pg_catalog.text FROM pg_catalog.pg_type AS t
  WHERE t.typtype = 'd'
  UNION ALL
  SELECT t.typarray, 'array', t.oid::pg_catalog.text FROM pg_catalog.pg_type AS t
  WHERE t.typarray >= 10000
  UNION ALL
  SELECT r.rngtypid, 'range', r.rngsubtype::pg_catalog.text FROM pg_catalog.pg_range AS r
  WHERE r.rngtypid >= 10000
  UNION ALL
  SELECT m.multirange, 'multirange', m.range
  FROM (SELECT (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid AS multirange,
          r.rngtypid::pg_catalog.text AS range
        FROM pg_catalog.pg_range AS r) AS m
  WHERE m.multirange >= 10000
  UNION ALL
  SELECT c.reltype, 'composite',
    pg_catalog.string_agg(a.atttypid::pg_catalog.text, ',' ORDER BY a.attnum)
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE c.reltype <> 0 AND c.oid >= 16384
  GROUP BY c.reltype`;

/** Since PostgreSQL 10. Needs the right to read `pg_authid`, which superusers have. */
const SCRAM_VERIFIERS = `
  SELECT a.rolname, a.rolpassword FROM pg_catalog.pg_authid AS a
  WHERE a.rolcanlogin AND a.rolpassword LIKE 'SCRAM-SHA-256$%'
    AND (a.rolvaliduntil IS NULL OR a.rolvaliduntil > pg_catalog.now())`;

/** Reads the catalogue anew. @throws CodedError */
export async function readCatalogue(client: AdminClient): Promise<Catalogue> {
  const version = await client.query(SERVER_VERSION);
  const functions = await client.query(VOLATILE_FUNCTIONS);
  const types = await client.query(TYPE_NAMES);
  const relations = await readRelations(client);
  const shapes = await client.query(TYPE_SHAPES);
  return {
    serverVersion: Number(version[0]?.[0]),
    volatileFunctions: new Set(functions.map(([name]) => name ?? "")),
    typeNames: new Map(types.map(([oid, name]) => [Number(oid), name ?? ""])),
    relations,
    typeShapes: new Map(
      shapes.map(([oid, kind, parts]) => [Number(oid), shapeOf(kind ?? "", parts ?? "")]),
    ),
  };
}

function shapeOf(kind: string, parts: string): TypeShape {
  const oids = parts === "" ? [] : parts.split(",").map(Number);
  return { kind: kind as TypeShape["kind"], parts: oids };
}

/**
 * The SCRAM verifiers of the roles that may log in now, by role name: `SCRAM-SHA-256$…`, secret. Roles
 * with an md5 password or none are not among them.
 * @throws CodedError
 */
export async function readScramVerifiers(
  client: AdminClient,
): Promise<ReadonlyMap<string, string>> {
  try {
    const rows = await client.query(SCRAM_VERIFIERS);
    return new Map(rows.map(([role, verifier]) => [role ?? "", verifier ?? ""]));
  } catch (error) {
    if (!(error instanceof AdminQueryError) || error.reported !== INSUFFICIENT_PRIVILEGE)
      throw error;
    throw new CodedError(
      "backend_refused",
      "the admin user may not read pg_catalog.pg_authid: grant it SELECT there, or configure the users' passwords",
    );
  }
}

const INSUFFICIENT_PRIVILEGE = "42501";
