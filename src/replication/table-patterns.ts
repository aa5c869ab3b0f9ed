import { CodedError } from "../base/errors.ts";
import type { Ask } from "./read-shapes.ts";
import { OWN_SCHEMA } from "./names.ts";
import type { TableName } from "./table-shape.ts";
import { tableKey } from "./table-shape.ts";

/** `public.*`, `app.orders`, `!public.audit_*`, `"My Schema"."Odd.name"`. */
export type TablePattern = {
  readonly text: string;
  readonly excludes: boolean;
  /** It names one table. */
  readonly exact: boolean;
  matches(table: TableName): boolean;
};

type Part = { readonly source: string; readonly exact: boolean };

/** One part: in quotes as it stands, otherwise folded to lower case, with `*` for any characters. */
const PART = /^(?:"((?:[^"]|"")+)"|([^".!]+))/;

/**
 * A name without a schema is one of `public`.
 * @throws CodedError `config_invalid`
 */
export function parsePattern(text: string): TablePattern {
  const excludes = text.startsWith("!");
  const parts: Part[] = [];
  let rest = excludes ? text.slice(1) : text;
  for (;;) {
    const [all, quoted, plain] = PART.exec(rest) ?? [];
    if (all === undefined) throw notAPattern(text);
    parts.push(partOf(quoted, plain ?? ""));
    rest = rest.slice(all.length);
    if (rest === "") break;
    if (!rest.startsWith(".")) throw notAPattern(text);
    rest = rest.slice(1);
  }
  const [schema, name] = parts.length === 1 ? [partOf("public", ""), parts[0]] : parts;
  if (schema === undefined || name === undefined || parts.length > 2) throw notAPattern(text);
  const [inSchema, named] = [schema, name].map(({ source }) => new RegExp(`^${source}$`, "su"));
  return {
    text,
    excludes,
    exact: schema.exact && name.exact,
    matches: (table) => inSchema?.test(table.schema) === true && named?.test(table.name) === true,
  };
}

function partOf(quoted: string | undefined, plain: string): Part {
  const text = quoted === undefined ? plain.trim().toLowerCase() : quoted.replaceAll('""', '"');
  const literal = text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  if (quoted !== undefined) return { source: literal, exact: true };
  return { source: literal.replaceAll("\\*", ".*"), exact: !text.includes("*") };
}

function notAPattern(text: string): CodedError {
  const how =
    "write schema.table, with * for any characters and names in double quotes as they stand";
  return new CodedError("config_invalid", `not a pattern of tables: ${text}; ${how}`);
}

/**
 * Since PostgreSQL 12. What belongs to an extension comes with it and is chosen by its full name only. A partition's
 * ancestors stand from its parent to the root.
 */
const CANDIDATES = `
  SELECT n.nspname, c.relname,
    EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::regclass
      AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'),
    CASE WHEN c.relispartition THEN (
      SELECT pg_catalog.json_agg(pg_catalog.json_build_object('schema', an.nspname, 'name', ac.relname))
      FROM pg_catalog.pg_partition_ancestors(c.oid) AS a(relid)
      JOIN pg_catalog.pg_class AS ac ON ac.oid = a.relid AND ac.oid <> c.oid
      JOIN pg_catalog.pg_namespace AS an ON an.oid = ac.relnamespace) END
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('information_schema', '${OWN_SCHEMA}') AND n.nspname !~ '^pg_'
  ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`;

/**
 * The tables that patterns choose, by name; of those that match a table, the last decides. A partitioned table stands for
 * its partitions, which are chosen by themselves only where none of their ancestors is; a pattern that excludes an ancestor
 * excludes them. Tables that inherit from each other are chosen each by itself.
 * @throws CodedError `config_invalid`; `not_found` when a full name names no table
 */
export async function expandTables(
  ask: Ask,
  patterns: readonly string[],
): Promise<readonly TableName[]> {
  const parsed = patterns.map(parsePattern);
  const candidates = (await ask(CANDIDATES)).map(([schema, name, isExtension, ancestors]) => ({
    table: { schema: schema ?? "", name: name ?? "" },
    isExtension: isExtension === "t",
    ancestors: ancestors ? (JSON.parse(ancestors) as TableName[]) : [],
  }));
  const nothing = parsed.filter(
    (pattern) =>
      pattern.exact && !pattern.excludes && !candidates.some(({ table }) => pattern.matches(table)),
  );
  if (nothing.length > 0)
    throw new CodedError(
      "not_found",
      `no such table: ${nothing.map(({ text }) => text).join(", ")}`,
    );
  const chosen = new Map(
    candidates
      .filter(({ table, isExtension, ancestors }) => {
        const last = parsed.findLast(
          (pattern) =>
            (pattern.matches(table) && (pattern.exact || !isExtension)) ||
            (pattern.excludes && ancestors.some((ancestor) => pattern.matches(ancestor))),
        );
        return last !== undefined && !last.excludes;
      })
      .map((candidate) => [tableKey(candidate.table), candidate]),
  );
  return [...chosen.values()]
    .filter(({ ancestors }) => !ancestors.some((ancestor) => chosen.has(tableKey(ancestor))))
    .map(({ table }) => table);
}
