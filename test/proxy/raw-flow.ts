import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { encodeStartup } from "../../src/wire/postgres/startup.ts";

/** A client that counts what it is told instead of keeping it. */
export type Flow = {
  readonly socket: Socket;
  /** Waits until frames of these types have come in this order, others between them, since the last wait. */
  until(types: string): Promise<void>;
  /** Frames of a type since the login. */
  frames(type: string): number;
  /** Size of the last frame of a type, header included. */
  bytesOf(type: string): number;
  bytes(): number;
  /** The last command tag. */
  lastTag(): string;
};

/** Logs in as `postgres`, who must be trusted. */
export async function openFlow(port: number, applicationName: string): Promise<Flow> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const counts = new Map<string, number>();
  const sizes = new Map<string, number>();
  let awaited = "";
  let reached = (): void => {};
  let bytes = 0;
  let tag = "";
  let carry: Buffer = Buffer.alloc(0);
  let toSkip = 0;
  const finished = (type: string): void => {
    counts.set(type, (counts.get(type) ?? 0) + 1);
    if (type !== awaited[0]) return;
    awaited = awaited.slice(1);
    if (awaited === "") reached();
  };
  let skipped = "";
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    let at = Math.min(toSkip, chunk.length);
    toSkip -= at;
    if (skipped !== "" && toSkip === 0) {
      finished(skipped);
      skipped = "";
    }
    if (toSkip > 0) return;
    const all =
      carry.length === 0 ? chunk.subarray(at) : Buffer.concat([carry, chunk.subarray(at)]);
    carry = Buffer.alloc(0);
    at = 0;
    while (at + 5 <= all.length) {
      const end = at + 1 + all.readUInt32BE(at + 1);
      const type = String.fromCharCode(all[at] as number);
      sizes.set(type, end - at);
      if (type === "C" && end <= all.length) tag = all.toString("latin1", at + 5, end - 1);
      if (end > all.length) {
        toSkip = end - all.length;
        skipped = type;
        return;
      }
      at = end;
      finished(type);
    }
    carry = Buffer.from(all.subarray(at));
  });
  const until = (types: string): Promise<void> => {
    awaited = types;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${awaited} did not come`)), 100_000);
      reached = () => {
        clearTimeout(late);
        resolve();
      };
    });
  };
  const parameters = [
    ["user", "postgres"],
    ["database", "postgres"],
    ["application_name", applicationName],
  ] as const;
  socket.write(encodeStartup({ type: "startup", minor: 0, parameters }));
  await until("Z");
  counts.clear();
  bytes = 0;
  return {
    socket,
    until,
    frames: (type) => counts.get(type) ?? 0,
    bytesOf: (type) => sizes.get(type) ?? 0,
    bytes: () => bytes,
    lastTag: () => tag,
  };
}
