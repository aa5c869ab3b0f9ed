import type { WorkSession } from "../../upstream/work-session.ts";
import type { MappingInput } from "../mapping/mapping-input.ts";
import type { TableMapping } from "../mapping/row-program.ts";
import type { Direction } from "../names.ts";
import { tableKey } from "../table-shape.ts";
import { nextPosition } from "./next-position.ts";
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
  /** Schemas of OLD whose sequences travel although no column draws from them; those of the tables unless given. */
  readonly schemas?: readonly string[] | undefined;
};

export type SequenceSync = {
  /** How many sequences have been looked at, and how many of them moved. */
  readonly looked: number;
  readonly set: number;
  /** Those could not be brought in step. */
  readonly problems: readonly SequenceProblem[];
  /** What is worth knowing: sequences near their end, and sessions that keep values of before. */
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
  const data = final ? await extremes(source, target, paired) : new Map<number, bigint[]>();
  // What stands in the source may have moved while the target was read, never what is behind it.
  const moves = paired.map((pair) => ({
    pair,
    next: nextOf(pair, data.get(pair.target.oid) ?? [], { headroom, final }),
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
    warnings: moves.flatMap(({ pair, next }) => (next === undefined ? [] : warningsOf(pair, next))),
  };
}

/** What would be in the way of bringing sequences in step, and which are near their end; changes nothing. */
export async function checkSequences(
  source: WorkSession,
  target: WorkSession,
  mapping: SequenceMapping,
): Promise<Pick<SequenceSync, "problems" | "warnings">> {
  const { paired, problems } = await pairedOf(source, target, mapping);
  return {
    problems: [
      ...problems,
      ...paired.flatMap((pair) => (pair.target.settable ? [] : [denied(pair.target, "UPDATE")])),
    ],
    warnings: paired.flatMap((pair) => {
      const next = nextOf(pair, [], { headroom: 0, final: false });
      return next === undefined ? [] : warningsOf(pair, next);
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
  { direction, input, tables, schemas }: SequenceMapping,
): Promise<Paired> {
  const names = nameMap(input, tables, "forward");
  const oldSchemas = schemas ?? [...new Set(tables.map((table) => table.source.schema))];
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

/** Values in the tables of both sides, by the target sequence's oid, where an index gives them at once. */
async function extremes(
  source: WorkSession,
  target: WorkSession,
  pairs: readonly SequencePair[],
): Promise<ReadonlyMap<number, bigint[]>> {
  const data = new Map<number, bigint[]>();
  const collect = async (
    session: WorkSession,
    of: (pair: SequencePair) => readonly SequenceColumn[],
  ): Promise<void> => {
    const asked = pairs.flatMap((pair) =>
      of(pair)
        .filter(({ isIndexed, range }) => isIndexed && range !== undefined)
        .map((column) => ({ column, descends: pair.target.increment < 0n, oid: pair.target.oid })),
    );
    const found = await readExtremes(session, asked);
    for (const [index, { oid }] of asked.entries()) {
      const value = found[index];
      if (value !== undefined) data.set(oid, [...(data.get(oid) ?? []), value]);
    }
  };
  await collect(source, ({ sources }) => sources.flatMap(({ columns }) => columns));
  await collect(target, (pair) => pair.target.columns);
  return data;
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
