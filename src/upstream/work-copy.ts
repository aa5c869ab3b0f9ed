import { CodedError } from "../base/errors.ts";
import {
  COPY_DONE_MESSAGE,
  copyFailMessage,
  queryMessage,
} from "../wire/postgres/frontend-messages.ts";
import { Backend } from "../wire/postgres/message-types.ts";
import { decodeCommandTag } from "../wire/postgres/reply-frames.ts";
import type { Conversation } from "./conversation.ts";
import type { CopyIn } from "./work-session.ts";

/** Frames that the reader keeps for itself are no larger; it hands over larger ones for good. */
const READER_KEEPS_BYTES = 65_536;

/** The number at the end of a command tag: `COPY 5`, `INSERT 0 1`; 0 where there is none. */
export function affectedOf(tag: string): number {
  return Number(/\d+$/.exec(tag)?.[0] ?? 0);
}

/** Hands on runs of CopyData frames as they were read. @see WorkSession.copyOut */
export async function copyOut(
  conversation: Conversation,
  sql: string,
  chunk: (frames: Buffer) => Promise<void> | undefined,
): Promise<number> {
  let affected = 0;
  const giver = new RunGiver(conversation, chunk);
  try {
    await conversation.exchange({
      request: queryMessage(sql),
      frame: (type, bytes, start, end) => {
        if (type === Backend.CopyData) giver.take(bytes, start, end);
        else if (type === Backend.CommandComplete) {
          affected = affectedOf(decodeCommandTag(bytes.subarray(start + 5, end)));
        }
      },
      chunkEnd: () => giver.flush(),
    });
    await giver.allTaken();
  } catch (error) {
    throw giver.failure === undefined ? error : giver.failure.error;
  }
  return affected;
}

/** Frames that follow each other in one buffer become one run. Reading pauses while a run is not taken. */
class RunGiver {
  readonly #conversation: Conversation;
  readonly #chunk: (frames: Buffer) => Promise<void> | undefined;
  #run: { readonly bytes: Buffer; readonly start: number; end: number } | undefined;
  #pending = 0;
  #idle: (() => void) | undefined;
  failure: { readonly error: unknown } | undefined;

  constructor(conversation: Conversation, chunk: (frames: Buffer) => Promise<void> | undefined) {
    this.#conversation = conversation;
    this.#chunk = chunk;
  }

  take(bytes: Buffer, start: number, end: number): void {
    const run = this.#run;
    if (run?.bytes === bytes && run.end === start) {
      run.end = end;
      return;
    }
    this.flush();
    if (this.#conversation.isChunk(bytes)) this.#run = { bytes, start, end };
    else if (bytes.length > READER_KEEPS_BYTES) this.#give(bytes.subarray(start, end));
    // The reader uses its own buffer again before this one has been written.
    else this.#give(Buffer.from(bytes.subarray(start, end)));
  }

  flush(): void {
    const run = this.#run;
    this.#run = undefined;
    if (run !== undefined) this.#give(run.bytes.subarray(run.start, run.end));
  }

  async allTaken(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    if (this.failure !== undefined) throw this.failure.error;
  }

  #give(frames: Buffer): void {
    if (this.failure !== undefined) return;
    let taken: Promise<void> | undefined;
    try {
      taken = this.#chunk(frames);
    } catch (error) {
      return this.#fail(error);
    }
    if (taken === undefined) return;
    if (++this.#pending === 1) this.#conversation.pause();
    taken.then(
      () => this.#taken(),
      (error: unknown) => {
        this.#fail(error);
        this.#taken();
      },
    );
  }

  #taken(): void {
    if (--this.#pending > 0) return;
    this.#conversation.resume();
    this.#idle?.();
  }

  #fail(error: unknown): void {
    this.failure ??= { error };
    const reason = "a COPY was given up by its reader";
    this.#conversation.breakOff(new CodedError("backend_lost", reason));
  }
}

/** @see WorkSession.copyIn */
export async function copyIn(conversation: Conversation, sql: string): Promise<CopyIn> {
  let affected = 0;
  let ended: { readonly error: unknown } | undefined;
  let begun = (): void => {};
  const started = new Promise<void>((resolve) => (begun = resolve));
  const finished = conversation.exchange({
    request: queryMessage(sql),
    frame: (type, bytes, start, end) => {
      if (type === Backend.CopyInResponse) begun();
      else if (type === Backend.CommandComplete) {
        affected = affectedOf(decodeCommandTag(bytes.subarray(start + 5, end)));
      }
    },
    // The server throws away what still comes, so that nobody waits for it to be taken in vain.
    refused: (error) => (ended = { error }),
  });
  finished.catch((error: unknown) => (ended = { error }));
  await Promise.race([started, finished]);
  if (ended !== undefined) throw ended.error;
  return {
    frames: (frames) => {
      if (ended !== undefined) return Promise.reject(ended.error);
      return conversation.write(frames);
    },
    finish: async () => {
      if (ended === undefined) void conversation.write(COPY_DONE_MESSAGE)?.catch(() => {});
      await finished;
      return affected;
    },
    fail: async (reason) => {
      if (ended === undefined) void conversation.write(copyFailMessage(reason))?.catch(() => {});
      await finished.catch(() => {});
    },
  };
}

/** @see WorkSession.copyAtOnce */
export async function copyAtOnce(
  conversation: Conversation,
  sql: string,
  frames: Iterable<Buffer>,
): Promise<number> {
  let affected = 0;
  let isRefused = false;
  const finished = conversation.exchange({
    request: queryMessage(sql),
    frame: (type, bytes, start, end) => {
      if (type === Backend.CommandComplete) {
        affected = affectedOf(decodeCommandTag(bytes.subarray(start + 5, end)));
      }
    },
    refused: () => (isRefused = true),
  });
  // What the server has refused it throws away, up to its ReadyForQuery and beyond.
  const written = writeAll(conversation, frames, () => isRefused);
  await Promise.all([finished, written]);
  return affected;
}

async function writeAll(
  conversation: Conversation,
  frames: Iterable<Buffer>,
  isRefused: () => boolean,
): Promise<void> {
  for (const each of frames) {
    if (isRefused()) return;
    const taken = conversation.write(each);
    if (taken !== undefined) await taken;
  }
  if (!isRefused()) await conversation.write(COPY_DONE_MESSAGE);
}
