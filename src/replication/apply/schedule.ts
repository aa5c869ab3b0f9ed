import type { RowProgram } from "../mapping/row-program.ts";
import type { SourceRow } from "../source/source-transaction.ts";
import { UNCHANGED } from "../source/source-transaction.ts";
import type { RowChange } from "./row-writer.ts";

/** Changes of one kind and shape that may be made by one statement. */
export type Batch = {
  readonly program: RowProgram;
  readonly kind: RowChange["kind"];
  /** Of an update: for each of `program.columns` `s` set, `k` the key's column and as before, `u` unchanged. */
  readonly shape: string;
  readonly changes: RowChange[];
};

/** Deletes first: they free what the others may take. */
const ORDER = { delete: 0, update: 1, insert: 2 } as const;

/**
 * Batches in an order that ends in the state that the given order ends in: changes that share a key, or a value of a unique
 * key as far as it is known, stay in their order. Values of unique keys that a change frees are not known, so a statement may
 * be refused for what the given order would not be; it then has to be tried one by one.
 * @param free nothing but keys can tell the order: neither foreign keys nor triggers are at work
 */
export function schedule(changes: readonly RowChange[], free: boolean): Batch[] {
  if (!free) return inRuns(changes);
  const tables = new Map<RowProgram, RowChange[]>();
  for (const change of changes) {
    const rows = tables.get(change.program);
    if (rows === undefined) tables.set(change.program, [change]);
    else rows.push(change);
  }
  return [...tables].flatMap(([program, rows]) => {
    // Inserts alone, the most common of groups, leave nothing to be told apart.
    if (rows.every(({ kind }) => kind === "insert"))
      return [{ program, kind: "insert", shape: "", changes: rows }];
    return program.key.length === 0 ? inRuns(rows) : inLevels(program, rows);
  });
}

/** The given order, with neighbours put together. */
export function inRuns(changes: readonly RowChange[]): Batch[] {
  const batches: Batch[] = [];
  let last: Batch | undefined;
  let touched = new Set<string>();
  for (const change of changes) {
    const { program, kind } = change;
    const shape = shapeOf(change);
    const keys = keysOf(change);
    const isSingle = program.key.length === 0 && kind !== "insert";
    const joins =
      last?.program === program &&
      last.kind === kind &&
      last.shape === shape &&
      !isSingle &&
      !keys.some((key) => touched.has(key));
    if (!joins || last === undefined) {
      last = { program, kind, shape, changes: [] };
      batches.push(last);
      touched = new Set();
    }
    last.changes.push(change);
    for (const key of keys) touched.add(key);
  }
  return batches;
}

/** Each change goes to the first level after all earlier ones that share a key with it; a level's order cannot be told. */
function inLevels(program: RowProgram, changes: readonly RowChange[]): Batch[] {
  const levels: Map<string, Batch>[] = [];
  const next = new Map<string, number>();
  for (const change of changes) {
    const keys = keysOf(change);
    let level = 0;
    for (const key of keys) level = Math.max(level, next.get(key) ?? 0);
    for (const key of keys) next.set(key, level + 1);
    const batches = (levels[level] ??= new Map<string, Batch>());
    const { kind } = change;
    const shape = shapeOf(change);
    const batch = batches.get(kind + shape);
    if (batch === undefined) batches.set(kind + shape, { program, kind, shape, changes: [change] });
    else batch.changes.push(change);
  }
  return levels.flatMap((batches) =>
    [...batches.values()].toSorted((a, b) => ORDER[a.kind] - ORDER[b.kind]),
  );
}

/** Where a program's columns stand. */
type Places = {
  /** For each of the program's columns its place in the key, or -1. */
  readonly keyOfColumn: readonly number[];
  /** For each of the key's columns its place among the program's. */
  readonly columnsOfKey: readonly number[];
  readonly columnsOfUnique: readonly (readonly number[])[];
};

const placesOf = new WeakMap<RowProgram, Places>();

function places(program: RowProgram): Places {
  const known = placesOf.get(program);
  if (known !== undefined) return known;
  const names = program.columns.map(({ name }) => name);
  const keyNames = program.key.map(({ target }) => target);
  const made = {
    keyOfColumn: names.map((name) => keyNames.indexOf(name)),
    columnsOfKey: keyNames.map((name) => names.indexOf(name)),
    columnsOfUnique: program.target.uniqueKeys.map((unique) =>
      unique.map((name) => names.indexOf(name)),
    ),
  };
  placesOf.set(program, made);
  return made;
}

/** What a change touches, as texts that are equal for changes that must keep their order. */
function keysOf(change: RowChange): string[] {
  if (change.program.key.length === 0) return [];
  const { columnsOfKey, columnsOfUnique } = places(change.program);
  const keys: string[] = [];
  if (change.kind !== "insert") keys.push(textOf(change.key) ?? "");
  if (change.kind === "delete") return keys;
  const { values } = change;
  // The log does not repeat a key that stays: then both are the same objects.
  const stays =
    change.kind === "update" && columnsOfKey.every((place, i) => values[place] === change.key[i]);
  if (!stays) {
    const after = textOf(columnsOfKey.map((place) => values[place] ?? null));
    if (after !== undefined && after !== keys[0]) keys.push(after);
  }
  for (let i = 0; i < columnsOfUnique.length; i++) {
    const value = textOf((columnsOfUnique[i] ?? []).map((place) => values[place] ?? null));
    if (value !== undefined) keys.push(`${i}\0\0${value}`);
  }
  return keys;
}

/** undefined where a value is NULL, which equals nothing, or not known. */
function textOf(values: SourceRow): string | undefined {
  let text = "";
  for (const value of values) {
    if (value === null || value === UNCHANGED) return undefined;
    text += `${value.toString("latin1")}\0`;
  }
  return text;
}

function shapeOf(change: RowChange): string {
  if (change.kind !== "update") return "";
  const { key, values } = change;
  const { keyOfColumn } = places(change.program);
  let shape = "";
  for (let i = 0; i < keyOfColumn.length; i++) {
    const value = values[i] ?? null;
    if (value === UNCHANGED) {
      shape += "u";
      continue;
    }
    const place = keyOfColumn[i] ?? -1;
    const before = place === -1 ? null : key[place];
    shape += Buffer.isBuffer(before) && value?.equals(before) === true ? "k" : "s";
  }
  return shape;
}
