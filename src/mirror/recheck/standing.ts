import type { Observation } from "../../compare/observation.ts";
import type { Finding } from "../../compare/verdict.ts";

/** A difference that has been the same for some passes. */
export type Standing = {
  /** The primary's answer, which has not changed since. */
  readonly answer: Observation;
  readonly sinceMs: number;
  readonly passes: number;
  /** The shadow is known to have had what the primary had. */
  readonly isLocated: boolean;
  readonly finding: Finding;
  readonly shadows: Observation;
};

/** What stands after another pass in which the shadow differed; another difference begins anew. */
export function nextStanding(
  before: Standing | undefined,
  seen: Pick<Standing, "answer" | "isLocated" | "finding" | "shadows">,
  nowMs: number,
): Standing {
  if (before === undefined || !isSameFinding(before.finding, seen.finding)) {
    return { ...seen, sinceMs: nowMs, passes: 1 };
  }
  const { answer, sinceMs, passes } = before;
  return { ...seen, answer, sinceMs, passes: passes + 1 };
}

function isSameFinding(a: Finding, b: Finding): boolean {
  return a.reason === b.reason && a.column === b.column;
}
