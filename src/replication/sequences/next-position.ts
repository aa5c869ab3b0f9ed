import type { SequencePosition, SequenceState } from "./read-sequences.ts";

/** Where a sequence of the target is to stand. */
export type NextPosition = {
  /** undefined: it is far enough ahead as it stands. */
  readonly set: SequencePosition | undefined;
  /** Less than the headroom was left before the end. */
  readonly isCut: boolean;
  /** Share of its values that are used up, of the narrowest of its own range and its columns', 0 to 1. */
  readonly used: number;
};

export type NextInput = {
  readonly target: SequenceState & { readonly position: SequencePosition };
  /** undefined where the source has no such sequence. */
  readonly source: SequencePosition | undefined;
  /** Greatest (or least, where it descends) values that stand in the tables of either side. */
  readonly data: readonly bigint[];
  /** How many values to leave out. */
  readonly headroom: number;
  /** It need not be set before half of the headroom is used up. */
  readonly isLazy: boolean;
};

/**
 * The target never hands out what the source, its own past or the data has: it stands at least the headroom behind the
 * furthest of source and data, on its own grid of start and increment. What it has handed out itself lies behind it as it
 * stands. A sequence that cycles hands out everything again by design; it goes on the headroom behind the source.
 */
export function nextPosition(input: NextInput): NextPosition {
  const { target } = input;
  return target.cycles ? cyclePosition(input) : linePosition(input);
}

function linePosition({ target, source, data, headroom, isLazy }: NextInput): NextPosition {
  const { increment, position } = target;
  const forward = increment > 0n;
  const ahead = (a: bigint, b: bigint): boolean => (forward ? a > b : a < b);
  const furthest = (values: readonly bigint[]): bigint =>
    values.reduce((most, value) => (ahead(value, most) ? value : most));
  const limits = [
    target.max,
    ...target.columns.flatMap(({ range }) => (range === undefined ? [] : [range.max])),
  ];
  const floors = [
    target.min,
    ...target.columns.flatMap(({ range }) => (range === undefined ? [] : [range.min])),
  ];
  const end = forward ? least(limits) : greatest(floors);
  const handedOut = [
    ...(source === undefined ? [] : [lastUsed(source, increment)]),
    ...data.filter((value) => value >= target.min && value <= target.max),
  ];
  const here = lastUsed(position, increment);
  const base = handedOut.length === 0 ? here : furthest(handedOut);
  const used = share(
    forward ? base - target.min : target.max - base,
    forward ? end - target.min : target.max - end,
  );
  if (handedOut.length === 0) return { set: undefined, isCut: false, used };
  const wanted = onGrid(target, base + BigInt(headroom) * increment);
  const enough = isLazy ? base + (BigInt(headroom) / 2n) * increment : wanted;
  if (!ahead(enough, here)) return { set: undefined, isCut: false, used };
  const isCut = ahead(wanted, end);
  const last = isCut ? lastOnGrid(target, end) : wanted;
  // The end itself lies behind what is used already: nothing is left, and asking for more must fail.
  const value = ahead(base, last) ? lastOnGrid(target, forward ? target.max : target.min) : last;
  return { set: ahead(value, here) ? settled(target, value) : undefined, isCut, used };
}

/** Nothing has been handed out before the first value, which setval cannot say but by the next one. */
function settled(target: SequenceState, value: bigint): SequencePosition {
  return value >= target.min && value <= target.max
    ? { lastValue: value, isCalled: true }
    : { lastValue: firstOnGrid(target), isCalled: false };
}

function cyclePosition({ target, source, headroom, isLazy }: NextInput): NextPosition {
  const idle = { set: undefined, isCut: false, used: 0 };
  if (source === undefined) return idle;
  const { increment, min, max, position } = target;
  const size = max - min + 1n;
  const step = increment > 0n ? increment : -increment;
  const away = (from: bigint, to: bigint): bigint => {
    const distance = (increment > 0n ? to - from : from - to) % size;
    return distance < 0n ? distance + size : distance;
  };
  // More than a quarter of all values would be hard to tell from being behind.
  const wanted = least([BigInt(headroom) * step, size / 4n]);
  const base = lastUsed(source, increment);
  const distance = away(base, lastUsed(position, increment));
  if (distance >= (isLazy ? wanted / 2n : wanted) && distance <= size / 2n) return idle;
  // It begins again at its end, whatever the step.
  const first = increment > 0n ? min : max;
  const offset = away(first, increment > 0n ? base + wanted : base - wanted) + step - 1n;
  const ahead = ((offset - (offset % step)) % size) * (increment > 0n ? 1n : -1n);
  return { ...idle, set: { lastValue: first + ahead, isCalled: true } };
}

/** Handed out last, or the one before the first. */
export function lastUsed({ lastValue, isCalled }: SequencePosition, increment: bigint): bigint {
  return isCalled ? lastValue : lastValue - increment;
}

/** The value itself or the next one behind it that the sequence would have come by from its start. */
function onGrid({ start, increment }: SequenceState, value: bigint): bigint {
  const rest = (value - start) % increment;
  if (rest === 0n) return value;
  const isBehind = rest > 0n === increment > 0n;
  return value - rest + (isBehind ? increment : 0n);
}

/** The last one not behind the limit. */
function lastOnGrid(target: SequenceState, limit: bigint): bigint {
  const next = onGrid(target, limit);
  return next === limit ? next : next - target.increment;
}

function firstOnGrid(target: SequenceState): bigint {
  return onGrid(target, target.increment > 0n ? target.min : target.max);
}

function share(part: bigint, whole: bigint): number {
  return whole <= 0n ? 1 : Number((part * 10_000n) / whole) / 10_000;
}

function least(values: readonly bigint[]): bigint {
  return values.reduce((a, b) => (a < b ? a : b));
}

function greatest(values: readonly bigint[]): bigint {
  return values.reduce((a, b) => (a > b ? a : b));
}
