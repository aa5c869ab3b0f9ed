import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { Conversation, Stage } from "./raw-talk.ts";
import { cancelRaw, openRaw } from "./raw-session.ts";
import type { Ending, RawSession } from "./raw-session.ts";

/** Where conversations take place: on a server, or on a Twinwire in front of one. */
export type Venue = {
  readonly name: string;
  readonly port: number;
  readonly server: EmbeddedPostgres;
};

/** What one session of a conversation heard, and how it ended if the conversation waited for that. */
export type Heard = { readonly bytes: Buffer; readonly ended: Ending | undefined };

/** What all sessions of a conversation hear, in the order they were opened. */
export async function heardIn(venue: Venue, conversation: Conversation): Promise<Heard[]> {
  const sessions: RawSession[] = [];
  const stage: Stage = {
    open: async (startup) => {
      const session = await openRaw(venue.port, startup);
      sessions.push(session);
      return session;
    },
    cancel: (key) => cancelRaw(venue.port, key),
    ask: (sql) => ask(venue.server, sql),
    until: (sql) => untilTrue(venue.server, sql),
  };
  try {
    await conversation.play(stage);
  } catch (error) {
    throw new Error(`${conversation.name}, ${venue.name}: ${String(error)}`, { cause: error });
  } finally {
    for (const { socket } of sessions) socket.destroy();
  }
  return sessions.map((session) => ({ bytes: masked(session.frames()), ended: session.ended }));
}

/** Waits until a query says yes (`t`). */
export async function untilTrue(server: EmbeddedPostgres, sql: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while ((await ask(server, sql))[0]?.[0] !== "t") {
    if (Date.now() > deadline) throw new Error(`never true: ${sql}`);
    await delay(10);
  }
}

/** Rows of a query that the test itself asks, as text. */
export async function ask(
  server: EmbeddedPostgres,
  sql: string,
): Promise<readonly (readonly (string | null)[])[]> {
  const client = new pg.Client({
    connectionString: server.url(),
    types: { getTypeParser: () => (text: string) => text },
  });
  await client.connect();
  try {
    const { rows } = await client.query<(string | null)[]>({ text: sql, rowMode: "array" });
    return rows;
  } finally {
    await client.end();
  }
}

/** Without what differs by nature: the cancel key, and who sent a notification. */
export function masked(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (const { type, start, end } of framesOf(copy)) {
    if (type === "K") copy.fill(0, start + 5, end);
    if (type === "A") copy.fill(0, start + 5, start + 9);
  }
  return copy;
}

export type Frame = { readonly type: string; readonly start: number; readonly end: number };

/** Whole frames only; a rest stays unmentioned. */
export function* framesOf(bytes: Buffer): Generator<Frame> {
  let start = 0;
  while (start + 5 <= bytes.length) {
    const end = start + 1 + bytes.readUInt32BE(start + 1);
    if (end > bytes.length) return;
    yield { type: String.fromCharCode(bytes[start] as number), start, end };
    start = end;
  }
}

/** Where what was heard differs, in words; empty when it does not. */
export function difference(expected: Heard, actual: Heard | undefined): string {
  if (actual === undefined) return "a session is missing";
  if (expected.ended !== actual.ended) {
    return `expected ${expected.ended ?? "no end"}, got ${actual.ended ?? "none"}`;
  }
  return parting(expected.bytes, actual.bytes);
}

function parting(expected: Buffer, actual: Buffer): string {
  if (expected.equals(actual)) return "";
  const theirs = framesOf(actual);
  for (const { type, start, end } of framesOf(expected)) {
    const other = theirs.next().value as Frame | undefined;
    const wanted = expected.subarray(start, end);
    const got = other === undefined ? undefined : actual.subarray(other.start, other.end);
    if (got?.equals(wanted)) continue;
    return `at byte ${start} expected ${type} ${excerpt(wanted)}, got ${other?.type ?? "nothing"} ${got === undefined ? "" : excerpt(got)}`;
  }
  return `${expected.length} bytes expected, ${actual.length} came`;
}

function excerpt(bytes: Buffer): string {
  return JSON.stringify(bytes.toString("latin1", 5, 205));
}
