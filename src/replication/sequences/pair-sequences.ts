import type { MappingInput } from "../mapping/mapping-input.ts";
import { targetSchemaOf } from "../mapping/mapping-input.ts";
import type { TableMapping } from "../mapping/row-program.ts";
import { quoteIdent, quoteTable, tableKey } from "../table-shape.ts";
import type { SequenceColumn, SequenceState } from "./read-sequences.ts";

/** Sequences that are to give the same column its values on either side. */
export type SequencePair = {
  /** As `schema.name`, of the target. */
  readonly name: string;
  readonly target: SequenceState;
  /** Several where several sequences of the source became one; none where only the target has one. */
  readonly sources: readonly SequenceState[];
};

export type PairedSequences = {
  readonly pairs: readonly SequencePair[];
  readonly problems: readonly SequenceProblem[];
};

export type SequenceProblem = {
  /** As `schema.name`. */
  readonly sequence: string;
  readonly message: string;
  readonly cure: string;
};

/** From the old names to the new ones, or back. */
export type NameMap = {
  /** undefined: does not travel. */
  column(column: SequenceColumn): { readonly table: string; readonly column: string } | undefined;
  schema(name: string): string;
};

/** The names of the target for those of the source, in either direction of a mapping. */
export function nameMap(
  input: MappingInput,
  tables: readonly TableMapping[],
  direction: "forward" | "reverse",
): NameMap {
  const columns = new Map<string, { table: string; column: string }>();
  for (const { source, target, forward } of tables) {
    for (const { name, step } of forward.columns) {
      if (step.kind === "constant") continue;
      const there = { table: tableKey(target), column: name };
      const here = { table: tableKey(source), column: step.source };
      const [from, to] = direction === "forward" ? [here, there] : [there, here];
      columns.set(JSON.stringify([from.table, from.column]), to);
    }
  }
  const schemas = [...new Set(tables.map(({ source }) => source.schema))];
  return {
    column: ({ table, column }) => columns.get(JSON.stringify([tableKey(table), column])),
    schema: (name) =>
      direction === "forward"
        ? targetSchemaOf(input, name)
        : (schemas.find((each) => targetSchemaOf(input, each) === name) ??
          input.schemas.find(({ to }) => to === name)?.schema ??
          name),
  };
}

/**
 * By the columns they fill, as those are called on the other side; sequences without a column by their names. A column that
 * fills itself otherwise on the target needs none.
 */
export function pairSequences(
  sources: readonly SequenceState[],
  targets: readonly SequenceState[],
  names: NameMap,
): PairedSequences {
  const pairs = new Map<number, SequencePair & { sources: SequenceState[] }>(
    targets.map((target) => [target.oid, { name: tableKey(target), target, sources: [] }]),
  );
  const byColumn = new Map(
    targets.flatMap((target) =>
      target.columns.map(
        ({ table, column }) => [JSON.stringify([tableKey(table), column]), target] as const,
      ),
    ),
  );
  const byName = new Map(targets.map((target) => [tableKey(target), target] as const));
  const problems: SequenceProblem[] = [];
  for (const source of sources) {
    const columns = source.columns.flatMap((column) => names.column(column) ?? []);
    const filled = columns.flatMap(
      ({ table, column }) => byColumn.get(JSON.stringify([table, column])) ?? [],
    );
    const sameName = byName.get(`${names.schema(source.schema)}.${source.name}`);
    const found = new Set(filled.length > 0 ? filled : sameName === undefined ? [] : [sameName]);
    for (const target of found) pairs.get(target.oid)?.sources.push(source);
    if (found.size === 0 && source.columns.length === 0) problems.push(missing(source, names));
  }
  return { pairs: [...pairs.values()], problems };
}

function missing(source: SequenceState, names: NameMap): SequenceProblem {
  const { start, increment, min, max, cycles, cache, name } = source;
  const schema = names.schema(source.schema);
  const cure =
    `CREATE SEQUENCE ${quoteIdent(schema)}.${quoteIdent(name)} INCREMENT ${increment} MINVALUE ${min}` +
    ` MAXVALUE ${max} START ${start} CACHE ${cache}${cycles ? " CYCLE" : ""};`;
  return {
    sequence: tableKey(source),
    message: `the target has no sequence ${schema}.${name} for ${tableKey(source)}`,
    cure,
  };
}

/** What the role must be granted on a sequence. */
export function denied(sequence: SequenceState, privilege: "SELECT" | "UPDATE"): SequenceProblem {
  const verb = privilege === "SELECT" ? "read" : "set";
  return {
    sequence: tableKey(sequence),
    message: `the role may not ${verb} the sequence ${tableKey(sequence)}`,
    cure: `GRANT ${privilege} ON SEQUENCE ${quoteTable(sequence)} TO CURRENT_USER; as its owner, with the role's name`,
  };
}
