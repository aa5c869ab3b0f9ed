import type { WorkSession } from "../../upstream/work-session.ts";
import type { CopiedTable } from "./copied-table.ts";
import { quoteLiteral } from "../table-shape.ts";

/**
 * What a column's values are compared as: its type, beneath domains, and its collation. Since PostgreSQL 9.1. `$1` the table, `$2`
 * the column.
 */
const KEY_TYPE = `
  WITH RECURSIVE named AS (
    SELECT a.attcollation, a.atttypid AS oid FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = $2
    UNION ALL
    SELECT n.attcollation, t.typbasetype FROM named AS n
    JOIN pg_catalog.pg_type AS t ON t.oid = n.oid AND t.typtype = 'd')
  SELECT pg_catalog.format_type(n.oid, -1),
    (SELECT pg_catalog.format(' COLLATE %I.%I', s.nspname, l.collname)
     FROM pg_catalog.pg_collation AS l JOIN pg_catalog.pg_namespace AS s ON s.oid = l.collnamespace
     WHERE l.oid = n.attcollation)
  FROM named AS n JOIN pg_catalog.pg_type AS t ON t.oid = n.oid WHERE t.typtype <> 'd'`;

const KEPT_ANSWERS = 10_000;

/** Asks the source in which range a key lies, by the order of its own type and collation. */
export class RangeQuestion {
  readonly #table: CopiedTable;
  readonly #answers = new Map<string, number>();
  /** Of the plan that the answers are for. */
  #bounds = "";
  #sql: string | undefined;
  #version = 0;

  constructor(table: CopiedTable) {
    this.#table = table;
  }

  async ask(session: WorkSession, key: Buffer): Promise<number> {
    const bounds = this.#table.bounds.map(quoteLiteral).join(", ");
    if (bounds !== this.#bounds) {
      this.#answers.clear();
      this.#bounds = bounds;
      this.#sql = undefined;
      this.#version++;
    }
    const text = key.toString();
    const known = this.#answers.get(text);
    if (known !== undefined) return known;
    this.#sql ??= await this.#question(session, bounds);
    const name = `twinwire_range_${this.#table.program.source.oid}_${this.#version}`;
    const { rows } = await session.query({ sql: this.#sql, values: [key], name });
    const range = Number(rows[0]?.[0]);
    if (this.#answers.size >= KEPT_ANSWERS) this.#answers.clear();
    this.#answers.set(text, range);
    return range;
  }

  async #question(session: WorkSession, bounds: string): Promise<string> {
    const { oid } = this.#table.program.source;
    const values = [String(oid), this.#table.keyColumn?.name ?? ""];
    const { rows } = await session.query({ sql: KEY_TYPE, values });
    const [type, collate] = rows[0] ?? [];
    if (type === undefined || type === null) throw new Error("the key's column is gone");
    const key = `($1::${type}${collate ?? ""})`;
    return `SELECT pg_catalog.width_bucket(${key}, ARRAY[${bounds}]::${type}[])`;
  }
}
