import type { Socket } from "node:net";

/** A client that has logged in, and the primary's session for it. */
export type SessionOrigin = {
  readonly id: number;
  readonly user: string;
  readonly applicationName: string;
  /** Address and port of the client. */
  readonly client: string;
  readonly socket: Socket;
  readonly leftover: Buffer;
};
