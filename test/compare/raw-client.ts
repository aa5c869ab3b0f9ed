import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";

/** A client that gives answers as the bytes they are. The server must trust it. */
export type RawClient = {
  /** Frames from the first of the answer up to and with ReadyForQuery. */
  simple(sql: string): Promise<Buffer>;
  /** Parse, Bind, Describe of the portal, Execute, Sync, with one result format for all columns. */
  extended(sql: string, format: 0 | 1): Promise<Buffer>;
  close(): Promise<void>;
};

/** Connects as `postgres` with these settings from the start. */
export async function openRawClient(
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<RawClient> {
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  await once(socket, "connect");
  const answer = answerReader(socket);
  const parameters = { user: "postgres", database: "postgres", ...settings };
  const text = Object.entries(parameters)
    .map(([name, value]) => `${name}\0${value}\0`)
    .join("");
  const startup = Buffer.from(`\0\0\0\0\0\x03\0\0${text}\0`);
  startup.writeUInt32BE(startup.length, 0);
  socket.write(startup);
  await answer();
  return {
    simple: (sql) => {
      socket.write(message("Q", Buffer.from(`${sql}\0`)));
      return answer();
    },
    extended: (sql, format) => {
      socket.write(batch(sql, format));
      return answer();
    },
    close: async () => {
      socket.end(message("X", Buffer.alloc(0)));
      await once(socket, "close");
    },
  };
}

function batch(sql: string, format: number): Buffer {
  return Buffer.concat([
    message("P", Buffer.from(`\0${sql}\0\0\0`)),
    message("B", Buffer.from([0, 0, 0, 0, 0, 0, 0, 1, 0, format])),
    message("D", Buffer.from("P\0")),
    message("E", Buffer.from([0, 0, 0, 0, 0])),
    message("S", Buffer.alloc(0)),
  ]);
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** Reads to the next ReadyForQuery; one answer at a time. */
function answerReader(socket: Socket): () => Promise<Buffer> {
  let received: Buffer = Buffer.alloc(0);
  let wanted: { resolve(answer: Buffer): void; reject(error: Error): void } | undefined;
  const deliver = (): void => {
    let at = 0;
    while (wanted !== undefined && at + 5 <= received.length) {
      const end = at + 1 + received.readUInt32BE(at + 1);
      if (end > received.length) return;
      const isReady = received[at] === 0x5a;
      at = end;
      if (!isReady) continue;
      const frames = received.subarray(0, end);
      received = received.subarray(end);
      at = 0;
      wanted.resolve(frames);
      wanted = undefined;
    }
  };
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    deliver();
  });
  socket.on("error", (error) => wanted?.reject(error));
  socket.on("close", () =>
    wanted?.reject(new Error(`the server hung up: ${received.toString("latin1")}`)),
  );
  return () =>
    new Promise((resolve, reject) => {
      wanted = { resolve, reject };
      deliver();
    });
}
