import { framesOf, masked } from "./raw-compare.ts";
import { copyData, copyDone, frame, query, terminate } from "./raw-messages.ts";
import { openRaw } from "./raw-session.ts";

/** @see https://www.postgresql.org/docs/current/protocol-replication.html */
const XLOG_DATA = "w";
const COMMIT = "C";

/** Type byte, start and end of the WAL, then the server's clock. */
const CLOCK_AT = 1 + 8 + 8;
const PAYLOAD_AT = CLOCK_AT + 8;

/**
 * Streams a slot's changes up to the first commit, confirms them and stops. What came of it: the
 * bytes but for keepalives, and for the server's clock.
 */
export async function streamSlot(port: number, slot: string): Promise<Buffer> {
  const session = await openRaw(port, { parameters: [["replication", "database"]] });
  session.send(query("SHOW wal_level"));
  await session.until("Z");
  session.send(
    query(
      `START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names 'changes')`,
    ),
  );
  await session.until("W");
  await session.seen((bytes) => walOf(bytes).some(isCommit));
  // Written, flushed, applied: nowhere yet; no clock; a reply is not wanted.
  session.send(copyData(Buffer.concat([Buffer.from("r"), Buffer.alloc(8 * 4 + 1)])));
  session.send(copyDone);
  await session.until("cCCZ");
  session.send(query("IDENTIFY_SYSTEM_IS_NOT_THIS"));
  await session.until("EZ");
  session.send(terminate);
  await session.closed();
  return steady(session.frames());
}

function isCommit(message: Buffer): boolean {
  return message.toString("latin1", PAYLOAD_AT, PAYLOAD_AT + 1) === COMMIT;
}

/** The first bytes of the WAL from a position on, as a physical replica is sent them. */
export async function streamWal(port: number, from: string, size: number): Promise<Buffer> {
  const session = await openRaw(port, { parameters: [["replication", "true"]] });
  session.send(query(`START_REPLICATION PHYSICAL ${from}`));
  await session.until("W");
  const received = (): Buffer =>
    Buffer.concat(walOf(session.frames()).map((message) => message.subarray(PAYLOAD_AT)));
  await session.seen(() => received().length >= size);
  session.socket.resetAndDestroy();
  return received().subarray(0, size);
}

/** Bodies of the CopyData frames that hold WAL. */
function walOf(bytes: Buffer): Buffer[] {
  return [...framesOf(bytes)]
    .filter(
      ({ type, start }) =>
        type === "d" && bytes.toString("latin1", start + 5, start + 6) === XLOG_DATA,
    )
    .map(({ start, end }) => bytes.subarray(start + 5, end));
}

/** How much of what follows the first commit is sent before the server hears that it is enough, is chance. */
function steady(bytes: Buffer): Buffer {
  let committed = false;
  const kept = [...framesOf(bytes)].flatMap(({ type, start, end }) => {
    const body = bytes.subarray(start + 5, end);
    if (type !== "d") return [bytes.subarray(start, end)];
    if (body.toString("latin1", 0, 1) !== XLOG_DATA || committed) return [];
    committed = isCommit(body);
    return [frame("d", body.subarray(0, CLOCK_AT), body.subarray(PAYLOAD_AT))];
  });
  return masked(Buffer.concat(kept));
}
