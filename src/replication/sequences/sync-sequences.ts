import { WorkError } from "../../upstream/work-error.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import type { MappingInput } from "../mapping/mapping-input.ts";
import type { TableMapping } from "../mapping/row-program.ts";
import type { Direction } from "../names.ts";
import { quoteLiteral, quoteTable, tableKey } from "../table-shape.ts";
import { lastUsed, nextPosition } from "./next-position.ts";
import type { NextPosition } from "./next-position.ts";
import { denied, nameMap, pairSequences } from "./pair-sequences.ts";
import type { SequencePair, SequenceProblem } from "./pair-sequences.ts";
import { readExtremes, readSequences } from "./read-sequences.ts";
import type { SequenceColumn, SequencePosition, SequenceState } from "./read-sequences.ts";

export type SequenceMapping = {
  /** From the side that hands out values to the other. */
  readonly direction: Direction;
  readonly input: MappingInput;
  readonly tables: readonly TableMapping[];
};

export type SequenceSync = {
  /** How many sequences have been looked at, and how many of them moved. */
  readonly looked: number;
  readonly set: number;
  /** Those could not be brought in step. */
  readonly problems: readonly SequenceProblem[];
  /** What is worth knowing: sequences behind their data or near their end, and sessions that keep values of before. */
  readonly warnings: readonly SequenceProblem[];
};

export type SyncOptions = {
  /** Values left out. */
  readonly headroom: number;
  /** At the fence: looks at the data of both sides as well, and leaves the whole headroom. */
  readonly final: boolean;
};

/** Share of a sequence's values beyond which it is warned about. */
const NEAR_END = 0.8;

/**
 * Brings the target's sequences ahead of the source's; never back. May be run again and again from the side that hands out
 * values; run from both sides by turns they would chase each other.
 * @throws CodedError, WorkError for what is neither missing nor denied
 */
export async function syncSequences(
  source: WorkSession,
  target: WorkSession,
  mapping: SequenceMapping,
  { headroom, final }: SyncOptions,
): Promise<SequenceSync> {
  const { paired, problems } = await pairedOf(source, target, mapping);
  const there = await extremesThere(target, paired, final);
  const data = final
    ? together(there, await extremes(source, paired, ({ sources }) => columnsOf(sources)))
    : new Map<number, Extreme[]>();
  // What stands in the source may have moved while the target was read, never what is behind it.
  const moves = paired.map((pair) => ({
    pair,
    next: nextOf(
      pair,
      (data.get(pair.target.oid) ?? []).map(({ value }) => value),
      { headroom, final },
    ),
  }));
  const failed: SequenceProblem[] = [];
  const due = moves.flatMap(({ pair, next }) => {
    if (next?.set === undefined) return [];
    if (pair.target.settable) return [{ target: pair.target, to: next.set }];
    failed.push(denied(pair.target, "UPDATE"));
    return [];
  });
  const set = await setAll(target, due);
  return {
    looked: paired.length,
    set,
    problems: [...problems, ...failed],
    warnings: moves.flatMap(({ pair, next }) => {
      if (next === undefined) return [];
      return [...behindOf(pair, next, there.get(pair.target.oid) ?? []), ...warningsOf(pair, next)];
    }),
  };
}

type Paired = {
  readonly paired: readonly SequencePair[];
  readonly problems: readonly SequenceProblem[];
};

async function pairedOf(
  source: WorkSession,
  target: WorkSession,
  { direction, input, tables }: SequenceMapping,
): Promise<Paired> {
  const names = nameMap(input, tables, "forward");
  // Sequences that no column draws from travel with the schemas of the tables.
  const oldSchemas = [...new Set(tables.map((table) => table.source.schema))];
  const newSchemas = [...new Set(oldSchemas.map((name) => names.schema(name)))];
  const isForward = direction === "forward";
  const tablesOf = (side: "source" | "target") => tables.map((table) => table[side]);
  const [sources, targets] = await Promise.all([
    readSequences(
      source,
      tablesOf(isForward ? "source" : "target"),
      isForward ? oldSchemas : newSchemas,
    ),
    readSequences(
      target,
      tablesOf(isForward ? "target" : "source"),
      isForward ? newSchemas : oldSchemas,
    ),
  ]);
  const { pairs, problems } = pairSequences(sources, targets, nameMap(input, tables, direction));
  const unread = [...sources, ...pairs.map((pair) => pair.target)].filter(
    ({ position }) => position === undefined,
  );
  return {
    paired: pairs.filter((pair) => pair.target.position !== undefined),
    problems: [...problems, ...unread.map((sequence) => denied(sequence, "SELECT"))],
  };
}

function nextOf(
  { target, sources }: SequencePair,
  data: readonly bigint[],
  { headroom, final }: SyncOptions,
): NextPosition | undefined {
  const { position } = target;
  if (position === undefined) return undefined;
  return nextPosition({
    target: { ...target, position },
    source: furthest(target, sources),
    data,
    headroom,
    isLazy: !final,
  });
}

function furthest(
  { increment }: SequenceState,
  sources: readonly SequenceState[],
): SequencePosition | undefined {
  const positions = sources.flatMap((source) =>
    source.position === undefined
      ? []
      : // What was handed out counts, not what comes next by the source's own step.
        [
          source.position.isCalled
            ? source.position
            : { lastValue: source.position.lastValue - source.increment, isCalled: true },
        ],
  );
  return positions.toSorted(
    (a, b) => Number((b.lastValue - a.lastValue) * (increment > 0n ? 1n : -1n) > 0n) * 2 - 1,
  )[0];
}

/** The value furthest along in a column that draws from a sequence. */
type Extreme = { readonly column: SequenceColumn; readonly value: bigint };

type Extremes = ReadonlyMap<number, readonly Extreme[]>;

/** Values in the tables of a side, by the target sequence's oid, where an index gives them at once. */
async function extremes(
  session: WorkSession,
  pairs: readonly SequencePair[],
  of: (pair: SequencePair) => readonly SequenceColumn[],
): Promise<Extremes> {
  const asked = pairs.flatMap((pair) =>
    of(pair)
      .filter(({ isIndexed, range }) => isIndexed && range !== undefined)
      .map((column) => ({ column, descends: pair.target.increment < 0n, oid: pair.target.oid })),
  );
  const found = await readExtremes(session, asked);
  const data = new Map<number, Extreme[]>();
  for (const [index, { oid, column }] of asked.entries()) {
    const value = found[index];
    if (value !== undefined) data.set(oid, [...(data.get(oid) ?? []), { column, value }]);
  }
  return data;
}

async function extremesThere(
  target: WorkSession,
  pairs: readonly SequencePair[],
  final: boolean,
): Promise<Extremes> {
  try {
    return await extremes(target, pairs, (pair) => pair.target.columns);
  } catch (error) {
    // Only a warning hangs on it before the fence.
    if (!final && error instanceof WorkError && error.sqlstate === DENIED) return new Map();
    throw error;
  }
}

const DENIED = "42501";

function columnsOf(sequences: readonly SequenceState[]): readonly SequenceColumn[] {
  return sequences.flatMap(({ columns }) => columns);
}

function together(some: Extremes, others: Extremes): Extremes {
  const oids = [...some.keys(), ...others.keys()];
  return new Map(
    oids.map((oid) => [oid, [...(some.get(oid) ?? []), ...(others.get(oid) ?? [])] as const]),
  );
}

/** Since PostgreSQL 9.4. The values' order is that of the sequences. */
const SET_ALL = `
  SELECT pg_catalog.setval(w.seq::pg_catalog.oid::pg_catalog.regclass, w.value, w.called)
  FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int8[]),
    pg_catalog.unnest($3::pg_catalog.bool[])) AS w(seq, value, called)`;

/** One statement for all of them. */
async function setAll(
  target: WorkSession,
  due: readonly { readonly target: SequenceState; readonly to: SequencePosition }[],
): Promise<number> {
  if (due.length === 0) return 0;
  const list = (values: readonly (string | number | bigint | boolean)[]): string =>
    `{${values.join(",")}}`;
  await target.query({
    sql: SET_ALL,
    values: [
      list(due.map((each) => each.target.oid)),
      list(due.map(({ to }) => to.lastValue)),
      list(due.map(({ to }) => to.isCalled)),
    ],
  });
  return due.length;
}

/** A value that is handed out next may stand in a row already: the source's sequence was behind, or the target's was set back. */
function behindOf(
  { target, name }: SequencePair,
  { set }: NextPosition,
  data: readonly Extreme[],
): SequenceProblem[] {
  const { position, cycles, increment, settable } = target;
  if (position === undefined || cycles) return [];
  const here = lastUsed((settable ? set : undefined) ?? position, increment);
  return data.flatMap(({ column, value }) => {
    const isBehind = increment > 0n ? value > here : value < here;
    if (!isBehind || value < target.min || value > target.max) return [];
    const where = `"${column.column}" of ${tableKey(column.table)}`;
    return [
      {
        sequence: name,
        message: `the sequence ${name} stands at ${here}, behind ${value} in ${where}: what it hands out next may stand there already`,
        cure: `SELECT setval(${quoteLiteral(quoteTable(target))}, ${value})`,
      },
    ];
  });
}

function warningsOf(
  { target, name }: SequencePair,
  { isCut, used }: NextPosition,
): SequenceProblem[] {
  const found: SequenceProblem[] = [];
  if (used > NEAR_END || isCut) {
    const percent = Math.min(100, Math.floor(used * 100));
    const narrow = target.columns.find(
      ({ range }) => range !== undefined && range.max < target.max,
    );
    const what =
      narrow === undefined ? "" : ` that "${narrow.column}" of ${tableKey(narrow.table)} can hold`;
    found.push({
      sequence: name,
      message: `${percent} % of the values${what} of the sequence ${name} are used up`,
      cure:
        narrow === undefined
          ? "give the sequence a wider range"
          : `ALTER TABLE … ALTER COLUMN "${narrow.column}" TYPE bigint`,
    });
  }
  if (target.cache > 1n) {
    found.push({
      sequence: name,
      message: `sessions take ${target.cache} values of ${name} at once: one that did so before the switch hands them out after it`,
      cure: "reconnect, or DISCARD SEQUENCES, in sessions that were open on the target before",
    });
  }
  return found;
}
