import type { Statement } from "../sql/statement.ts";
import type { Pair } from "./pair.ts";
import type { ShadowState } from "./shadow-state.ts";
import type { FactsTable } from "./statement-facts.ts";

/** So many exchanges of a session are sent to the shadow at once. */
export const MOST_TOGETHER = 128;
const MOST_BYTES_TOGETHER = 65_536;
/** A statement's speed is judged by the answers to exchanges sent alone: all of them until there are so many, */
const TIMED_ENOUGH = 2_000;
/** and one in so many from then on: what is sent alone waits for a whole round trip, and all behind it do. */
const TIMED_SHARE = 256;

/** Chooses which exchanges of one session may be sent to the shadow together with others. */
export class SharedWrites {
  readonly #facts: FactsTable;
  #sinceTimed = 0;

  constructor(facts: FactsTable) {
    this.#facts = facts;
  }

  /**
   * Whether what the pair needs and what it leaves behind is the same whatever becomes of the exchanges
   * before it, and the time of its answer is of no interest.
   */
  takes(pair: Pair): boolean {
    if (!isPlainRead(pair)) return false;
    const [statement] = pair.statements;
    if (pair.statements.length === 1 && statement !== undefined && !this.#isTimedEnough(statement))
      return false;
    if (++this.#sinceTimed < TIMED_SHARE) return true;
    this.#sinceTimed = 0;
    return false;
  }

  #isTimedEnough(statement: Statement): boolean {
    return this.#facts.of(statement).coverage.timed >= TIMED_ENOUGH;
  }
}

/** It reads in a transaction of its own, and neither changes the session nor runs what another pair prepares. */
function isPlainRead(pair: Pair): boolean {
  const { statements, changes, bound } = pair;
  if (pair.kind !== "mirror" || !pair.begins || pair.access !== undefined) return false;
  for (const statement of statements) {
    if (statement.kind !== "read" || statement.effects.length > 0) return false;
  }
  for (const change of changes) {
    if (change.type === "close" || change.statement.name !== "") return false;
  }
  for (const { name } of bound) if (name === "") return false;
  return true;
}

/**
 * How many pairs from the head of the queue can be sent in one write: of each, the primary's answer is
 * there, so nobody will cancel it, and the session has all that it needs.
 */
export function countTogether(queue: readonly Pair[], state: ShadowState, status: string): number {
  let count = 0;
  let bytes = 0;
  for (const pair of queue) {
    if (count === MOST_TOGETHER || !pair.shareable || !pair.ready) break;
    if (pair.primary === undefined || pair.cancelled || !state.isReadyFor(pair, status)) break;
    bytes += pair.frames.length;
    if (bytes > MOST_BYTES_TOGETHER) break;
    count++;
  }
  return count;
}
