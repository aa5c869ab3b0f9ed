import type { Observation } from "../compare/observation.ts";
import { errorFields } from "../wire/postgres/error-response.ts";
import { Backend, Frontend } from "../wire/postgres/message-types.ts";
import { decodeCommandTag, replyFrameEnd } from "../wire/postgres/reply-frames.ts";
import type { Pair } from "./pair.ts";

/**
 * What the shadow would have answered outside the transaction that Twinwire put around the exchange, or
 * to the COMMIT in whose place its constraints were checked. Notes whether that is an error.
 */
export function rehearsedAnswer(pair: Pair, observation: Observation): Observation {
  const { as = "inside" } = pair.rehearsal ?? {};
  if (as === "inside" || observation.kind !== "answered") return observation;
  const { elapsedMs, frames } = observation;
  const told = as === "commit" ? endOf(frames) : withoutReady(frames);
  const outside = { kind: "answered", elapsedMs, frames: Buffer.concat([told, READY]) } as const;
  pair.shadowFailed = firstError(outside) !== undefined;
  return outside;
}

/**
 * The answer of an exchange whose deferred constraints have been checked after it. In a simple Query the
 * transaction ends before the last statement is told to be complete, in a batch at its Sync.
 */
export function withDeferred(pair: Pair, answer: Observation, check: Observation): Observation {
  const violation = firstError(check);
  if (violation === undefined || answer.kind !== "answered") return answer;
  const before = withoutReady(answer.frames);
  const isQuery = pair.frames[0] === Frontend.Query;
  const kept = isQuery ? before.subarray(0, lastFrame(before, Backend.CommandComplete)) : before;
  return { ...answer, frames: Buffer.concat([kept, violation, READY]) };
}

/** The first ErrorResponse of an answer, as a whole frame. */
export function firstError(observation: Observation | undefined): Uint8Array | undefined {
  if (observation?.kind !== "answered") return undefined;
  for (const [type, start, end] of framesOf(observation.frames)) {
    if (type === Backend.ErrorResponse) return observation.frames.subarray(start, end);
  }
  return undefined;
}

/** How many values of a sequence it can have drawn: at least so many are allowed for as it inserted rows. */
export function drawnBy({ shadow, statements }: Pair): number {
  if (shadow?.kind === "lost" && shadow.elapsedMs === 0) return 0;
  let rows = 0;
  if (shadow?.kind === "answered") {
    for (const [type, start, end] of framesOf(shadow.frames)) {
      if (type !== Backend.CommandComplete) continue;
      rows += Number(INSERTED.exec(tagOf(shadow.frames, start, end))?.[1] ?? 0);
    }
  }
  const isCounted = firstError(shadow) === undefined && rows > 0;
  const skipsRows = statements.some(({ normalised }) => /\bon\s+conflict\b/i.test(normalised));
  return isCounted && !skipsRows ? rows : Math.max(rows, UNCOUNTED_ROWS);
}

const INSERTED = /^INSERT 0 (\d+)$/;
/** What failed, or passed rows over, does not say how many rows it tried. */
const UNCOUNTED_ROWS = 100;

/** ReadyForQuery, outside a transaction. */
const READY = Buffer.from([Backend.ReadyForQuery, 0, 0, 0, 5, 0x49]);
const COMMITTED = completeFrame("COMMIT");
const ROLLED_BACK = completeFrame("ROLLBACK");

/** What COMMIT answers where SET CONSTRAINTS answers this. */
function endOf(frames: Uint8Array): Uint8Array {
  const error = firstError({ kind: "answered", elapsedMs: 0, frames });
  if (error === undefined) return COMMITTED;
  // A transaction that has failed before is rolled back by COMMIT, without an error.
  return errorFields(error).get("C") === "25P02" ? ROLLED_BACK : error;
}

function completeFrame(tag: string): Buffer {
  const frame = Buffer.from(`C0000${tag}\0`, "latin1");
  frame.writeInt32BE(frame.length - 1, 1);
  return frame;
}

function withoutReady(frames: Uint8Array): Uint8Array {
  return frames.subarray(0, lastFrame(frames, Backend.ReadyForQuery));
}

/** Where the last frame of a type begins; the end when there is none. */
function lastFrame(frames: Uint8Array, wanted: number): number {
  let last = frames.length;
  for (const [type, start] of framesOf(frames)) if (type === wanted) last = start;
  return last;
}

function tagOf(frames: Uint8Array, start: number, end: number): string {
  return decodeCommandTag(frames.subarray(start + 5, end));
}

function* framesOf(
  frames: Uint8Array,
): Generator<readonly [type: number, start: number, end: number]> {
  let at = 0;
  for (;;) {
    const end = replyFrameEnd(frames, at);
    if (end < 0) return;
    yield [frames[at] as number, at, end];
    at = end;
  }
}
