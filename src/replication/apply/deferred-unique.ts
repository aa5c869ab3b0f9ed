import type { WorkSession } from "../../upstream/work-session.ts";
import type { RowProgram } from "../mapping/row-program.ts";
import { UNCHANGED } from "../source/source-transaction.ts";
import { tableKey } from "../table-shape.ts";
import { arrayLiteral } from "./array-literal.ts";
import { ApplyIncident } from "./row-writer.ts";
import type { RowChange } from "./row-writer.ts";
import type { TargetTable } from "./target-table.ts";
import { TargetTables } from "./target-table.ts";

/** Since PostgreSQL 9.4. Unique constraints that are checked late, with their columns in order. */
const READ_DEFERRABLE = `
  SELECT c.conname, (SELECT pg_catalog.json_agg(a.attname ORDER BY k.place)
      FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k(attnum, place)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum)
    FROM pg_catalog.pg_constraint c
   WHERE c.conrelid = $1::pg_catalog.oid AND c.condeferrable AND c.contype IN ('p', 'u')`;

/** So many values are remembered of one transaction before they are looked at all the same. */
const MAX_VALUES = 200_000;

type Constraint = {
  readonly name: string;
  /** Places among the program's columns; the target sets the others by itself. */
  readonly places: readonly number[];
  readonly values: (readonly Uint8Array[])[];
};

/**
 * In the replica role PostgreSQL does not enforce DEFERRABLE UNIQUE constraints: two rows with one value would stay
 * without a word. So what a transaction writes into their columns is looked up before its COMMIT.
 * Exclusion constraints that are deferrable are not looked at.
 */
export class DeferredUnique {
  readonly #session: WorkSession;
  readonly #tables: TargetTables;
  readonly #constraints = new Map<RowProgram, readonly Constraint[]>();

  constructor(session: WorkSession) {
    this.#session = session;
    this.#tables = new TargetTables(session);
  }

  /** @throws WorkError */
  async note(changes: readonly RowChange[]): Promise<void> {
    for (const change of changes) {
      const { program } = change;
      if (program.target.deferrable.length === 0 || change.kind === "delete") continue;
      for (const { places, values } of await this.#constraintsOf(program)) {
        const row = places.map((place) => change.values[place] ?? null);
        const isKnown = row.every((value) => value !== null && value !== UNCHANGED);
        if (isKnown && values.length < MAX_VALUES) values.push(row.filter(Buffer.isBuffer));
      }
    }
  }

  /** Forgets what was noted. @throws ApplyIncident when a value stands twice; WorkError */
  async check(): Promise<void> {
    for (const [program, constraints] of this.#constraints) {
      for (const constraint of constraints) {
        const values = constraint.values.splice(0);
        if (values.length > 0) await this.#look(this.#tables.of(program), constraint, values);
      }
    }
  }

  forget(): void {
    for (const constraints of this.#constraints.values())
      for (const { values } of constraints) values.length = 0;
  }

  async #look(
    table: TargetTable,
    { name, places }: Constraint,
    values: readonly (readonly Uint8Array[])[],
  ): Promise<void> {
    const columns = places.flatMap((place) => table.columns[place] ?? []);
    const parameters = columns.map(
      ({ type }, i) => `$${i + 1}::${type.inArrays ? type.name : "pg_catalog.text"}[]`,
    );
    const names = columns.map((_, i) => `c${i}`).join(", ");
    const equal = columns.map(
      (column, i) =>
        `t.${column.name} = v.c${i}${column.type.inArrays ? "" : `::${column.type.name}`}`,
    );
    const { rows } = await this.#session.query({
      sql: `SELECT ${columns.map((_, i) => `v.c${i}::pg_catalog.text`).join(", ")} FROM unnest(${parameters.join(", ")}) AS v(${names}) WHERE (SELECT pg_catalog.count(*) FROM ${table.name} AS t WHERE ${equal.join(" AND ")}) > 1 LIMIT 1`,
      values: columns.map(({ type }, i) =>
        arrayLiteral(
          values.map((row) => row[i] ?? null),
          type.inArrays ? type.delimiter : undefined,
        ),
      ),
    });
    const [twice] = rows;
    if (twice === undefined) return;
    const { target, columns: written } = table.program;
    const key = places.map((place, i) => [written[place]?.name ?? "", twice[i] ?? null] as const);
    throw new ApplyIncident({
      message: `a transaction cannot be committed: two rows of ${tableKey(target)} would share what constraint "${name}" keeps unique`,
      table: tableKey(target),
      operation: "update",
      key: Object.fromEntries(key),
      sqlstate: "23505",
    });
  }

  async #constraintsOf(program: RowProgram): Promise<readonly Constraint[]> {
    const known = this.#constraints.get(program);
    if (known !== undefined) return known;
    await this.#tables.learn([program]);
    const values = [String(program.target.oid)];
    const { rows } = await this.#session.query({ sql: READ_DEFERRABLE, values });
    const constraints = rows.flatMap(([name, columns]): Constraint[] => {
      const names = JSON.parse(columns ?? "[]") as readonly string[];
      const places = names.map((each) =>
        program.columns.findIndex((column) => column.name === each),
      );
      return places.includes(-1) ? [] : [{ name: name ?? "", places, values: [] }];
    });
    this.#constraints.set(program, constraints);
    return constraints;
  }
}
