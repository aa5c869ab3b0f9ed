import pg from "pg";
import type { Socket } from "node:net";

const ROW_BYTES = 1000;

/**
 * Reads one result of about `megabytes` with a client that does nothing but count, so that the way to it is what
 * takes the time. @returns bytes received and the time in milliseconds.
 */
export async function readLargeResult(
  port: number,
  megabytes: number,
  signal: AbortSignal,
): Promise<{ readonly bytes: number; readonly tookMs: number }> {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "postgres" });
  client.on("error", () => {}); // the connection is simply dropped at the end
  await client.connect();
  // From here on the driver sees nothing: parsing would cost more than a proxy does.
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.removeAllListeners("data");
  try {
    const rows = Math.round((megabytes * 1e6) / ROW_BYTES);
    const startedMs = performance.now();
    stream.write(queryMessage(`select repeat('x', ${ROW_BYTES}) from generate_series(1, ${rows})`));
    const bytes = await countUntilReady(stream, signal);
    return { bytes, tookMs: performance.now() - startedMs };
  } finally {
    stream.destroy();
  }
}

/** 'Q', length including itself, text, zero byte. @see https://www.postgresql.org/docs/current/protocol-message-formats.html */
function queryMessage(sql: string): Buffer {
  const text = Buffer.from(`${sql}\0`);
  const head = Buffer.alloc(5);
  head.write("Q");
  head.writeInt32BE(text.length + 4, 1);
  return Buffer.concat([head, text]);
}

/** ReadyForQuery, idle: 'Z', length 5, 'I'. No row of this result can look like it. */
const READY = Buffer.from("5a0000000549", "hex");

function countUntilReady(stream: Socket, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let end = Buffer.alloc(0);
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      end = Buffer.concat([end, chunk.subarray(-READY.length)]).subarray(-READY.length);
      if (end.equals(READY)) resolve(bytes);
    });
    const fail = (why: string) => (): void => reject(new Error(why));
    stream.on("error", fail("The connection broke in the middle of the large result."));
    stream.on("close", fail("The connection was closed in the middle of the large result."));
    signal.addEventListener("abort", fail("interrupted"), { once: true });
  });
}
