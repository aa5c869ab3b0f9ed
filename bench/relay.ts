/**
 * The least Twinwire can be: its own connections, and nothing understood of what they carry. Arguments: the port to listen on, the
 * server's.
 */
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import process from "node:process";
import type { ByteLink } from "../src/upstream/byte-link.ts";
import { openLink } from "../src/upstream/byte-link.ts";

const [listenPort, serverPort] = process.argv.slice(2).map(Number);
const NOTHING_READ = new Uint8Array();

createServer({ noDelay: true, pauseOnConnect: true }, (client) => {
  const server = connect({ host: "127.0.0.1", port: serverPort ?? 0, noDelay: true });
  const failed = (): unknown => client.destroy();
  server.once("error", failed);
  server.once("connect", () => {
    server.off("error", failed);
    relay(client, server);
  });
}).listen(listenPort, "127.0.0.1");

function relay(client: Socket, server: Socket): void {
  const near: ByteLink = linked(client, () => far);
  const far: ByteLink = linked(server, () => near);
  near.resume();
  far.resume();
}

/** What it says goes to the other, which stops it while it does not read. */
function linked(socket: Socket, other: () => ByteLink): ByteLink {
  const link: ByteLink = openLink(
    socket,
    {
      bytes: (buffer, length) => {
        if (!other().write(buffer.subarray(0, length))) link.pause();
      },
      drained: () => other().resume(),
      ended: () => other().finish(),
      closed: () => other().end(),
    },
    NOTHING_READ,
  );
  return link;
}
