import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** Stands between two servers and makes one of them late. */
export type LaggingRelay = {
  readonly port: number;
  close(): Promise<void>;
};

/**
 * Passes everything on to `port` of 127.0.0.1, and what comes back from there `lagMs` later: a stream keeps its order and its
 * rate and is always that much behind.
 */
export async function openLaggingRelay(port: number, lagMs: number): Promise<LaggingRelay> {
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: "127.0.0.1", port, noDelay: true });
    near.pipe(far);
    // Timers of one length go off in the order in which they were set.
    far.on("data", (chunk) => setTimeout(() => near.writable && near.write(chunk), lagMs));
    far.on("end", () => setTimeout(() => near.end(), lagMs));
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => open.delete(socket));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
