import type { Page, PageRequest } from "./items.ts";

/** The part of a sorted list after a cursor. `keyOf` names an entry; an unknown cursor gives nothing. */
export function pageOf<T>(
  sorted: readonly T[],
  { after, limit }: PageRequest,
  keyOf: (entry: T) => string,
): Page<T> {
  const start = after === undefined ? 0 : sorted.findIndex((entry) => keyOf(entry) === after) + 1;
  if (after !== undefined && start === 0) return { items: [], next: null };
  const items = sorted.slice(start, start + Math.max(1, limit));
  const last = items.at(-1);
  const more = start + items.length < sorted.length;
  return { items, next: more && last !== undefined ? keyOf(last) : null };
}
