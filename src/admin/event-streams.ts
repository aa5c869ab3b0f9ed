import type { ServerResponse } from "node:http";
import type { Logger } from "../base/logger.ts";
import type { MigrationEvent, MigrationPort } from "./ports.ts";

export type EventStreamLimits = {
  readonly streams: number;
  /** What may wait for one reader, beyond what the system's socket buffers hold. */
  readonly bufferBytes: number;
  readonly heartbeatMs: number;
};

/** Server-sent events: any number of readers up to a bound, none of which can make the others wait. */
export type EventStreams = {
  readonly limit: number;
  /** Writes what happens to a response whose headers are sent, until its client leaves. */
  open(response: ServerResponse, migration: MigrationPort): void;
  readonly count: () => number;
  readonly dropped: () => number;
  close(): void;
};

type Stream = {
  readonly response: ServerResponse;
  readonly stop: AbortController;
  /** Heartbeats in a row that found the one before still unsent. */
  stalled: number;
};

/** Streams whose readers fall too far behind, or stop reading for three heartbeats, are ended. */
export function openEventStreams(limits: EventStreamLimits, logger: Logger): EventStreams {
  const streams = new Set<Stream>();
  const serialize = cachedSerializer();
  let dropped = 0;

  const end = (stream: Stream): void => {
    streams.delete(stream);
    stream.stop.abort();
  };
  const drop = (stream: Stream): void => {
    if (!streams.has(stream)) return;
    end(stream);
    dropped++;
    stream.response.destroy();
    logger.debug({ streams: streams.size }, "an event stream was ended: its reader is too slow");
  };
  const write = (stream: Stream, text: string): void => {
    if (stream.response.writableLength + text.length > limits.bufferBytes) drop(stream);
    else stream.response.write(text);
  };
  const heartbeat = setInterval(() => {
    for (const stream of streams) {
      stream.stalled = stream.response.writableLength > 0 ? stream.stalled + 1 : 0;
      if (stream.stalled >= 3) drop(stream);
      else write(stream, ": still here\n\n");
    }
  }, limits.heartbeatMs).unref();

  return {
    limit: limits.streams,
    open(response, migration) {
      const stream: Stream = { response, stop: new AbortController(), stalled: 0 };
      streams.add(stream);
      response.once("close", () => end(stream));
      response.write(`retry: 2000\n: events of ${migration.name}\n\n`);
      migration.watch((event) => write(stream, serialize(event)), stream.stop.signal);
    },
    count: () => streams.size,
    dropped: () => dropped,
    close() {
      clearInterval(heartbeat);
      for (const stream of streams) {
        end(stream);
        stream.response.end();
      }
    },
  };
}

/** All readers get the same event object, so it is written out once. */
function cachedSerializer(): (event: MigrationEvent) => string {
  let last: MigrationEvent | undefined;
  let text = "";
  return (event) => {
    if (event !== last) text = `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
    last = event;
    return text;
  };
}
