import type { Socket } from "node:net";
import type { ByteLink, LinkEvents } from "../upstream/byte-link.ts";
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

/** The two ends refer to each other. */
type Get = () => ByteLink;

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
  const passOn = (own: Get, other: Get, ownEnded: () => void): LinkEvents => ({
    bytes: (buffer, length) => {
      if (!other().write(buffer.subarray(0, length))) own().pause();
    },
    drained: () => other().resume(),
    ended: ownEnded,
    closed: (how) => {
      if (over) return;
      if (how === "reset") other().breakOff();
      else other().end();
      finish();
    },
  });
  const close = (): void => {
    client.end();
    backend.end();
    finish();
  };
  const front: Get = () => client;
  const back: Get = () => backend;
  const toServer = passOn(front, back, () => backend.finish());
  const client = openLink(socket, toServer, leftover);
  const backend = openLink(server.socket, passOn(back, front, close), server.leftover);
  const relay: Relay = {
    server,
    begin: (welcome) => {
      client.write(welcome);
      backend.resume();
      client.resume();
    },
    end: (error) => {
      client.write(errorResponse(error));
      close();
    },
  };
  return relay;
}
