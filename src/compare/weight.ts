import { DIFFERENCE_REASONS } from "./verdict.ts";
import type { DifferenceReason } from "./verdict.ts";
import type { Difference } from "./values/value.ts";

const ORDER: ReadonlyMap<string, number> = new Map(
  Object.keys(DIFFERENCE_REASONS).map((reason, index) => [reason, index]),
);

/** The smaller the graver: what diverges before what is tolerated, then in the order of the catalogue. */
export function weightOf({ reason, tolerated }: Difference): number {
  return (ORDER.get(reason) ?? ORDER.size) + (tolerated ? ORDER.size : 0);
}

/** Whether the first reason is graver than the second. */
export function isGraver(first: DifferenceReason, second: DifferenceReason): boolean {
  return (ORDER.get(first) ?? ORDER.size) < (ORDER.get(second) ?? ORDER.size);
}
