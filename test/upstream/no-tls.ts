import type { ServerTls } from "../../src/upstream/server-address.ts";

/** How the tests' own servers are reached. Loads nothing, so that a measurement may use it. */
export const NO_TLS: ServerTls = {
  mode: "disable",
  rootCert: undefined,
  cert: undefined,
  key: undefined,
  channelBinding: "prefer",
};
