import { AdminQueryError } from "../../upstream/admin-client.ts";
import type { Ask } from "../read-shapes.ts";
import type { StreamNames } from "../names.ts";
import { DIRECTIONS, OWN_SCHEMA, streamNames } from "../names.ts";
import { quoteIdent } from "../table-shape.ts";

/** Something of Twinwire's in a database. */
export type OwnObject = {
  readonly side: "old" | "new";
  readonly kind:
    | "slot"
    | "publication"
    | "event_trigger"
    | "trigger"
    | "function"
    | "origin"
    | "rows"
    | "schema";
  readonly name: string;
  /** A worker uses it at this moment. */
  readonly inUse: boolean;
  /** It may belong to a migration of another database of the same server. */
  readonly elsewhere: boolean;
  readonly sql: readonly string[];
};

export type Removal = {
  readonly object: OwnObject;
  readonly outcome: { readonly kind: "removed" } | { readonly kind: "kept"; readonly why: string };
};

const PATTERN = String.raw`LIKE 'twinwire\_%'`;

const SLOTS = `
  SELECT s.slot_name, s.active, COALESCE(s.active_pid, 0) FROM pg_catalog.pg_replication_slots AS s
  WHERE s.slot_name ${PATTERN} AND s.database = pg_catalog.current_database() ORDER BY 1`;

const PUBLICATIONS = `SELECT p.pubname FROM pg_catalog.pg_publication AS p WHERE p.pubname ${PATTERN} ORDER BY 1`;

const EVENT_TRIGGERS = `SELECT t.evtname FROM pg_catalog.pg_event_trigger AS t WHERE t.evtname ${PATTERN} ORDER BY 1`;

const TRIGGERS = `
  SELECT t.tgname, pg_catalog.format('%I.%I', n.nspname, c.relname)
  FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE t.tgname ${PATTERN} AND NOT t.tgisinternal AND pg_catalog.to_jsonb(t) ->> 'tgparentid' = '0'
    AND n.nspname <> '${OWN_SCHEMA}' ORDER BY 1, 2`;

/** Those outside of the schema, which goes as a whole. */
const FUNCTIONS = `
  SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text, p.prokind
  FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  WHERE p.proname ${PATTERN} AND n.nspname <> '${OWN_SCHEMA}' ORDER BY 1`;

const ORIGINS = `SELECT o.roname FROM pg_catalog.pg_replication_origin AS o WHERE o.roname ${PATTERN} ORDER BY 1`;

const OWN_TABLES = `
  SELECT c.relname, EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'stream'),
    EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'migration')
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = '${OWN_SCHEMA}' AND c.relkind = 'r' ORDER BY 1`;

/** Slots tell who works; what else the work stands on goes only with them. */
const NEEDED_BY_WORK: ReadonlySet<OwnObject["kind"]> = new Set([
  "event_trigger",
  "trigger",
  "function",
  "origin",
  "rows",
  "schema",
]);

/**
 * Everything of Twinwire's in both databases; `findOwn` for each, where a worker that reads one side keeps what it
 * writes on the other.
 */
export async function findOwnOnBothSides(
  asks: Readonly<Record<"old" | "new", Ask>>,
  known: readonly string[],
  only?: string,
): Promise<OwnObject[]> {
  const found = [
    ...(await findOwn(asks.old, "old", known, only)),
    ...(await findOwn(asks.new, "new", known, only)),
  ];
  const works = found.some(({ kind, inUse }) => kind === "slot" && inUse);
  return found.map((object) =>
    works && NEEDED_BY_WORK.has(object.kind) ? { ...object, inUse: true } : object,
  );
}

/**
 * Everything of Twinwire's on a side. With `only`, that of one migration: the schema goes with its last migration.
 * @param known names of the migrations that may stand in this database, of the configuration
 */
async function findOwn(
  ask: Ask,
  side: "old" | "new",
  known: readonly string[],
  only?: string,
): Promise<OwnObject[]> {
  const streams = await streamsOf(ask);
  const names = (only === undefined ? known : [only]).flatMap((migration) =>
    DIRECTIONS.map((direction) => streamNames(migration, direction)),
  );
  const wanted = (name: string, of: (each: StreamNames) => string): boolean =>
    only === undefined || names.some((each) => of(each) === name);
  const item = (
    kind: OwnObject["kind"],
    name: string,
    sql: readonly string[],
    how: { readonly inUse?: boolean; readonly elsewhere?: boolean } = {},
  ): OwnObject => ({
    side,
    kind,
    name,
    sql,
    inUse: how.inUse === true,
    elsewhere: how.elsewhere === true,
  });

  const slots = (await ask(SLOTS)).flatMap(([name, active, pid]) => {
    if (!wanted(name ?? "", ({ slot }) => slot)) return [];
    const drop = `SELECT pg_catalog.pg_drop_replication_slot('${name ?? ""}')`;
    const inUse = active === "t";
    return [item("slot", name ?? "", inUse ? [endSession(pid ?? "0"), drop] : [drop], { inUse })];
  });
  const isUsed = new Set(slots.filter(({ inUse }) => inUse).map(({ name }) => name));
  const publications = (await ask(PUBLICATIONS)).flatMap(([name]) =>
    wanted(name ?? "", ({ publication }) => publication)
      ? [
          item("publication", name ?? "", [`DROP PUBLICATION ${quoteIdent(name ?? "")}`], {
            inUse: isUsed.has(name ?? ""),
          }),
        ]
      : [],
  );
  const origins = (await ask(ORIGINS)).flatMap(([name]) => {
    if (!wanted(name ?? "", ({ origin }) => origin)) return [];
    const here =
      names.some(({ origin }) => origin === name) ||
      streams.some((each) => originOf(each) === name);
    const sql = [`SELECT pg_catalog.pg_replication_origin_drop('${name ?? ""}')`];
    return [item("origin", name ?? "", sql, { elsewhere: !here })];
  });
  const rest = only === undefined ? await loose(ask, item) : [];
  const inside = await schemaObjects(ask, { streams, only, item, inUse: isUsed.size > 0 });
  return [...rest, ...slots, ...publications, ...inside, ...origins];
}

type Item = (
  kind: OwnObject["kind"],
  name: string,
  sql: readonly string[],
  how?: { readonly inUse?: boolean; readonly elsewhere?: boolean },
) => OwnObject;

/** What is known by the beginning of its name only. Event triggers go first: they fire when the others are dropped. */
async function loose(ask: Ask, item: Item): Promise<OwnObject[]> {
  return [
    ...(await ask(EVENT_TRIGGERS)).map(([name]) =>
      item("event_trigger", name ?? "", [`DROP EVENT TRIGGER ${quoteIdent(name ?? "")}`]),
    ),
    ...(await ask(TRIGGERS)).map(([name, table]) =>
      item("trigger", `${name ?? ""} on ${table ?? ""}`, [
        `DROP TRIGGER ${quoteIdent(name ?? "")} ON ${table ?? ""}`,
      ]),
    ),
    ...(await ask(FUNCTIONS)).map(([name]) =>
      item("function", name ?? "", [`DROP ROUTINE ${name ?? ""}`]),
    ),
  ];
}

async function schemaObjects(
  ask: Ask,
  the: {
    readonly streams: readonly string[];
    readonly only: string | undefined;
    readonly item: Item;
    readonly inUse: boolean;
  },
): Promise<OwnObject[]> {
  const { streams, only, item, inUse } = the;
  const tables = await ask(OWN_TABLES);
  const [there] = await ask("SELECT pg_catalog.to_regnamespace($1) IS NOT NULL", [OWN_SCHEMA]);
  if (there?.[0] !== "t") return [];
  const own = DIRECTIONS.map((direction) => streamNames(only ?? "", direction).stream);
  const others = only === undefined ? [] : streams.filter((stream) => !own.includes(stream));
  if (others.length === 0) {
    return [item("schema", OWN_SCHEMA, [`DROP SCHEMA ${OWN_SCHEMA} CASCADE`], { inUse })];
  }
  const list = own.map((stream) => `'${stream}'`).join(", ");
  return tables.flatMap(([name, byStream, byMigration]) => {
    const table = `${OWN_SCHEMA}.${quoteIdent(name ?? "")}`;
    if (byStream === "t")
      return [item("rows", table, [`DELETE FROM ${table} WHERE stream IN (${list})`], { inUse })];
    if (byMigration === "t")
      return [
        item("rows", table, [`DELETE FROM ${table} WHERE migration = '${only ?? ""}'`], { inUse }),
      ];
    return [];
  });
}

/**
 * Removes what was found, one after the other; what is in use or another database's stays unless forced.
 * @param said gets each statement before it runs
 * @throws CodedError when the database cannot be asked
 */
export async function removeOwn(
  ask: Ask,
  objects: readonly OwnObject[],
  force: boolean,
  said: (sql: string) => void,
): Promise<Removal[]> {
  const removals: Removal[] = [];
  for (const object of objects) {
    const why = refusal(object, force);
    if (why !== undefined) {
      removals.push({ object, outcome: { kind: "kept", why } });
      continue;
    }
    try {
      for (const sql of object.sql) {
        said(sql);
        await ask(sql);
      }
      removals.push({ object, outcome: { kind: "removed" } });
    } catch (error) {
      if (!(error instanceof AdminQueryError)) throw error;
      removals.push({ object, outcome: { kind: "kept", why: error.message } });
    }
  }
  return removals;
}

function refusal(object: OwnObject, force: boolean): string | undefined {
  if (force) return undefined;
  if (object.elsewhere)
    return "it may belong to a migration of another database of this server; with --force it is removed";
  if (object.inUse) return "a worker uses it; stop the replication, or use --force";
  return undefined;
}

/** Waits until the session has gone: a slot that is held cannot be dropped. Since PostgreSQL 14. */
function endSession(pid: string): string {
  return `SELECT pg_catalog.pg_terminate_backend(${pid}, 5000)`;
}

/** Of every migration that has rows here. A source has a canary of each from its beginning, progress only once it is a target. */
async function streamsOf(ask: Ask): Promise<string[]> {
  const [tables] = await ask(
    "SELECT pg_catalog.to_regclass('twinwire.progress') IS NOT NULL, pg_catalog.to_regclass('twinwire.canary') IS NOT NULL",
  );
  const [hasProgress, hasCanary] = tables ?? [];
  const streams =
    hasProgress === "t" ? await ask("SELECT DISTINCT p.stream FROM twinwire.progress AS p") : [];
  const migrations =
    hasCanary === "t" ? await ask("SELECT DISTINCT c.migration FROM twinwire.canary AS c") : [];
  const names = [
    ...streams.map(([stream]) => stream ?? ""),
    ...migrations.flatMap(([migration]) =>
      DIRECTIONS.map((direction) => streamNames(migration ?? "", direction).stream),
    ),
  ];
  return [...new Set(names)];
}

/** Of a stream's name, `migration.direction`. */
function originOf(stream: string): string {
  const dot = stream.lastIndexOf(".");
  const direction = stream.slice(dot + 1) === "reverse" ? "reverse" : "forward";
  return streamNames(stream.slice(0, dot), direction).origin;
}
