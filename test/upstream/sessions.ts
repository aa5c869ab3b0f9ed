/** What the tests of this folder share: dialling with few words, and asking a raw session a question. */
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { Client } from "pg";
import t from "tap";
import type { Test } from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres, PostgresOptions } from "../../src/cli/demo/embedded-postgres.ts";
import { dial } from "../../src/upstream/dial.ts";
import type { DialDeps, Dialled, DialOutcome, DialRequest } from "../../src/upstream/dial.ts";
import type { ServerAddress, ServerTls } from "../../src/upstream/server-address.ts";
import { queryMessage } from "../../src/wire/postgres/frontend-messages.ts";
import { NO_TLS } from "./no-tls.ts";

export const deps: DialDeps = { random: randomBytes };

/** An address on this machine, without TLS unless `tls` says more. */
export function at(port: number, tls: Partial<ServerTls> = {}, host = "127.0.0.1"): ServerAddress {
  return { host, port, tls: { ...NO_TLS, ...tls } };
}

type Wish = { readonly user: string; readonly password?: string; readonly database?: string };

/** A request for `address` with a generous time limit. */
export function request(
  address: ServerAddress,
  { user, password, database = "postgres" }: Wish,
  more: Partial<DialRequest> = {},
): DialRequest {
  return {
    address,
    parameters: [
      ["user", user],
      ["database", database],
    ],
    credentials: password === undefined ? { kind: "none" } : { kind: "password", password },
    timeoutMs: 20_000,
    ...more,
  };
}

/** The session of a dial that must succeed; closed at the test's end. */
export async function session(wish: DialRequest, test: Test): Promise<Dialled> {
  const outcome = await dial(wish, deps);
  if (outcome.kind !== "ready") throw new Error(`no session: ${describe(outcome)}`);
  test.teardown(() => outcome.server.socket.destroy());
  return outcome.server;
}

/** An outcome in one line: `ready tls`, `refused 28P01`, `failed protocol_violation: …`. */
export function describe(outcome: DialOutcome): string {
  switch (outcome.kind) {
    case "ready":
      return `ready ${outcome.server.encrypted ? "tls" : "plain"}`;
    case "refused":
      return `refused ${outcome.sqlstate}`;
    case "failed":
      return `failed ${outcome.error.code}: ${outcome.error.message}`;
  }
}

/** Everything the server says to a simple query, up to ReadyForQuery. */
export async function ask({ socket }: Dialled, sql: string): Promise<string> {
  const chunks: Buffer[] = [];
  const ready = Buffer.from([0x5a, 0, 0, 0, 5]);
  const answered = new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      chunks.push(chunk);
      if (Buffer.concat(chunks).subarray(-6, -1).equals(ready)) resolve();
    };
    socket.on("data", read);
    socket.once("close", () => reject(new Error("the session closed")));
    socket.resume();
  });
  socket.write(queryMessage(sql));
  await answered;
  socket.pause();
  socket.removeAllListeners("data");
  return Buffer.concat(chunks).toString("latin1");
}

/** A real server for the rest of the file, after `sql` has been run on it. */
export async function serverWith(options: PostgresOptions, sql = ""): Promise<EmbeddedPostgres> {
  const server = await startPostgres(options);
  t.teardown(() => server.stop());
  const client = new Client(server.url());
  await client.connect();
  await client.query(sql);
  await client.end();
  return server;
}

/** A server that is none: does what it is told with every connection. @returns its port */
export async function peer(onConnection: (socket: Socket) => void, test: Test): Promise<number> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
