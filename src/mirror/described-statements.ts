import type { RememberedShape } from "../compare/context.ts";
import type { Observation } from "../compare/observation.ts";
import type { PreparedStatement } from "../routing/prepared-statements.ts";
import { bindResultFormats, describedStatement } from "../wire/postgres/frontend-frames.ts";
import { Backend, Frontend } from "../wire/postgres/message-types.ts";
import { readReplyFrames, replyFrameEnd } from "../wire/postgres/reply-frames.ts";
import type { Pair } from "./pair.ts";

type Descriptions = { primary?: Uint8Array; shadow?: Uint8Array };

/**
 * The rows that prepared statements return, as each side described them. Many drivers ask once, when
 * they prepare, and never again; without it the values of later answers have no types.
 */
export class DescribedStatements {
  readonly #known = new WeakMap<PreparedStatement, Descriptions>();

  /** Takes notice of an exchange in which statements were prepared, and perhaps described. */
  learn(pair: Pair): void {
    if (pair.changes.length === 0) return;
    const described = describedIn(pair);
    if (described.length === 0) return;
    for (const side of ["primary", "shadow"] as const) {
      rowsDescribed(pair[side]).forEach((body, index) => {
        const statement = described[index];
        if (statement === undefined || body === undefined) return;
        const known = this.#known.get(statement) ?? {};
        known[side] = body;
        this.#known.set(statement, known);
      });
    }
  }

  /** What is known of the only result of an exchange that executes one statement prepared before. */
  shapeOf(pair: Pair): RememberedShape | undefined {
    const [statement, another] = pair.bound;
    if (statement === undefined || another !== undefined || pair.statements.length !== 1) {
      return undefined;
    }
    const known = this.#known.get(statement);
    if (known?.primary === undefined) return undefined;
    const shadow = known.shadow ?? known.primary;
    return { primary: known.primary, shadow, formats: formatsIn(pair.frames) };
  }
}

/** The statements that Describe asks for, in order; those that are not prepared here are gaps. */
function describedIn(pair: Pair): (PreparedStatement | undefined)[] {
  const described: (PreparedStatement | undefined)[] = [];
  for (const [type, start, end] of requestFrames(pair.frames)) {
    if (type !== Frontend.Describe) continue;
    const name = describedStatement(pair.frames, start, end);
    if (name === undefined) continue;
    const change = pair.changes.find(
      (candidate) => candidate.type === "parse" && candidate.statement.name === name,
    );
    described.push(change?.type === "parse" ? change.statement : undefined);
  }
  return described;
}

/** Bodies of the RowDescriptions that follow a ParameterDescription; a gap for each NoData. */
export function rowsDescribed(observation: Observation | undefined): (Uint8Array | undefined)[] {
  if (observation?.kind !== "answered") return [];
  const bodies: (Uint8Array | undefined)[] = [];
  let awaited = false;
  for (const { type, body } of readReplyFrames(observation.frames)) {
    if (type === Backend.ParameterDescription) awaited = true;
    else if (awaited && (type === Backend.RowDescription || type === Backend.NoData)) {
      bodies.push(type === Backend.RowDescription ? Uint8Array.from(body) : undefined);
      awaited = false;
    }
  }
  return bodies;
}

/** The result formats that the first Bind of a request asks for. */
export function formatsIn(frames: Buffer): readonly number[] | undefined {
  for (const [type, start, end] of requestFrames(frames)) {
    if (type === Frontend.Bind) return bindResultFormats(frames, start, end);
  }
  return undefined;
}

function* requestFrames(frames: Buffer): Generator<readonly [number, number, number]> {
  let at = 0;
  for (;;) {
    const end = replyFrameEnd(frames, at);
    if (end < 0) return;
    yield [frames[at] as number, at, end];
    at = end;
  }
}
