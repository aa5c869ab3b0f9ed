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
};

/** Since PostgreSQL 8.2. */
const SERVER_VERSION = "SELECT pg_catalog.current_setting('server_version_num')";

/** Since PostgreSQL 7.2. An aggregate is as volatile as its own entry says, which is never. */
const VOLATILE_FUNCTIONS =
  "SELECT DISTINCT pg_catalog.lower(p.proname) FROM pg_catalog.pg_proc AS p WHERE p.provolatile = 'v'";

/** Since PostgreSQL 7.2. */
const TYPE_NAMES = "SELECT t.oid, t.typname FROM pg_catalog.pg_type AS t";

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
  return {
    serverVersion: Number(version[0]?.[0]),
    volatileFunctions: new Set(functions.map(([name]) => name ?? "")),
    typeNames: new Map(types.map(([oid, name]) => [Number(oid), name ?? ""])),
    relations,
  };
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
