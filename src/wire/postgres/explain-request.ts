import { bindParameters, parseParts, queryText } from "./frontend-frames.ts";
import { SYNC_MESSAGE } from "./frontend-messages.ts";
import { Frontend } from "./message-types.ts";
import { replyFrameEnd } from "./reply-frames.ts";

const EXPLAIN = Buffer.from("EXPLAIN (FORMAT JSON) ");

/**
 * A request for the plan of a statement instead of its rows, with the same parameters.
 * @param prepared the Parse frame of the statement, where the request binds one that was prepared before
 * @param request a Query, or a batch that binds one statement
 * @returns undefined when it is neither
 */
export function explainRequest(
  prepared: Uint8Array | undefined,
  request: Uint8Array,
): Buffer | undefined {
  const frames = bufferOf(request);
  const [query] = framesOf(frames, Frontend.Query);
  if (query !== undefined) {
    const text = queryText(frames, ...query);
    return text && frame("Q", EXPLAIN, frames.subarray(text.start, text.end + 1));
  }
  const binds = framesOf(frames, Frontend.Bind);
  const [bind] = binds;
  const parse = prepared === undefined ? onlyParse(frames) : bufferOf(prepared);
  if (bind === undefined || binds.length > 1 || parse === undefined) return undefined;
  const parts = parseParts(parse, 0, parse.length);
  const parameters = bindParameters(frames, ...bind);
  if (parts === undefined || parameters === undefined) return undefined;
  const { text } = parts;
  return Buffer.concat([
    // The text with its terminator, and the parameters' types.
    frame("P", Buffer.from("\0"), EXPLAIN, parse.subarray(text.start)),
    frame("B", NO_NAMES, frames.subarray(parameters.start, parameters.end), NO_FORMATS),
    EXECUTE,
    SYNC_MESSAGE,
  ]);
}

/** An unnamed portal and an unnamed statement; result formats: none given, so all text. */
const NO_NAMES = Buffer.from("\0\0");
const NO_FORMATS = Buffer.from([0, 0]);
const EXECUTE = frame("E", Buffer.from([0, 0, 0, 0, 0]));

function onlyParse(frames: Buffer): Buffer | undefined {
  const [parse, another] = framesOf(frames, Frontend.Parse);
  return parse === undefined || another !== undefined ? undefined : frames.subarray(...parse);
}

function framesOf(frames: Buffer, type: number): (readonly [start: number, end: number])[] {
  const found: (readonly [number, number])[] = [];
  let at = 0;
  for (let end = replyFrameEnd(frames, at); end >= 0; end = replyFrameEnd(frames, at)) {
    if (frames[at] === type) found.push([at, end]);
    at = end;
  }
  return found;
}

function frame(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(5);
  header.write(type, "latin1");
  header.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
