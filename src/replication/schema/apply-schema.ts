import { CodedError } from "../../base/errors.ts";
import { WorkError } from "../../upstream/work-error.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import { mayPass } from "../apply/apply-failure.ts";
import { asking } from "../read-shapes.ts";
import { SCHEMA_PART_SQL } from "./plan-schema.ts";
import type { SchemaDeps, SchemaPlan, SchemaStatement } from "./plan-schema.ts";

type ApplyDeps = Pick<SchemaDeps, "stream" | "session" | "signal">;

/** What came of a part of the schema. */
export type SchemaReport = {
  /** This time; `done` counts those of earlier runs too. */
  readonly applied: number;
  readonly done: number;
  /** Not run to their end, with the server's reason: owners and rights of roles that NEW does not have, for instance. */
  readonly skipped: readonly { readonly what: string; readonly why: string }[];
};

export type SchemaProgress = (done: number, total: number, what: string) => void;

/** Objects of that name are there already: duplicate_table, _object, _function, _schema, and a second primary key. */
const EXISTS = new Set(["42P07", "42710", "42723", "42P06", "42P16"]);

/** As `pg_dump` would have it, for one transaction. */
const BEGIN = `BEGIN; SET LOCAL check_function_bodies = off; SET LOCAL search_path = ''; SET LOCAL xmloption = content;
  SET LOCAL row_security = off; SET LOCAL client_min_messages = warning; SET LOCAL statement_timeout = 0`;

const RECORD = `
  INSERT INTO twinwire.schema_part (stream, digest, what, outcome) VALUES ($1, $2, $3, $4)
  ON CONFLICT (stream, digest) DO UPDATE SET outcome = EXCLUDED.outcome, updated_at = pg_catalog.clock_timestamp()`;

/** Types, functions, tables and primary keys. Goes on where it was. @throws CodedError when something needed cannot be made */
export function applyTables(
  deps: ApplyDeps,
  plan: SchemaPlan,
  progress?: SchemaProgress,
): Promise<SchemaReport> {
  return applyAll(deps, plan.tables, progress);
}

/**
 * Indexes, unique keys, foreign keys and triggers. Foreign keys are added unchecked, which locks for a moment only, and
 * checked afterwards beside running changes. Goes on where it was.
 * @throws CodedError when something needed cannot be made, such as a foreign key that the rows do not keep
 */
export async function applyRest(
  deps: ApplyDeps,
  plan: SchemaPlan,
  progress?: SchemaProgress,
): Promise<SchemaReport> {
  const statements = plan.rest.flatMap((each): SchemaStatement[] => {
    const check = foreignKeyCheck(each);
    return check === undefined ? [each] : [each, check];
  });
  return applyAll(deps, statements, progress);
}

async function applyAll(
  deps: ApplyDeps,
  statements: readonly SchemaStatement[],
  progress: SchemaProgress | undefined,
): Promise<SchemaReport> {
  const { session, stream, signal } = deps;
  const ask = asking(session);
  await session.execute(SCHEMA_PART_SQL);
  const recorded = new Map(
    (
      await ask("SELECT p.digest, p.outcome FROM twinwire.schema_part AS p WHERE p.stream = $1", [
        stream,
      ])
    ).map(([digest, outcome]) => [digest ?? "", outcome ?? ""]),
  );
  const skipped: { what: string; why: string }[] = [];
  let applied = 0;
  let done = 0;
  for (const statement of statements) {
    signal?.throwIfAborted();
    progress?.(done, statements.length, statement.what);
    done++;
    const before = recorded.get(statement.digest);
    if (before === "applied" || before === "existed") continue;
    const why = await applyOne(deps, statement);
    if (why === undefined) applied++;
    else skipped.push({ what: statement.what, why });
  }
  progress?.(done, statements.length, "");
  return { applied, done, skipped };
}

/** One transaction for the statement and its record. @returns why it was left out */
async function applyOne(deps: ApplyDeps, statement: SchemaStatement): Promise<string | undefined> {
  const { session } = deps;
  try {
    await inTransaction(session, async () => {
      await session.execute(await firstForm(session, statement));
      await record(deps, statement, "applied");
    });
    return undefined;
  } catch (error) {
    if (!(error instanceof WorkError) || mayPass(error)) throw error;
    if (EXISTS.has(error.sqlstate)) {
      await record(deps, statement, "existed");
      return `it exists already: ${error.message}`;
    }
    if (statement.type === "FK CONSTRAINT" && ["0A000", "42809"].includes(error.sqlstate)) {
      // Before PostgreSQL 18 a foreign key of a partitioned table cannot be added unchecked.
      await inTransaction(session, async () => {
        await session.execute(statement.sql);
        await record(deps, statement, "applied");
      });
      return undefined;
    }
    if (!statement.needed) {
      await record(deps, statement, "skipped");
      return error.message;
    }
    throw new CodedError(
      "backend_refused",
      `${statement.what} could not be made on NEW: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}

async function inTransaction(session: WorkSession, work: () => Promise<void>): Promise<void> {
  await session.execute(BEGIN);
  try {
    await work();
    await session.execute("COMMIT");
  } catch (error) {
    if (!session.over) await session.execute("ROLLBACK");
    throw error;
  }
}

async function record(
  { session, stream }: ApplyDeps,
  { digest, what }: SchemaStatement,
  outcome: string,
): Promise<void> {
  await session.query({ sql: RECORD, values: [stream, digest, what, outcome] });
}

const FOREIGN_KEY =
  /^ALTER TABLE (?:ONLY )?((?:"(?:[^"]|"")+"|[^"\s.]+)(?:\.(?:"(?:[^"]|"")+"|[^"\s.]+))?)\s+ADD CONSTRAINT ("(?:[^"]|"")+"|[^"\s]+) FOREIGN KEY/;

function isUnchecked({ sql }: SchemaStatement): boolean {
  return sql.endsWith(" NOT VALID");
}

const REFERENCED =
  / REFERENCES ((?:"(?:[^"]|"")+"|[^"\s.(]+)(?:\.(?:"(?:[^"]|"")+"|[^"\s.(]+))?)\(/;

/**
 * Foreign keys unchecked. Not those that refer to a partitioned table: checking them later leaves what stands for its
 * partitions unchecked for ever.
 */
async function firstForm(session: WorkSession, statement: SchemaStatement): Promise<string> {
  const { type, sql } = statement;
  if (type !== "FK CONSTRAINT" || !FOREIGN_KEY.test(sql) || isUnchecked(statement)) return sql;
  const { rows } = await session.query({
    sql: "SELECT c.relkind FROM pg_catalog.pg_class AS c WHERE c.oid = pg_catalog.to_regclass($1)",
    values: [REFERENCED.exec(sql)?.[1] ?? ""],
  });
  return rows[0]?.[0] === "r" ? `${sql} NOT VALID` : sql;
}

/** What OLD had checked is checked on NEW; what it had not, is not. Checking twice does nothing. */
function foreignKeyCheck(statement: SchemaStatement): SchemaStatement | undefined {
  const [, table, constraint] = FOREIGN_KEY.exec(statement.sql) ?? [];
  if (statement.type !== "FK CONSTRAINT" || table === undefined || constraint === undefined)
    return undefined;
  if (isUnchecked(statement)) return undefined;
  return {
    ...statement,
    type: "FK CHECK",
    sql: `ALTER TABLE ${table} VALIDATE CONSTRAINT ${constraint}`,
    digest: `check ${statement.digest}`,
    what: `check of ${statement.what}`,
  };
}
