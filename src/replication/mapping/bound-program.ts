import { ApplyIncident } from "../apply/row-writer.ts";
import { UNCHANGED } from "../source/source-transaction.ts";
import type { SourceRelation, SourceRow, SourceValue } from "../source/source-transaction.ts";
import { tableKey } from "../table-shape.ts";
import type { BoundProgram, ColumnStep, RowFilter, RowProgram, ValueFit } from "./row-program.ts";

/** Precomputed for the columns of one relation; called for every row. */
export function bindProgram(whole: RowProgram, relation: SourceRelation): BoundProgram {
  const places = new Map(relation.columns.map((column, index) => [column.name, index] as const));
  const program = withoutGone(whole, places);
  const keyPlaces = program.key.map((part) =>
    part.constant === undefined ? placeOf(program, places, part.source) : -1,
  );
  if (relation.identity !== "full") requireIdentity(program, relation, keyPlaces);
  const keyValues = program.key.map(({ constant }) => textOf(constant ?? null));
  const keyOf = (row: SourceRow): SourceRow =>
    keyPlaces.map((place, index) => (place < 0 ? (keyValues[index] ?? null) : at(row, place)));
  const values = valuesOf(program, places, keyOf);
  return {
    program,
    values,
    keyOf: program.key.length === 0 ? values : keyOf,
    passes: passesOf(program, places),
  };
}

function at(row: SourceRow, place: number): SourceValue {
  const value = row[place];
  return value === undefined ? null : value;
}

function textOf(value: string | null): Buffer | null {
  return value === null ? null : Buffer.from(value, "utf8");
}

/** Columns of the source that are gone and not needed by the target are left out. */
function withoutGone(program: RowProgram, places: ReadonlyMap<string, number>): RowProgram {
  const isGone = ({ step }: { readonly step: ColumnStep }): boolean =>
    step.kind !== "constant" && !places.has(step.source);
  if (!program.columns.some(isGone)) return program;
  const keyed = new Set(program.key.map(({ target }) => target));
  const kept = program.columns.map((column) => {
    if (!isGone(column)) return true;
    const there = program.target.columns.find(({ name }) => name === column.name);
    const canDoWithout =
      there !== undefined && (there.nullable || there.hasDefault || there.identity !== "");
    if (keyed.has(column.name) || !canDoWithout) throw goneColumn(program, column);
    return false;
  });
  const reduced: RowProgram = {
    ...program,
    columns: program.columns.filter((_column, index) => kept[index]),
    fits: program.fits?.filter((_fit, index) => kept[index]),
    bind: (relation) => bindProgram(reduced, relation),
  };
  return reduced;
}

function placeOf(program: RowProgram, places: ReadonlyMap<string, number>, source: string): number {
  const place = places.get(source);
  if (place === undefined) throw goneColumn(program, { name: source });
  return place;
}

function goneColumn(program: RowProgram, { name }: { readonly name: string }): ApplyIncident {
  return incident(
    program,
    `the log of ${tableKey(program.source)} has no values any more for column "${name}" of ${tableKey(program.target)}, which needs them`,
    {},
  );
}

/** What is to name rows in the target must be what the log names them by. */
function requireIdentity(
  program: RowProgram,
  relation: SourceRelation,
  keyPlaces: readonly number[],
): void {
  const isNamed = keyPlaces.every((place) => place < 0 || relation.columns[place]?.isKey === true);
  if (isNamed && program.key.length > 0) return;
  throw incident(
    program,
    `the replica identity of ${tableKey(program.source)} has changed: the log does not name its rows by ` +
      `${program.key.map(({ source }) => `"${source}"`).join(", ") || "all their values"} any more`,
    {},
  );
}

function incident(
  program: RowProgram,
  message: string,
  key: Readonly<Record<string, string | null>>,
): ApplyIncident {
  const table = tableKey(program.target);
  return new ApplyIncident({ message, table, operation: "update", key, sqlstate: undefined });
}

function valuesOf(
  program: RowProgram,
  places: ReadonlyMap<string, number>,
  keyOf: (row: SourceRow) => SourceRow,
): BoundProgram["values"] {
  const guards = program.columns.map((_column, index) => guardOf(program.fits?.[index]));
  const sources = program.columns.map(({ step }) =>
    step.kind === "constant" ? -1 : placeOf(program, places, step.source),
  );
  const isPlain =
    guards.every((guard) => guard === undefined) &&
    program.columns.every(({ step }) => step.kind === "copy");
  if (isPlain) return plain(sources);
  const steps = program.columns.map(({ name, step }, index) =>
    readerOf(step, sources[index] ?? -1, guards[index], (row, words) => {
      const named = keyOf(row).map((value, part) => [
        program.key[part]?.target ?? "",
        Buffer.isBuffer(value) ? value.toString("utf8") : null,
      ]);
      const message = `a value of column "${name}" of ${tableKey(program.target)} cannot be held there unchanged: ${words}`;
      return incident(program, message, Object.fromEntries(named) as Record<string, string | null>);
    }),
  );
  return (row) => steps.map((step) => step(row));
}

function plain(sources: readonly number[]): BoundProgram["values"] {
  const count = sources.length;
  const isSameOrder = sources.every((place, index) => place === index);
  return (row) => {
    if (isSameOrder && row.length === count) return row;
    const values: SourceValue[] = Array.from({ length: count });
    for (let index = 0; index < count; index++) values[index] = at(row, sources[index] ?? 0);
    return values;
  };
}

/** The test of what the target would change without a word. */
function guardOf(fit: ValueFit | undefined): ((value: Buffer) => boolean) | undefined {
  return fit?.isSilent === true ? fit.test : undefined;
}

type Complain = (row: SourceRow, words: string) => ApplyIncident;

function readerOf(
  step: ColumnStep,
  place: number,
  guard: ((value: Buffer) => boolean) | undefined,
  complain: Complain,
): (row: SourceRow) => SourceValue {
  if (step.kind === "constant") {
    const value = textOf(step.value);
    return () => value;
  }
  if (step.kind === "convert") return converter(step.with, place, complain);
  if (guard === undefined) return (row) => at(row, place);
  return (row) => {
    const value = at(row, place);
    if (value === null || value === UNCHANGED || guard(value)) return value;
    throw complain(row, "the type there is narrower");
  };
}

const ONE = Buffer.from("1");
const ZERO = Buffer.from("0");
const TRUE = Buffer.from("t");
const FALSE = Buffer.from("f");

function converter(
  kind: "boolean_to_integer" | "integer_to_boolean",
  place: number,
  complain: Complain,
): (row: SourceRow) => SourceValue {
  if (kind === "boolean_to_integer") {
    return (row) => {
      const value = at(row, place);
      if (value === null || value === UNCHANGED) return value;
      return value[0] === 0x74 ? ONE : ZERO;
    };
  }
  return (row) => {
    const value = at(row, place);
    if (value === null || value === UNCHANGED) return value;
    if (value.equals(ONE)) return TRUE;
    if (value.equals(ZERO)) return FALSE;
    throw complain(row, "it is neither 0 nor 1");
  };
}

function passesOf(
  program: RowProgram,
  places: ReadonlyMap<string, number>,
): BoundProgram["passes"] {
  const filters: { place: number; allowsNull: boolean; oneOf: ReadonlySet<string> }[] = [];
  for (
    let filter: RowFilter | undefined = program.filter;
    filter !== undefined;
    filter = filter.and
  ) {
    filters.push({
      place: placeOf(program, places, filter.source),
      allowsNull: filter.oneOf.includes(null),
      oneOf: new Set(filter.oneOf.filter((value) => value !== null)),
    });
  }
  if (filters.length === 0) return () => true;
  return (row) =>
    filters.every(({ place, allowsNull, oneOf }) => {
      const value = at(row, place);
      if (value === null) return allowsNull;
      if (value !== UNCHANGED) return oneOf.has(value.toString("utf8"));
      const what = `the log does not repeat the value by which rows of ${tableKey(program.source)} are chosen`;
      throw incident(program, what, {});
    });
}
