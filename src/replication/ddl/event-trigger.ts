import { WorkError } from "../../upstream/work-error.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import { OWN_SCHEMA } from "../names.ts";
import { describeSql } from "./table-description.ts";
import type { TableDescription } from "./table-description.ts";

/** Of the messages that tell of a change of definitions, in their place among the rows. */
export const DDL_PREFIX = "twinwire.ddl";

/** What such a message holds, as JSON. */
export type DdlMessage = {
  /** As the server calls the command: `ALTER TABLE`. */
  readonly tag: string;
  /** As they are after it. */
  readonly tables: readonly TableDescription[];
  readonly dropped: readonly {
    readonly oid: number;
    readonly schema: string;
    readonly name: string;
  }[];
};

/**
 * Writes a message of the command's own transaction into the log, for every command that may change a table: the table
 * itself, its indexes, the types of its columns, its schema. Since PostgreSQL 12. Whatever goes wrong in it is a warning: it
 * never is in the way of the command.
 *
 * A message stands in the log at its end, which is where the next record begins; of two subtransactions' entries at one place
 * either may come first. So another message stands between it and the first row of the new shape.
 */
const FUNCTION = `
  CREATE OR REPLACE FUNCTION ${OWN_SCHEMA}.notice_ddl() RETURNS event_trigger
  LANGUAGE plpgsql SET search_path = '' AS $notice$
  DECLARE
    touched oid[];
    dropped json;
    described json;
  BEGIN
    IF TG_EVENT = 'sql_drop' THEN
      SELECT json_agg(json_build_object('oid', o.objid::int8, 'schema', o.schema_name, 'name', o.object_name))
          FILTER (WHERE o.object_type IN ('table', 'partitioned table')),
        array_agg(o.objid) FILTER (WHERE o.object_type = 'table column')
      INTO dropped, touched
      FROM pg_event_trigger_dropped_objects() AS o
      WHERE o.classid = 'pg_catalog.pg_class'::regclass AND NOT o.is_temporary
        AND o.schema_name IS DISTINCT FROM '${OWN_SCHEMA}';
    ELSE
      SELECT array_agg(DISTINCT t.oid) INTO touched
      FROM pg_event_trigger_ddl_commands() AS e
      CROSS JOIN LATERAL (
        SELECT e.objid WHERE e.classid = 'pg_catalog.pg_class'::regclass
        UNION ALL SELECT i.indrelid FROM pg_catalog.pg_index AS i
          WHERE e.classid = 'pg_catalog.pg_class'::regclass AND i.indexrelid = e.objid
        UNION ALL SELECT a.attrelid FROM pg_catalog.pg_attribute AS a
          WHERE e.classid = 'pg_catalog.pg_type'::regclass AND a.atttypid = e.objid AND a.attnum > 0
        UNION ALL SELECT r.oid FROM pg_catalog.pg_class AS r
          WHERE e.classid = 'pg_catalog.pg_namespace'::regclass AND r.relnamespace = e.objid) AS t(oid);
    END IF;
    SELECT json_agg(${describeSql("NULL")}) INTO described
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (touched) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
      AND n.nspname <> '${OWN_SCHEMA}';
    IF described IS NOT NULL OR dropped IS NOT NULL THEN
      PERFORM pg_logical_emit_message(true, '${DDL_PREFIX}', json_build_object('tag', TG_TAG,
        'tables', coalesce(described, '[]'), 'dropped', coalesce(dropped, '[]'))::text);
      PERFORM pg_logical_emit_message(true, '${OWN_SCHEMA}.pad', '');
    END IF;
  EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'Twinwire could not tell its log of this command: %', SQLERRM;
  END $notice$`;

/** Needs the schema; may be run again. */
const INSTALL_DDL_TRIGGER_SQL = `
  BEGIN;
  ${FUNCTION};
  DROP EVENT TRIGGER IF EXISTS ${OWN_SCHEMA}_ddl_end;
  DROP EVENT TRIGGER IF EXISTS ${OWN_SCHEMA}_ddl_drop;
  CREATE EVENT TRIGGER ${OWN_SCHEMA}_ddl_end ON ddl_command_end EXECUTE FUNCTION ${OWN_SCHEMA}.notice_ddl();
  CREATE EVENT TRIGGER ${OWN_SCHEMA}_ddl_drop ON sql_drop EXECUTE FUNCTION ${OWN_SCHEMA}.notice_ddl();
  COMMIT`;

export type DdlTriggerOutcome =
  | { readonly kind: "installed" }
  /** Changes are then noticed by their first row, or by looking now and then. */
  | { readonly kind: "denied"; readonly sentence: string };

/** Makes the event triggers where the role may; leaves nothing where it may not. */
export async function installDdlTrigger(session: WorkSession): Promise<DdlTriggerOutcome> {
  try {
    await session.execute(INSTALL_DDL_TRIGGER_SQL);
    return { kind: "installed" };
  } catch (error) {
    if (!session.over) await session.execute("ROLLBACK");
    if (!(error instanceof WorkError) || error.sqlstate !== "42501") throw error;
    const sentence =
      "the role may not make event triggers: a change of a table is noticed at its first row of the new shape, or by looking at the catalogue";
    return { kind: "denied", sentence };
  }
}

/** @returns undefined for what is none */
export function readDdlMessage(prefix: string, content: Buffer): DdlMessage | undefined {
  if (prefix !== DDL_PREFIX) return undefined;
  try {
    const message = JSON.parse(content.toString("utf8")) as Partial<DdlMessage> | null;
    return {
      tag: String(message?.tag ?? ""),
      tables: listOf(message?.tables),
      dropped: listOf(message?.dropped),
    };
  } catch {
    // Anybody may write messages of any prefix. The catalogue is looked at all the same.
    return { tag: "", tables: [], dropped: [] };
  }
}

function listOf<T extends object>(list: readonly T[] | undefined): readonly T[] {
  return Array.isArray(list)
    ? list.filter((entry) => typeof entry === "object" && entry !== null)
    : [];
}
