import type { Socket } from "node:net";
import { openLink } from "../upstream/byte-link.ts";
import type { Dialled } from "../upstream/dial.ts";
import type { ErrorFields } from "../wire/postgres/error-response.ts";
import { errorResponse } from "../wire/postgres/error-response.ts";

/** A connection whose bytes are passed on without being understood: replication. */
export type Relay = {
  begin(welcome: Buffer): void;
  end(error: ErrorFields): void;
  readonly server: Dialled;
};

export function openRelay(
  socket: Socket,
  leftover: Buffer,
  server: Dialled,
  ended: (relay: Relay) => void,
): Relay {
  let over = false;
  const finish = (): void => {
    if (over) return;
    over = true;
    ended(relay);
  };
  const client = openLink(
    socket,
    {
      bytes: (buffer, length) => {
        if (!backend.write(buffer.subarray(0, length))) client.pause();
      },
      drained: () => backend.resume(),
      ended: () => backend.finish(),
      closed: (how) => {
        if (over) return;
        if (how === "reset") backend.breakOff();
        else backend.end();
        finish();
      },
    },
    leftover,
  );
  const backend = openLink(
    server.socket,
    {
      bytes: (buffer, length) => {
        if (!client.write(buffer.subarray(0, length))) backend.pause();
      },
      drained: () => client.resume(),
      ended: () => {
        backend.end();
        client.end();
        finish();
      },
      closed: (how) => {
        if (over) return;
        if (how === "reset") client.breakOff();
        else client.end();
        finish();
      },
    },
    server.leftover,
  );
  const relay: Relay = {
    server,
    begin: (welcome) => {
      client.write(welcome);
      backend.resume();
      client.resume();
    },
    end: (error) => {
      client.write(errorResponse(error));
      client.end();
      backend.end();
      finish();
    },
  };
  return relay;
}
