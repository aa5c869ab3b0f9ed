import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { asking } from "../../src/replication/read-shapes.ts";
import type { Ask } from "../../src/replication/read-shapes.ts";
import { openWorkSession } from "../../src/upstream/work-session.ts";
import type { WorkSession } from "../../src/upstream/work-session.ts";
import { NO_TLS } from "../upstream/no-tls.ts";

/** A server and a session of ours in its database `postgres`, as the superuser. */
export type WorkSide = {
  readonly server: EmbeddedPostgres;
  readonly session: WorkSession;
  readonly ask: Ask;
  /** Another session. */
  open(user?: string, password?: string): Promise<WorkSession>;
};

export async function startWorkSide(
  major: 14 | 16 | 18,
  settings: Readonly<Record<string, string>> = {},
): Promise<WorkSide> {
  const server = await startPostgres({ major, settings });
  const open = (user?: string, password?: string): Promise<WorkSession> =>
    workSession(server, user, password);
  const session = await open();
  return { server, session, ask: asking(session), open };
}

/** @param password the superuser's unless said otherwise */
export function workSession(
  server: EmbeddedPostgres,
  user = "postgres",
  password: string = server.password,
): Promise<WorkSession> {
  return openWorkSession(
    {
      host: server.host,
      port: server.port,
      user,
      password,
      database: "postgres",
      tls: NO_TLS,
    },
    { connectTimeoutMs: 10_000, applicationName: "twinwire test" },
    { random: randomBytes },
  );
}

export async function stopSides(sides: readonly WorkSide[]): Promise<void> {
  await Promise.allSettled(sides.map(({ session }) => session.close()));
  await Promise.all(sides.map(({ server }) => server.stop()));
}

/** Until it holds. @throws after half a minute */
export async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error("it never came to hold");
    await sleep(50);
  }
}
