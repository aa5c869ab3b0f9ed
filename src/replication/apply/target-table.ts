import type { WorkSession } from "../../upstream/work-session.ts";
import type { RowProgram } from "../mapping/row-program.ts";
import { quoteIdent, quoteTable } from "../table-shape.ts";
import type { TargetType } from "./target-types.ts";
import { readTargetTypes } from "./target-types.ts";

/** A column as statements need it. */
export type TargetColumn = {
  /** Quoted. */
  readonly name: string;
  readonly type: TargetType;
  /** Index among the key's columns, or -1. */
  readonly keyIndex: number;
  /** GENERATED ALWAYS AS IDENTITY: an UPDATE may not set it. */
  readonly always: boolean;
};

/** The table a program writes, as statements need it. */
export type TargetTable = {
  readonly program: RowProgram;
  /** Quoted. */
  readonly name: string;
  /** `ONLY t`, or `t` where it is partitioned. */
  readonly itself: string;
  readonly partitioned: boolean;
  readonly overriding: string;
  /** As `program.columns`. */
  readonly columns: readonly TargetColumn[];
  /** As `program.key`. */
  readonly key: readonly TargetColumn[];
};

/** The tables of one session's database, looked up when first needed. */
export class TargetTables {
  readonly #session: WorkSession;
  readonly #tables = new Map<RowProgram, TargetTable>();

  constructor(session: WorkSession) {
    this.#session = session;
  }

  /** Makes sure that `of` knows these. @throws WorkError */
  async learn(programs: Iterable<RowProgram>): Promise<void> {
    const missing = [...programs].filter((program) => !this.#tables.has(program));
    if (missing.length === 0) return;
    const oids = missing.flatMap(({ target }) => target.columns.map(({ typeOid }) => typeOid));
    const types = await readTargetTypes(this.#session, [...new Set(oids)]);
    for (const program of missing) this.#tables.set(program, targetTable(program, types));
  }

  of(program: RowProgram): TargetTable {
    const table = this.#tables.get(program);
    if (table === undefined) throw new Error("a table was not looked up before it is written");
    return table;
  }
}

export function targetTable(
  program: RowProgram,
  types: ReadonlyMap<number, TargetType>,
): TargetTable {
  const { target } = program;
  const shapes = new Map(target.columns.map((column) => [column.name, column]));
  const keyNames = program.key.map((key) => key.target);
  const columnOf = (name: string): TargetColumn => {
    const shape = shapes.get(name);
    const type = shape && types.get(shape.typeOid);
    if (shape === undefined || type === undefined)
      throw new Error(`column ${quoteIdent(name)} of ${quoteTable(target)} is not known`);
    return {
      name: quoteIdent(name),
      type,
      keyIndex: keyNames.indexOf(name),
      always: shape.identity === "a",
    };
  };
  const name = quoteTable(target);
  return {
    program,
    name,
    itself: target.kind === "p" ? name : `ONLY ${name}`,
    partitioned: target.kind === "p",
    overriding: program.overridesIdentity ? " OVERRIDING SYSTEM VALUE" : "",
    columns: program.columns.map((column) => columnOf(column.name)),
    key: keyNames.map(columnOf),
  };
}
